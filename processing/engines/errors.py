"""What an engine may say about a file or a model. Each error has a stable code that is kept on the ledger row."""


class EngineError(Exception):
    """An engine could not do its work; `code` is stable and is what clients and operators see.

    `permanent` errors lie in the file: trying again gives the same answer.
    """

    code = "engine_error"
    permanent = False


class EmptyFileError(EngineError):
    """The file has no bytes."""

    code = "empty_file"
    permanent = True


class UnsupportedFormatError(EngineError):
    """The bytes are not an image of one of the formats that are taken in."""

    code = "unsupported_format"
    permanent = True


class TooManyPixelsError(EngineError):
    """The header announces more pixels than the installation allows."""

    code = "too_many_pixels"
    permanent = True


class TooManyScansError(EngineError):
    """A JPEG goes over its pixels more often than any camera or program has reason to."""

    code = "too_many_scans"
    permanent = True


class DamagedImageError(EngineError):
    """The file says what it is, but its pixels cannot be read (truncated, corrupt)."""

    code = "damaged"
    permanent = True


class OutOfMemoryError(EngineError):
    """Decoding needed more memory than this process may have; not permanent, another host may allow more."""

    code = "out_of_memory"


class ModelNotInstalledError(EngineError):
    """The weights are not in the models directory of this host."""

    code = "model_not_installed"


class WeightsMismatchError(EngineError):
    """A weights file does not have the SHA-256 that the catalogue pins or that was recorded at its installation."""

    code = "weights_mismatch"


class WeightsUnavailableError(EngineError):
    """The weights of a model can be had neither from a package, nor from the models directory, nor from the network."""

    code = "weights_unavailable"


class DeviceUnavailableError(EngineError):
    """The device that this host is set to use is not there."""

    code = "device_unavailable"


class ConversionError(EngineError):
    """A converted net does not give what its module gives."""

    code = "conversion_failed"
