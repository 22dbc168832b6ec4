"""Which of Django's permissions the admin offers to give: those of models that have pages in it, and no others.

Django makes four for every table, of tokens, sessions and queues as well, which open nothing.
"""

from functools import reduce
from operator import or_
from typing import Any

from django.contrib import admin
from django.contrib.auth.models import Permission
from django.db.models import ManyToManyField, Q, QuerySet
from django.forms import ModelMultipleChoiceField
from django.http import HttpRequest

# shown on the page of another model, or on one that is of no model
_beside: set[str] = {"accounts.membership"}


def also_offer(model: str) -> None:
    """Offer the permissions of a model that has no list of its own in the admin, named as in `accounts.membership`."""
    _beside.add(model)


def offered() -> QuerySet[Permission]:
    """Give the permissions that pages of the admin ask for."""
    names = _beside | {model._meta.label_lower for model in admin.site._registry}  # noqa: SLF001 - no public way
    pairs = (name.split(".") for name in sorted(names))
    return Permission.objects.filter(
        reduce(or_, (Q(content_type__app_label=app, content_type__model=model) for app, model in pairs))
    )


class PermissionPicker:
    """Offers such permissions where a form of the admin asks for some."""

    def formfield_for_manytomany(
        self, db_field: ManyToManyField, request: HttpRequest, **kwargs: Any
    ) -> ModelMultipleChoiceField | None:
        """Narrow what a picker of permissions offers."""
        if db_field.remote_field.model is Permission:
            kwargs["queryset"] = offered()
        return super().formfield_for_manytomany(db_field, request, **kwargs)
