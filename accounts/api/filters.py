"""What lists are narrowed by. A value that cannot be is an error that names the parameter."""

from datetime import datetime, timedelta
from typing import ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django_filters import rest_framework as filters
from django_filters.fields import IsoDateTimeField

from accounts.models import AuditAction, AuditEvent

LARGEST_OFFSET = timedelta(hours=14)


class MomentField(IsoDateTimeField):
    """A time as some clock on Earth may show it: the database takes no larger offset, and none of seconds."""

    default_error_messages: ClassVar = {
        "invalid": "A day or a time in ISO 8601, as 2026-05-04 or 2026-05-04T09:12:00Z."
    }

    def clean(self, value: object) -> datetime | None:
        """Give the time."""
        moment = super().clean(value)
        offset = timedelta() if moment is None else moment.utcoffset() or timedelta()
        if abs(offset) > LARGEST_OFFSET or offset % timedelta(minutes=1):
            raise ValidationError(self.error_messages["invalid"], code="invalid")
        return moment


class MomentFilter(filters.IsoDateTimeFilter):
    """A point in time, in ISO 8601."""

    field_class = MomentField


class WholeNumberFilter(filters.NumberFilter):
    """A number without a fraction."""

    field_class = forms.IntegerField


class AuditFilter(filters.FilterSet):
    """Narrows the audit trail."""

    library = filters.UUIDFilter(field_name="library_id", help_text="In this library.")
    actor = filters.UUIDFilter(field_name="actor_id", help_text="By this user.")
    key = filters.UUIDFilter(field_name="key_id", help_text="With this API key.")
    action = filters.ChoiceFilter(choices=AuditAction.choices, help_text="Of this kind.")
    subject = filters.CharFilter(field_name="subject_id", help_text="About the thing with this id.")
    after = MomentFilter(field_name="at", lookup_expr="gte", help_text="At this time or later (ISO 8601).")
    before = MomentFilter(field_name="at", lookup_expr="lt", help_text="Before this time (ISO 8601).")

    class Meta:
        model = AuditEvent
        fields = ()
