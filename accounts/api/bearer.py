"""`Authorization: Bearer` with an access token."""

from drf_spectacular.contrib.rest_framework_simplejwt import SimpleJWTScheme
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.exceptions import AuthenticationFailed
from rest_framework_simplejwt.tokens import Token

from accounts.models import User
from accounts.services import tokens


class TokenAuthentication(JWTAuthentication):
    """Takes an access token while its family goes on, its owner is active and neither was ended since."""

    def get_user(self, validated_token: Token) -> User:
        """Give the owner; raises AuthenticationFailed."""
        try:
            return tokens.owner_of(token=validated_token)
        except tokens.RefusedTokenError as error:
            raise AuthenticationFailed(str(error), code=error.code) from error


class TokenAuthenticationScheme(SimpleJWTScheme):
    """Says so in the API's documentation."""

    target_class = TokenAuthentication
