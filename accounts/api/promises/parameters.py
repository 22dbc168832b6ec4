"""Parameters of the query: a misspelt one that is ignored would be a lie about what was asked for."""

from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.request import Request

from accounts.api.promises.documented import Documented


def refuse_empty(request: Request) -> None:
    """Raise ValidationError, which names each, where the query has parameters without a value.

    A filter that is taken for none would give everything.
    """
    empty = [name for name, values in request.query_params.lists() if "" in values]
    if empty:
        raise ValidationError({name: ErrorDetail("It has no value: leave it away.", code="blank") for name in empty})


def refuse_unknown(request: Request, known: Documented) -> None:
    """Raise ValidationError, which names each, where the query has parameters that the operation does not document."""
    unknown = [name for name in request.query_params if name not in known.parameters]
    if not unknown:
        return
    names = ", ".join(sorted(known.parameters))
    detail = f"There is no such parameter here. There are: {names}." if names else "No parameter is taken here."
    raise ValidationError({name: ErrorDetail(detail, code="unknown_parameter") for name in unknown})
