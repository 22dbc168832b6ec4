"""What a person is told who is locked out of the admin; programs are answered by the API."""

import math
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from accounts.lockout import locked_seconds

STATUS = 429


def locked_out(
    request: HttpRequest,
    original: HttpResponse | None = None,  # noqa: ARG001 - django-axes calls it
    credentials: dict[str, Any] | None = None,  # noqa: ARG001
) -> HttpResponse:
    """Answer a login that was locked, or has just been."""
    return page(request, seconds=locked_seconds(), reason=_("There were too many wrong passwords."), offers_reset=True)


def page(request: HttpRequest, *, seconds: int, reason: str, offers_reset: bool = False) -> HttpResponse:
    """Tell a person when to try again to log in, and why not now. `offers_reset`: a new password ends the wait."""
    context = {
        **admin.site.each_context(request),
        "title": _("Locked for a while"),
        "reason": reason,
        "minutes": math.ceil(seconds / 60),
        "offers_reset": offers_reset,
    }
    response = render(request, "admin/locked_out.html", context, status=STATUS)
    response["Retry-After"] = str(seconds)
    response["Cache-Control"] = "no-store"
    return response
