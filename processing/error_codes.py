"""What each error code of the ledger means, and what a person can do about it: said wherever a dead run is shown."""

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True, slots=True)
class Explanation:
    """What an error code means, and what is to be done about it; both for a person, in whole sentences."""

    meaning: str | Promise
    remedy: str | Promise


_REFUSED_TODAY = Explanation(
    _("No bytes, or no picture of a format that is taken in; dead at once."),
    _("Nothing: such files are refused at the door today. Discard the run."),
)
_TOO_LONG = Explanation(
    _("The file used more CPU time, or kept its decoder longer, than a file of its size may."),
    _("If the photo is honest, raise DECODE_CPU_SECONDS, DECODE_WALL_SECONDS; retry. Else discard the run."),
)
_PROCESS_GONE = Explanation(
    _("The process ended itself, or its whole worker went silent."),
    _("Look at the worker's log at that time; retry."),
)
_BYTES_GONE = Explanation(
    _("A stored object has other bytes than its row says, or is not there."),
    _(
        "An original: restore the object, or upload the same file again where it is missing; retry. A preview: "
        "manage.py reprocess --all --photo ID --stage renditions; a chip: --stage face_detection; or manage.py prove "
        "--repair."
    ),
)
_MODELS_OF_HOST = Explanation(
    _("A model that the stage needs is not on this host, or has other weights; burns no attempt."),
    _("manage.py models install there."),
)
_INFRASTRUCTURE = Explanation(
    _("The storage, the database or the broker was not there; goes on by itself."),
    _("Mend it."),
)

EXPLANATIONS = {
    "damaged": Explanation(
        _("The file says what it is, its pixels cannot be read; dead at once."),
        _("Upload a whole copy and discard the run; the original is kept."),
    ),
    "empty_file": _REFUSED_TODAY,
    "unsupported_format": _REFUSED_TODAY,
    "too_many_pixels": Explanation(
        _("More than IMAGE_MAX_PIXELS, or a side of more than 65,535; dead at once."),
        _("Raise the setting and retry, or discard the run."),
    ),
    "too_many_scans": Explanation(
        _("A JPEG goes over its pixels more than 100 times, which keeps its decoder busy for long; dead at once."),
        _("If the photo is honest, save it anew with a program and upload that. Else discard the run."),
    ),
    "out_of_memory": Explanation(
        _("The process may have no more than DECODE_MEMORY_BYTES."),
        _("Raise the setting and retry."),
    ),
    "decode_cpu_exceeded": _TOO_LONG,
    "decode_timed_out": _TOO_LONG,
    "process_crashed": Explanation(
        _("The process crashed in a library that is not Python: a bug in a decoder or a model's runtime."),
        _("Keep the file for those who mend it; discard the run, or retry after an update."),
    ),
    "process_killed": Explanation(
        _("Something outside killed the process, most often the kernel for memory."),
        _("Look at the kernel's log; give the host memory or fewer processes; retry."),
    ),
    "timed_out": Explanation(
        _("The whole task took too long."),
        _("Look at the load of the host; retry."),
    ),
    "worker_lost": _PROCESS_GONE,
    "lease_expired": _PROCESS_GONE,
    "input_missing": Explanation(
        _("The result that the stage reads is not there."),
        _(
            "manage.py reprocess --all --photo ID --stage S with the stage before it (of face_detection: renditions; "
            "of face_embedding: face_detection)."
        ),
    ),
    "wrong_bytes": _BYTES_GONE,
    "object_missing": _BYTES_GONE,
    "model_not_installed": _MODELS_OF_HOST,
    "weights_mismatch": _MODELS_OF_HOST,
    "device_unavailable": Explanation(
        _("The device that DEVICE names is not there; burns no attempt."),
        _("Mend the host, or change the setting."),
    ),
    "storage_unavailable": _INFRASTRUCTURE,
    "database_unavailable": _INFRASTRUCTURE,
    "broker_unavailable": _INFRASTRUCTURE,
    "unexpected_error": Explanation(
        _("A bug, or something not thought of."),
        _("The detail names it; report it."),
    ),
}

_UNKNOWN = Explanation("", "")


def explain(error_code: str) -> Explanation:
    """Give what is known of an error code; of one that another release wrote, nothing."""
    return EXPLANATIONS.get(error_code, _UNKNOWN)
