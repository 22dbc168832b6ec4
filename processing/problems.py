"""Errors of uploads that come in by more than one request; those of every domain are in `accounts.problems`."""

from accounts.problems import ConflictError, DomainError


class TooManyUploadsError(ConflictError):
    """An account may have only so many open uploads; some have to be finished or ended first."""

    code = "too_many_uploads"


class WrongOffsetError(ConflictError):
    """Bytes were sent for another place than that at which the upload goes on; `offset` says where that is."""

    code = "wrong_offset"


class UploadIncompleteError(ConflictError):
    """An upload was to be completed whose bytes are not all there."""

    code = "upload_incomplete"


class DirectUploadNotPossibleError(ConflictError):
    """The originals lie on a disk: there is no bucket to send a file to."""

    code = "direct_upload_not_possible"


class UploadLockedError(DomainError):
    """Another request is writing to the upload, or takes it in, at this moment."""

    code = "upload_locked"


class UploadEndedError(DomainError):
    """The upload was ended or has expired, or its bytes are lost: it has to be begun anew."""

    code = "upload_ended"


class WrongChecksumError(DomainError):
    """The bytes of a request are not those that its checksum is of; none of them was kept."""

    code = "wrong_checksum"
