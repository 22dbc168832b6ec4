"""The account that asks."""

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.access import IN_PERSON
from accounts.api.problems import problems
from accounts.api.promises.conditions import ConditionalMixin
from accounts.api.serializers import (
    ErasureReceiptSerializer,
    OwnAccountSerializer,
    OwnErasureSerializer,
    OwnNameSerializer,
)
from accounts.api.throttles import LimitedGuesses
from accounts.api.views import APIView
from accounts.models import User
from accounts.services import erasure, users


class OwnAccountView(LimitedGuesses, ConditionalMixin, APIView):
    """The account that asks."""

    guessed_by = frozenset({"DELETE"})
    access = {"get": IN_PERSON, "patch": IN_PERSON, "delete": IN_PERSON}
    # an account is erased outside of transactions: what was wrong is counted, and then the request refused
    reads, changes = "get", frozenset({"patch"})

    def lock_for_change(self) -> None:
        """Lock the account, and read it anew."""
        self.request.user.refresh_from_db(from_queryset=User.objects.select_for_update(no_key=True))

    @extend_schema(
        operation_id="auth_me",
        summary="Read your own account",
        tags=["auth"],
        responses={200: OwnAccountSerializer, **problems(403)},
    )
    def get(self, request: Request) -> Response:
        """Give the account that the credentials belong to."""
        return Response(OwnAccountSerializer(request.user).data)

    @extend_schema(
        operation_id="auth_me_change",
        summary="Change your own name",
        tags=["auth"],
        request=OwnNameSerializer,
        responses={200: OwnAccountSerializer, **problems(400, 403)},
    )
    def patch(self, request: Request) -> Response:
        """Give the account as it is then."""
        given = OwnNameSerializer(data=request.data, partial=True)
        given.is_valid(raise_exception=True)
        user = users.rename(user=request.user, **given.validated_data) if given.validated_data else request.user
        return Response(OwnAccountSerializer(user).data)

    @extend_schema(
        operation_id="auth_me_erase",
        summary="Erase your own account",
        description="Account, memberships, keys, tokens, sessions and names go at once; what you uploaded stays in its "
        "libraries, of nobody. It takes the password and a code of the second factor, where the account has them, and "
        "no API key can do it. Codes: `second_factor_required` and `second_factor_wrong` (400), `last_admin` (with the "
        "ids of `libraries` that would have none any more), `last_superuser`.",
        tags=["auth"],
        request=OwnErasureSerializer,
        responses={200: ErasureReceiptSerializer, **problems(400, 403, 409)},
    )
    def delete(self, request: Request) -> Response:
        """Erase the account that the credentials belong to."""
        given = OwnErasureSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        receipt = erasure.forget_self(user=request.user, **given.validated_data)
        return Response(ErasureReceiptSerializer(receipt).data, status=status.HTTP_200_OK)
