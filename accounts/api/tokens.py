"""Logging in."""

from drf_spectacular.utils import extend_schema
from rest_framework import generics
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework_simplejwt.views import TokenObtainPairView

from accounts.api.access import PUBLIC, Declared
from accounts.api.problems import problems
from accounts.api.serializers import RefreshSerializer, TokenPairSerializer
from accounts.api.throttles import LoginThrottle
from accounts.services import tokens

TAGS = ["auth"]


class TokenView(TokenObtainPairView):
    """Log in."""

    permission_classes = (Declared,)
    access = {"post": PUBLIC}
    throttle_classes = (LoginThrottle,)
    throttle_scope = "token"

    @extend_schema(
        operation_id="auth_token",
        summary="Log in with e-mail address and password",
        tags=TAGS,
        auth=[],
        responses={200: TokenPairSerializer, **problems(400, 429)},
    )
    def post(self, request: Request, *args: object, **kwargs: object) -> Response:
        """Give an access token, to be sent as `Authorization: Bearer`, and a refresh token."""
        return super().post(request, *args, **kwargs)


class TokenRefreshView(generics.GenericAPIView):
    """Stay logged in."""

    authentication_classes = ()
    access = {"post": PUBLIC}
    serializer_class = RefreshSerializer

    @extend_schema(
        operation_id="auth_token_refresh",
        summary="Change a refresh token for a new pair",
        tags=TAGS,
        auth=[],
        responses={200: TokenPairSerializer, **problems(400)},
    )
    def post(self, request: Request) -> Response:
        """Give a new pair. The token that was given works once."""
        given = self.get_serializer(data=request.data)
        given.is_valid(raise_exception=True)
        pair = tokens.rotate(refresh=given.validated_data["refresh"])
        return Response(TokenPairSerializer(pair).data)
