"""ETag, If-None-Match and If-Match (RFC 9110, section 13): nobody's change goes over one that they have not seen."""

import hashlib
from collections.abc import Callable
from functools import partial
from typing import Any

from django.db import transaction
from django.http import HttpRequest
from django.utils.http import parse_etags
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.problems import PreconditionFailedError

IF_MATCH, IF_NONE_MATCH = "If-Match", "If-None-Match"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
# kept by the client, and asked for again each time: the answer is a 304
REVALIDATE = "private, no-cache"

IF_MATCH_PARAMETER = OpenApiParameter(
    IF_MATCH,
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="The `ETag` of what you have read: if it has another one by now, nothing changes, and the answer is "
    "412, `precondition_failed`. Without it the last one who writes wins, for the fields that it names.",
)
IF_NONE_MATCH_PARAMETER = OpenApiParameter(
    IF_NONE_MATCH,
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="The `ETag` of what you have: while it is the same, the answer is 304, without a body.",
)


def etag_of(data: Any) -> str:
    """Give the strong ETag of an answer: of all its fields, in their order."""
    return f'"{hashlib.sha256(JSONRenderer().render(data)).hexdigest()[:32]}"'


def is_among(etag: str, header: str) -> bool:
    """Whether a header of ETags has this one, or `*`.

    A compressed answer has the ETag of the other one marked as weak, since its bytes differ; what is said is the same.
    So the mark is overlooked, in If-Match too, where RFC 9110 would have it never match.
    """
    return any(one in ("*", etag) for one in (given.removeprefix("W/") for given in parse_etags(header)))


def require_no_condition(request: HttpRequest | Request) -> None:
    """Raise PreconditionFailedError for a change of what has no ETag that is to be made if it has this one."""
    given = request.headers.get(IF_MATCH, "*")
    if request.method not in SAFE and not is_among("", given):
        raise PreconditionFailedError("What this changes has no ETag. Send it without If-Match.")


class ConditionalMixin:
    """Gives what is read an ETag, and makes no change for somebody who has seen another one.

    For a view of one kind of thing, before its base class. `reads` names the operation whose answer the ETag is of;
    `changes` those that take If-Match, of which the one that answers with the thing gives the same answer as `reads`.
    The names are those of `access`. `told_of_changes` names fields that an answer to a change has beside those of
    `reads`.
    """

    reads = "retrieve"
    changes = frozenset({"partial_update", "destroy"})
    told_of_changes: frozenset[str] = frozenset()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Have a change begin with its precondition."""
        super().initial(request, *args, **kwargs)  # type: ignore[misc]
        if self.operation == self.reads:
            # the ETag is of all of them
            self.computed_fields = None
        if self.takes_if_match and IF_MATCH in request.headers:
            verb = request.method.lower()
            setattr(self, verb, partial(self._change_if_it_matches, getattr(self, verb)))

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Add the ETag to what was read or changed; answer 304 to who has it."""
        if isinstance(response, Response) and response.status_code == 200 and self._gives_the_thing():
            etag = etag_of({name: value for name, value in response.data.items() if name not in self.told_of_changes})
            if request.method in SAFE and is_among(etag, request.headers.get(IF_NONE_MATCH, "")):
                response = Response(status=304)
            response["ETag"], response["Cache-Control"] = etag, REVALIDATE
        return super().finalize_response(request, response, *args, **kwargs)  # type: ignore[misc]

    @property
    def takes_if_match(self) -> bool:
        """Whether the operation is one that takes If-Match."""
        return self.operation in self.changes  # type: ignore[attr-defined]

    def lock_for_change(self) -> None:
        """Let nobody else change the thing until the end of the open transaction.

        What a change locks before the thing itself has to be locked here before it, too. Raises what `get_object` does.
        """
        thing = self.get_object()  # type: ignore[attr-defined]
        type(thing).objects.select_for_update(no_key=True, of=("self",)).filter(pk=thing.pk).first()

    def _gives_the_thing(self) -> bool:
        return self.operation == self.reads or self.operation in self.changes  # type: ignore[attr-defined]

    def _change_if_it_matches(
        self, change: Callable[..., Response], request: Request, *args: Any, **kwargs: Any
    ) -> Response:
        """Make a change in the transaction in which the ETag is compared, under the lock of the thing's row."""
        with transaction.atomic():
            self.lock_for_change()
            if not is_among(etag_of(self._read(request, *args, **kwargs)), request.headers[IF_MATCH]):
                raise PreconditionFailedError("It has been changed since you have read it. Read it again.")
            return change(request, *args, **kwargs)

    def _read(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        """Give what `reads` answers now."""
        operation, self.action = getattr(self, "action", None), self.reads
        try:
            return getattr(self, self.reads)(request, *args, **kwargs).data
        finally:
            self.action = operation
