"""The audit trail in the admin: who did what, to what, from where."""

import contextlib
import json
from ipaddress import ip_address
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.contrib.admin.utils import quote
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from accounts.models import ApiKey, AuditAction, AuditEvent, Library, User
from accounts.services import audit
from gallery.admin import filters
from gallery.admin.base import ReadOnlyAdmin

ALARMING = {
    AuditAction.LOGIN_FAILED: "warning",
    AuditAction.LOGIN_LOCKED: "danger",
    AuditAction.TOKEN_REUSED: "danger",
    AuditAction.ERASED: "danger",
}
# the theme shows the code of those that it is given no colour for
LABELS = dict.fromkeys(AuditAction, "default") | ALARMING


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    """Events are looked at and never changed. People and libraries are named while they are there."""

    list_display = ("at", "what", "who", "library", "subject", "address", "number")
    list_display_links = ("at", "what")
    list_filter = (("action", ChoicesDropdownFilter), ("at", filters.DayRangeFilter))
    list_filter_submit = True
    search_fields = ("=actor_id", "=library_id", "=subject_id", "=address")
    search_help_text = _("E-mail address or id of a user, id of a library or a subject, or an IP address")
    fields = ("at", "action", "who", "key", "library", "subject", "address", "said", "number", "hash", "previous_hash")
    readonly_fields = ("who", "key", "library", "subject", "said", "number")

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuditEvent]:
        """Events that the user may see, with the names of those who are still there.

        `has_page`: the subject is of a kind that the user may look at in the admin.
        """
        shown = [name for name, of in _of_subjects().items() if of.has_view_permission(request)]
        return AuditEvent.objects.visible_to(request.user).annotate(
            has_page=Q(subject_type__in=shown),
            who_email=Subquery(User.objects.filter(pk=OuterRef("actor_id")).values("email")),
            library_name=Subquery(Library.objects.filter(pk=OuterRef("library_id")).values("name")),
            key_name=Subquery(ApiKey.objects.filter(pk=OuterRef("key_id")).values("name")),
        )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[AuditEvent], search_term: str
    ) -> tuple[QuerySet[AuditEvent], bool]:
        """Look for one id, one account by its e-mail address, or one IP address."""
        term = search_term.strip()
        if not term:
            return queryset, False
        if "@" in term:
            # the trail has ids alone
            account = User.objects.filter(email=term.lower()).only("pk").first()
            if account is None:
                return queryset.none(), False
            term = str(account.pk)
        wanted = Q(subject_id=term)
        for column, parse in (("actor_id", UUID), ("library_id", UUID), ("address", ip_address)):
            with contextlib.suppress(ValueError):
                wanted |= Q(**{column: str(parse(term))})
        return queryset.filter(wanted), False

    @display(description=_("what"), label=LABELS)
    def what(self, event: AuditEvent) -> tuple[str, str]:
        """What was done."""
        return event.action, event.get_action_display()

    @display(description=_("who"))
    def who(self, event: AuditEvent) -> str | None:
        """Who did it: the account's address, or its id where it is gone, or that it was a command on the server."""
        by_command = gettext("command line") if audit.COMMAND in event.details else None
        return _named(event.who_email, event.actor_id) or by_command

    @display(description=_("API key"))
    def key(self, event: AuditEvent) -> str | None:
        """The key that was used."""
        return _named(event.key_name, event.key_id)

    @display(description=_("library"))
    def library(self, event: AuditEvent) -> str | None:
        """Where."""
        return _named(event.library_name, event.library_id)

    @display(description=_("subject"))
    def subject(self, event: AuditEvent) -> str | None:
        """To what: a link where the admin has pages of such."""
        shown = f"{event.subject_type} {event.subject_id}".strip() or None
        if shown is None or not event.has_page:
            return shown
        opts = _of_subjects()[event.subject_type].opts
        url = reverse(f"admin:{opts.app_label}_{opts.model_name}_change", args=[quote(event.subject_id)])
        return format_html('<a class="dr-link" href="{}">{}</a>', url, shown)

    @display(description=_("details"))
    def said(self, event: AuditEvent) -> SafeString | None:
        """What else is known."""
        shown = json.dumps(event.details, indent=1, sort_keys=True, ensure_ascii=False)
        return format_html("<pre>{}</pre>", shown) if event.details else None

    @display(description=_("number"))
    def number(self, event: AuditEvent) -> Any:
        """Its place in the chain."""
        return event.sequence if event.sequence is not None else _("waiting")


def _of_subjects() -> dict[str, admin.ModelAdmin]:
    """Give what the admin has pages of, by the names that the trail has for kinds of subjects."""
    return {model._meta.model_name: of for model, of in admin.site._registry.items()}  # noqa: SLF001 - no other way


def _named(name: str | None, key: object) -> str | None:
    return name or (None if key is None else str(key))
