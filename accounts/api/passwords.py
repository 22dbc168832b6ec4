"""Changing a password, and setting a new one that was forgotten."""

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import sessions
from accounts.api.access import IN_PERSON, PUBLIC
from accounts.api.problems import problems
from accounts.api.serializers import (
    PasswordChangeSerializer,
    PasswordResetConfirmSerializer,
    PasswordResetSerializer,
    TokenPairSerializer,
)
from accounts.api.throttles import LoginThrottle
from accounts.api.views import GenericAPIView
from accounts.services import passwords

TAGS = ["auth"]


class PasswordChangeView(GenericAPIView):
    """Change one's own password."""

    access = {"post": IN_PERSON}
    tells_once = frozenset({"post"})
    # that a password was wrong is counted, and then the request refused
    apart = frozenset({"post"})
    # whoever has stolen a token may not try passwords at will
    throttle_classes = (LoginThrottle,)
    throttle_scope = "token"
    serializer_class = PasswordChangeSerializer

    @extend_schema(
        operation_id="auth_password_change",
        summary="Change your password",
        description="Ends all other sessions and every token, at once, and gives a new pair.",
        tags=TAGS,
        responses={200: TokenPairSerializer, **problems(400, 403, 409, 429)},
    )
    def post(self, request: Request) -> Response:
        """Give a new pair."""
        given = self.get_serializer(data=request.data)
        given.is_valid(raise_exception=True)
        changed = passwords.change(user=request.user, **given.validated_data)
        sessions.keep(request, user=changed.user)
        return Response(TokenPairSerializer(changed.pair).data)


class PasswordResetView(GenericAPIView):
    """Ask for a new password."""

    authentication_classes = ()
    access = {"post": PUBLIC}
    throttle_classes = (LoginThrottle,)
    throttle_scope = "token"
    serializer_class = PasswordResetSerializer

    @extend_schema(
        operation_id="auth_password_reset",
        summary="Ask for a new password",
        description="The answer is the same whether the address has an account or not. If it has, a mail with a token "
        "is on its way.",
        tags=TAGS,
        responses={
            202: OpenApiResponse(description="If there is such an account, it gets a mail."),
            **problems(400, 429),
        },
    )
    def post(self, request: Request) -> Response:
        """Send a token, if there is somebody to send it to."""
        given = self.get_serializer(data=request.data)
        given.is_valid(raise_exception=True)
        passwords.request_reset(email=given.validated_data["email"])
        return Response(status=202)


class PasswordResetConfirmView(GenericAPIView):
    """Set a new password."""

    authentication_classes = ()
    access = {"post": PUBLIC}
    throttle_classes = (LoginThrottle,)
    throttle_scope = "token"
    serializer_class = PasswordResetConfirmSerializer

    @extend_schema(
        operation_id="auth_password_reset_confirm",
        summary="Set a new password with a token from a mail",
        description="Ends all sessions and every token. A token that is wrong, was used or has run out is a 400, "
        "`reset_not_valid`.",
        tags=TAGS,
        responses={204: OpenApiResponse(description="Log in with it."), **problems(400, 429)},
    )
    def post(self, request: Request) -> Response:
        """Set the password."""
        given = self.get_serializer(data=request.data)
        given.is_valid(raise_exception=True)
        passwords.confirm_reset(**given.validated_data)
        return Response(status=204)
