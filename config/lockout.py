"""What somebody is told who is locked out: a problem where a program asks, a page where a person does."""

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
    headers = {"Retry-After": str(locked_seconds()), "Cache-Control": "no-store"}
    if request.path.startswith(API_PREFIX):
        answer = problem(STATUS, code=LoginLockedError.code, detail=DETAIL)
        return JsonResponse(answer, status=STATUS, content_type=MEDIA_TYPE, headers=headers)
    context = {**admin.site.each_context(request), "title": _("Locked"), "minutes": -(-locked_seconds() // 60)}
    response = render(request, "admin/locked_out.html", context, status=STATUS)
    for name, value in headers.items():
        response[name] = value
    return response
