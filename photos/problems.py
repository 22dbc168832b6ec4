"""Errors of photos; those of every domain are in `accounts.problems`."""

from accounts.problems import ConflictError, DomainError


class RefusedFileError(DomainError):
    """An upload that is not taken in; nothing was stored."""

    def __init__(self, code: str, detail: str, **extra: object) -> None:
        super().__init__(detail, **extra)
        self.code = code


class NotAnalysedYetError(ConflictError):
    """A photo has not got as far in its processing as what was asked for needs."""

    code = "not_analysed_yet"


class FaceAnalysisOffError(ConflictError):
    """What was asked for takes face analysis, which is off."""

    code = "face_analysis_off"
