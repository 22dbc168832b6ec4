"""The account that asks."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.access import LOGGED_IN
from accounts.api.problems import problems
from accounts.api.serializers import OwnAccountSerializer


class OwnAccountView(APIView):
    """The account that asks."""

    access = {"get": LOGGED_IN}

    @extend_schema(
        operation_id="auth_me",
        summary="Read your own account",
        tags=["auth"],
        responses={200: OwnAccountSerializer, **problems()},
    )
    def get(self, request: Request) -> Response:
        """Give the account that the credentials belong to."""
        return Response(OwnAccountSerializer(request.user).data)
