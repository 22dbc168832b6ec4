"""What every view of the API derives from: the framework's views, keeping what the API promises (docs/api.md)."""

from typing import Any

from rest_framework import generics, views, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.promises import fields
from accounts.api.promises.conditions import require_no_condition
from accounts.api.promises.deprecation import deprecation_of
from accounts.api.promises.documented import Documented, documented
from accounts.api.promises.idempotency import IdempotencyMixin
from accounts.api.promises.parameters import refuse_empty, refuse_unknown


class PromisesMixin(IdempotencyMixin):
    """Holds each operation to its documentation.

    A parameter of the query that is not documented, or has no value, is refused. `fields` narrows every answer to a GET
    that is an object or a list of them, unless the view or the action says `sparse = False`.
    """

    sparse = True
    # those that a serializer has to compute; None: all
    computed_fields: frozenset[str] | None = None
    _asked_fields: frozenset[str] | None = None
    _documented: Documented | None = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Check a request before its handler runs, after who asks and how often. Raises ValidationError."""
        super().initial(request, *args, **kwargs)
        # what answers HEAD alone is not documented
        verb = "get" if request.method == "HEAD" else request.method.lower()
        if not hasattr(self, verb) or request.method == "OPTIONS":
            return
        if not self.takes_if_match:
            require_no_condition(request)
        self._documented = documented(request)
        if self._documented is not None:
            refuse_unknown(request, self._documented)
            refuse_empty(request)
            self._asked_fields = self.computed_fields = fields.asked_fields(request, self._documented)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Leave away what was not asked for, and tell of an operation that it is retired."""
        if self._asked_fields is not None and isinstance(response, Response) and response.status_code == 200:
            list_name = self._documented.list_name
            response.data = fields.narrowed(response.data, wanted=self._asked_fields, list_name=list_name)
        mark = deprecation_of(self, self.operation)
        for name, value in {} if mark is None else mark.headers(request).items():
            response[name] = value
        return super().finalize_response(request, response, *args, **kwargs)  # type: ignore[misc]

    @property
    def operation(self) -> str:
        """Name the operation that is asked for, as `access` does: the action of a viewset, the method of a view."""
        # HEAD is answered by what answers GET
        return getattr(self, "action", None) or self.request.method.lower().replace("head", "get")

    @property
    def takes_if_match(self) -> bool:
        """Whether the operation is one that takes If-Match."""
        return False

    def computes(self, *names: str) -> bool:
        """Whether one of these fields is to be in the answer."""
        return self.computed_fields is None or not self.computed_fields.isdisjoint(names)


class APIView(PromisesMixin, views.APIView):
    """A view of the API."""


class GenericAPIView(PromisesMixin, generics.GenericAPIView):
    """A view of the API with a queryset and a serializer."""


class ViewSet(PromisesMixin, viewsets.ViewSet):
    """Operations of the API that belong together."""


class GenericViewSet(PromisesMixin, viewsets.GenericViewSet):
    """Operations of the API on one kind of thing."""
