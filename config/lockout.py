"""What somebody is told who is locked out: a problem where a program asks, a page where a person does."""

import math
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from accounts.api.problems import MEDIA_TYPE
from accounts.lockout import DETAIL, LoginLockedError, locked_seconds
from config.problems import API_PREFIX, problem

STATUS = 429


def locked_out(
    request: HttpRequest,
    original: HttpResponse | None = None,  # noqa: ARG001 - django-axes calls it
    credentials: dict[str, Any] | None = None,  # noqa: ARG001
) -> HttpResponse:
    """Answer a login that was locked, or has just been."""
    if not request.path.startswith(API_PREFIX):
        return page(request, seconds=locked_seconds(), reason=_("There were too many wrong passwords."))
    answer = problem(STATUS, code=LoginLockedError.code, detail=DETAIL)
    headers = {"Retry-After": str(locked_seconds())}
    return JsonResponse(answer, status=STATUS, content_type=MEDIA_TYPE, headers=headers)


def page(request: HttpRequest, *, seconds: int, reason: str) -> HttpResponse:
    """Tell a person when to try again to log in, and why not now."""
    context = {
        **admin.site.each_context(request),
        "title": _("Locked for a while"),
        "reason": reason,
        "minutes": math.ceil(seconds / 60),
    }
    response = render(request, "admin/locked_out.html", context, status=STATUS)
    response["Retry-After"] = str(seconds)
    response["Cache-Control"] = "no-store"
    return response
