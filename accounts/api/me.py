"""The account that asks."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.access import IN_PERSON
from accounts.api.problems import problems
from accounts.api.serializers import OwnAccountSerializer, OwnNameSerializer
from accounts.services import users


class OwnAccountView(APIView):
    """The account that asks."""

    access = {"get": IN_PERSON, "patch": IN_PERSON}

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
        given = OwnNameSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        return Response(OwnAccountSerializer(users.rename(user=request.user, **given.validated_data)).data)
