"""Accounts elsewhere: what people may log in with, tokens for who has come back from a provider, and one's own."""

from allauth.socialaccount.adapter import get_adapter
from django.middleware.csrf import get_token
from django.urls import reverse
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import sessions
from accounts.api.access import IN_PERSON, PUBLIC
from accounts.api.inputs import InputSerializer
from accounts.api.problems import problems
from accounts.api.serializers import CodeField, TokenPairSerializer
from accounts.api.throttles import LoginThrottle
from accounts.api.views import GenericAPIView
from accounts.services import social_accounts, social_logins

TAGS = ["auth"]


class ProviderSerializer(serializers.Serializer):
    """Output: a provider that people may log in with."""

    id = serializers.CharField(help_text="What `provider` is in the form.")
    name = serializers.CharField()


class ProvidersSerializer(serializers.Serializer):
    """Output: the providers, and what the form needs that leads a browser to one of them."""

    providers = ProviderSerializer(many=True)
    action = serializers.CharField(help_text="Where a form is posted to, by the browser itself.")
    csrf_token = serializers.CharField(help_text="The form's `csrfmiddlewaretoken`; its cookie comes with this answer.")


class SocialAccountSerializer(serializers.Serializer):
    """Output: an account elsewhere that one may log in with. What the provider calls the person is not shown."""

    id = serializers.IntegerField()
    provider = serializers.CharField(help_text="The provider's URL.")
    name = serializers.CharField(help_text="What people call the provider; empty where it is not set up any more.")
    linked_at = serializers.DateTimeField()


class SocialAccountsSerializer(serializers.Serializer):
    """Output: one's own accounts elsewhere, the oldest first."""

    accounts = SocialAccountSerializer(many=True)


class SocialCodeSerializer(InputSerializer):
    """Input: a code of the second factor, where there is one."""

    code = CodeField(required=False, allow_blank=True, default="")


class ProvidersView(GenericAPIView):
    """Where people may log in elsewhere."""

    authentication_classes = ()
    access = {"get": PUBLIC}
    serializer_class = ProvidersSerializer

    @extend_schema(
        operation_id="auth_social_providers",
        summary="See which accounts elsewhere people may log in with",
        description="To log in, have the browser post a form to `action` with `provider`, `process` (`login`), "
        "`callback_url` (a page of yours) and `csrfmiddlewaretoken`. It comes back to `callback_url`, with `error` in "
        "the query if it went wrong; ask for tokens then, from that browser.",
        tags=TAGS,
        responses={200: ProvidersSerializer, **problems()},
    )
    def get(self, request: Request) -> Response:
        """List them."""
        found = get_adapter().list_providers(request)
        shown = {
            "providers": sorted(({"id": one.sub_id, "name": one.name} for one in found), key=lambda one: one["name"]),
            "action": reverse("social-redirect"),
            "csrf_token": get_token(request),
        }
        return Response(ProvidersSerializer(shown).data)


class SocialTokenView(GenericAPIView):
    """Tokens for who has come back from a provider."""

    authentication_classes = ()
    access = {"post": PUBLIC}
    throttle_classes = (LoginThrottle,)
    throttle_scope = "token"
    serializer_class = SocialCodeSerializer

    @extend_schema(
        operation_id="auth_social_token",
        summary="Log in with an account elsewhere",
        description="Wants the session cookie of the browser that came back from the provider. Works once. A refusal "
        "is 401: `social_login_missing` (nobody has come back), `social_signup_closed` (there is no such account, and "
        "none is made), `social_email_not_verified`, `social_link_refused` (staff, or an account that was taken away, "
        "without a second factor), `user_inactive`, and those of the second factor as at `auth/token`: then it may be "
        "asked again.",
        tags=TAGS,
        responses={200: TokenPairSerializer, **problems(400, 409, 429)},
    )
    def post(self, request: Request) -> Response:
        """Give a pair, as a password does."""
        given = self.get_serializer(data=request.data)
        given.is_valid(raise_exception=True)
        return Response(TokenPairSerializer(social_logins.log_in(request=request, **given.validated_data)).data)


class SocialAccountsView(GenericAPIView):
    """The accounts elsewhere of who asks."""

    access = {"get": IN_PERSON}
    serializer_class = SocialAccountsSerializer

    @extend_schema(
        operation_id="auth_social_accounts",
        summary="List the accounts elsewhere that you may log in with",
        tags=TAGS,
        responses={200: SocialAccountsSerializer, **problems(403)},
    )
    def get(self, request: Request) -> Response:
        """List them."""
        return Response(SocialAccountsSerializer({"accounts": social_accounts.shown(user=request.user)}).data)


class SocialAccountView(GenericAPIView):
    """One account elsewhere of who asks."""

    access = {"delete": IN_PERSON}

    @extend_schema(
        operation_id="auth_social_account_unlink",
        summary="Take away an account elsewhere that you may log in with",
        description="It opens nothing from then on, and a login there links it again only with a second factor. Ends "
        "all other sessions and every token: log in again. Taking it away again changes nothing. Codes: `last_way_in` "
        "(no password, and no other linked account of a provider that is set up).",
        tags=TAGS,
        request=None,
        responses={204: OpenApiResponse(description="It is not linked any more."), **problems(403, 404, 409)},
    )
    def delete(self, request: Request, pk: int) -> Response:
        """Take it away."""
        sessions.keep(request, user=social_accounts.unlink(user=request.user, account_id=pk))
        return Response(status=204)
