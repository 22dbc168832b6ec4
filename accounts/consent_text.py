"""What a library's admin agrees to when face analysis is switched on.

Another wording is another version: count VERSION up with every change of the text, or nobody can say any more what was
agreed to. Old wordings are in the history of this file.
"""

from accounts.problems import COMBINATION, ConflictError, InvalidValueError

VERSION = "2026-11"

TEXT = (
    "Faces are biometric data. With face analysis on, faces are looked for on every photo of this library; of each "
    "face Darkroom keeps a small picture and a vector that tells faces apart, and groups them into people, to whom "
    "members may give names. All of it stays within this library and is used for nothing else.\n"
    "By switching it on you state that you may have the people on these photos analysed: that they agreed, or that the "
    "law allows it without. Who switched, when, and the version of this text are kept.\n"
    "Switching it off hides faces and people at once and erases them for good. A person may be forgotten, or all that "
    "is held on a person exported, at any time."
)


class ConsentOutdatedError(ConflictError):
    """Another version of the text was agreed to than the one that holds: show the current one."""

    code = "consent_outdated"


def require_current(version: str) -> None:
    """Raise ConsentOutdatedError unless this is the version of the text that holds now, InvalidValueError for none."""
    if not version:
        detail = "Name the version of the text that you agree to."
        raise InvalidValueError(detail, field="consent_version", reason=COMBINATION)
    if version != VERSION:
        raise ConsentOutdatedError(
            "The text on face analysis has changed. Read the current one and agree to that.", consent_version=VERSION
        )
