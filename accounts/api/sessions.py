"""The session of the admin that a request may come with, beside the tokens of the API."""

from django.contrib.auth import update_session_auth_hash
from rest_framework.authentication import SessionAuthentication
from rest_framework.request import Request


def keep_session(request: Request) -> None:
    """Let the session that asks go on, if one does, where all others were ended: it is not one of them."""
    if isinstance(request.successful_authenticator, SessionAuthentication):
        request.user.refresh_from_db()
        update_session_auth_hash(request, request.user)
