"""The session of a browser that asks for what ends all sessions."""

from django.contrib.auth import update_session_auth_hash
from django.http import HttpRequest
from rest_framework.authentication import SessionAuthentication
from rest_framework.request import Request

from accounts.models import User


def keep(request: HttpRequest | Request, *, user: User) -> None:
    """Let the session that asks go on, if one does: it is not one of the others.

    `user` is the account as the service has left it. Read anew it would be as somebody else may have left it right
    after, and the session would outlive what has just ended it.
    """
    by_session = isinstance(request, HttpRequest) or isinstance(request.successful_authenticator, SessionAuthentication)
    if by_session:
        update_session_auth_hash(request, user)
