"""Who may see more than a status: staff, by session or JSON Web Token, and programs with the internal token."""

from django.contrib.auth import get_user
from django.db import DatabaseError
from django.http import HttpRequest
from rest_framework.exceptions import APIException

from accounts.api.bearer import TokenAuthentication
from accounts.internal_token import carries_internal_token
from accounts.models import User


def is_insider(request: HttpRequest) -> bool:
    """Tell whether the request may see detail. Without a database only the internal token can show it."""
    if carries_internal_token(request.headers):
        return True
    try:
        users = (get_user(request), _token_user(request))
        return any(user.is_active and user.is_staff and not user.must_enrol for user in users if user is not None)
    except DatabaseError:
        return False


def _token_user(request: HttpRequest) -> User | None:
    """Give the user of the request's token; none for a token that is missing, wrong or expired."""
    try:
        found = TokenAuthentication().authenticate(request)
    except APIException:
        return None
    return None if found is None else found[0]
