"""Dialogs of the admin: what asks before an action, and what answers when it is done."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from unfold.forms import BaseDialogForm

from accounts.problems import DomainError


def dialog(
    *, title: Any, description: Any, submit: Any, form_class: type | None = None, is_destructive: bool = False
) -> dict[str, Any]:
    """Describe the dialog that asks before an action, so that no link changes anything by being followed.

    `is_destructive`: what it does cannot be undone, and its button is red.
    """
    return {
        "title": title,
        "description": description,
        "form_class": form_class,
        "form_submit_text": submit,
        "is_destructive": is_destructive,
    }


def ask(request: HttpRequest, *, asked: dict[str, Any], form: BaseDialogForm) -> HttpResponse:
    """Answer with a dialog; it posts to the address that it came from."""
    shown = {"dialog": asked, "form": form, "form_submit_text": asked["form_submit_text"]}
    return render(request, "unfold/helpers/dialog.html", shown)


def act(request: HttpRequest, change: Callable[[], object], *, done: Any) -> HttpResponse:
    """Do what a dialog was about and say so, or say why the domain does not allow it; the page loads again."""
    try:
        change()
    except DomainError as error:
        messages.error(request, error.detail)
    else:
        messages.success(request, done)
    return reload_page()


def reload_page() -> HttpResponse:
    """Answer a dialog that has done its work: the page beneath it loads again and shows the message."""
    return HttpResponse(headers={"HX-Refresh": "true"})
