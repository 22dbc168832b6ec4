"""One's own second factor: set up, looked at, taken away."""

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import sessions
from accounts.api.access import IN_PERSON
from accounts.api.problems import problems
from accounts.api.second_factor_serializers import (
    ConfirmEnrolmentSerializer,
    EnrolmentSerializer,
    OwnPasswordSerializer,
    PasswordAndCodeSerializer,
    RecoveryCodesSerializer,
    SecondFactorEnabledSerializer,
    SecondFactorStateSerializer,
)
from accounts.api.throttles import LimitedGuesses
from accounts.api.views import GenericAPIView
from accounts.services import second_factor

TAGS = ["auth"]


class _SecondFactorView(LimitedGuesses, GenericAPIView):
    """Needs a login; whoever has stolen one may not try passwords and codes at will."""

    access = {"get": IN_PERSON, "post": IN_PERSON}
    guessed_by = frozenset({"POST"})
    # secrets, codes and tokens
    tells_once = frozenset({"post"})
    # what was wrong is counted, and then the request refused
    apart = frozenset({"post"})

    def given(self) -> dict[str, str]:
        """Give what was sent. Raises ValidationError."""
        given = self.get_serializer(data=self.request.data)
        given.is_valid(raise_exception=True)
        return dict(given.validated_data)


class SecondFactorView(_SecondFactorView):
    """The second factor of who asks."""

    serializer_class = OwnPasswordSerializer

    @extend_schema(
        operation_id="auth_second_factor",
        summary="See whether you have a second factor",
        tags=TAGS,
        responses={200: SecondFactorStateSerializer, **problems()},
    )
    def get(self, request: Request) -> Response:
        """Give the state."""
        return Response(SecondFactorStateSerializer(second_factor.state(user=request.user)).data)

    @extend_schema(
        operation_id="auth_second_factor_begin",
        summary="Begin to set up a second factor",
        description="Needs your password. Nothing changes until the first code is confirmed.",
        tags=TAGS,
        responses={200: EnrolmentSerializer, **problems(400, 403, 409, 429)},
    )
    def post(self, request: Request) -> Response:
        """Give a new secret."""
        begun = second_factor.begin(user=request.user, **self.given())
        return Response(EnrolmentSerializer(begun).data)


class SecondFactorConfirmView(_SecondFactorView):
    """The end of an enrolment."""

    serializer_class = ConfirmEnrolmentSerializer

    @extend_schema(
        operation_id="auth_second_factor_confirm",
        summary="Set up the second factor with its first code",
        description="Ends all other sessions and every token, at once, and gives a new pair. A wrong code is a 400, "
        "`second_factor_wrong`; what is too old a 400, `enrolment_not_valid`.",
        tags=TAGS,
        responses={200: SecondFactorEnabledSerializer, **problems(400, 403, 409, 429)},
    )
    def post(self, request: Request) -> Response:
        """Give the recovery codes, once, and a new pair."""
        enabled = second_factor.confirm(user=request.user, **self.given(), wants_pair=True)
        sessions.keep(request, user=enabled.user)
        return Response(SecondFactorEnabledSerializer(enabled).data)


class SecondFactorDisableView(_SecondFactorView):
    """The end of a second factor."""

    serializer_class = PasswordAndCodeSerializer

    @extend_schema(
        operation_id="auth_second_factor_disable",
        summary="Take your second factor away",
        description="Needs your password and a code; a wrong code is a 400, `second_factor_wrong`. Ends all other "
        "sessions and every token: log in again.",
        tags=TAGS,
        responses={204: OpenApiResponse(description="It is gone."), **problems(400, 403, 409, 429)},
    )
    def post(self, request: Request) -> Response:
        """Take it away."""
        sessions.keep(request, user=second_factor.disable(user=request.user, **self.given()))
        return Response(status=204)


class RecoveryCodesView(_SecondFactorView):
    """Codes for a lost phone."""

    serializer_class = PasswordAndCodeSerializer

    @extend_schema(
        operation_id="auth_second_factor_recovery_codes",
        summary="Get new recovery codes",
        description="Needs your password and a code; a wrong code is a 400, `second_factor_wrong`. The recovery codes "
        "before are worth nothing afterwards.",
        tags=TAGS,
        responses={200: RecoveryCodesSerializer, **problems(400, 403, 409, 429)},
    )
    def post(self, request: Request) -> Response:
        """Give the recovery codes, once."""
        codes = second_factor.renew_recovery_codes(user=request.user, **self.given())
        return Response(RecoveryCodesSerializer({"recovery_codes": codes}).data)
