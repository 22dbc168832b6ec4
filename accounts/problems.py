"""Errors of the domain. Each has a stable code; what HTTP makes of it is decided elsewhere."""


class DomainError(Exception):
    """Something that was asked for cannot be done; `code` is stable, `detail` is for a person.

    `extra` holds JSON values that a client may need to act on the error.
    """

    code = "error"

    def __init__(self, detail: str, **extra: object) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extra = extra


# of a value that does not go with another one of the request, or lacks one: the API's schema cannot say that
COMBINATION = "combination"


class InvalidValueError(DomainError):
    """A value that cannot be; `field` names it, as it is called where it was asked for, and `reason` is stable."""

    code = "invalid"

    def __init__(self, detail: str, *, field: str, reason: str = "invalid") -> None:
        super().__init__(detail, errors=[{"field": field, "code": reason, "detail": detail}])


class NotPermittedError(DomainError):
    """The caller sees the thing and may not do this to it."""

    code = "permission_denied"


class NotFoundError(DomainError):
    """The thing is not there, or the caller may not know that it is."""

    code = "not_found"


class ConflictError(DomainError):
    """The thing is in a state in which this cannot be done."""

    code = "conflict"


class PreconditionFailedError(DomainError):
    """The thing is another one than the caller has seen."""

    code = "precondition_failed"


class NotAuthenticatedError(DomainError):
    """Whoever asks has not shown who they are, or not well enough."""

    code = "not_authenticated"
