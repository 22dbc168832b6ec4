"""Logging in and out."""

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.access import PUBLIC
from accounts.api.problems import problems
from accounts.api.serializers import CredentialsSerializer, RefreshSerializer, TokenPairSerializer
from accounts.api.throttles import LoginThrottle
from accounts.api.views import GenericAPIView
from accounts.services import tokens
from accounts.services.logins import log_in

TAGS = ["auth"]


class TokenView(GenericAPIView):
    """Log in."""

    authentication_classes = ()
    access = {"post": PUBLIC}
    throttle_classes = (LoginThrottle,)
    throttle_scope = "token"
    serializer_class = CredentialsSerializer

    @extend_schema(
        operation_id="auth_token",
        summary="Log in with e-mail address and password",
        description="An account with a second factor needs its `code` too: without one the answer is 401, "
        "`second_factor_required`, and for a wrong one 401, `second_factor_wrong`. After five wrong ones none is "
        "looked at for five minutes: 429, `second_factor_locked`. Staff who must have one and have none get 401, "
        "`second_factor_enrolment_required`.",
        tags=TAGS,
        responses={200: TokenPairSerializer, **problems(400)},
    )
    def post(self, request: Request) -> Response:
        """Give an access token, to be sent as `Authorization: Bearer`, and a refresh token."""
        given = self.get_serializer(data=request.data)
        given.is_valid(raise_exception=True)
        return Response(TokenPairSerializer(log_in(request=request, **given.validated_data)).data)


class TokenRefreshView(GenericAPIView):
    """Stay logged in."""

    authentication_classes = ()
    access = {"post": PUBLIC}
    serializer_class = RefreshSerializer

    @extend_schema(
        operation_id="auth_token_refresh",
        summary="Change a refresh token for a new pair",
        description="A refresh token works once. Used again, by whomever, it ends every token of the login that it "
        "comes from, also if both requests are one client's: refresh one at a time. A refusal is 401, and says why: "
        "`token_not_valid`, `token_revoked`, `password_changed`, `user_inactive`, `second_factor_enrolment_required`.",
        tags=TAGS,
        responses={200: TokenPairSerializer, **problems(400)},
    )
    def post(self, request: Request) -> Response:
        """Give a new pair. The token that was given works once."""
        given = self.get_serializer(data=request.data)
        given.is_valid(raise_exception=True)
        pair = tokens.rotate(refresh=given.validated_data["refresh"])
        return Response(TokenPairSerializer(pair).data)


class TokenRevokeView(GenericAPIView):
    """Log out."""

    authentication_classes = ()
    access = {"post": PUBLIC}
    serializer_class = RefreshSerializer

    @extend_schema(
        operation_id="auth_token_revoke",
        summary="Log out",
        description="Ends every token of the login that the refresh token comes from, access tokens too, at once. May "
        "be repeated.",
        tags=TAGS,
        responses={204: OpenApiResponse(description="They are worth nothing any more."), **problems(400)},
    )
    def post(self, request: Request) -> Response:
        """End the login."""
        given = self.get_serializer(data=request.data)
        given.is_valid(raise_exception=True)
        tokens.revoke(refresh=given.validated_data["refresh"])
        return Response(status=204)
