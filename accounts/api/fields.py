"""Fields that serializers of several rooms have."""

from typing import Any

from rest_framework import serializers


class BoundedListField(serializers.ListField):
    """A list of `max_length` items at most, counted before they are looked at: each may be wrong in many words."""

    def to_internal_value(self, data: Any) -> list[Any]:
        """Read the items; raises ValidationError."""
        if isinstance(data, list | tuple) and len(data) > self.max_length:
            message = self.error_messages["max_length"].format(max_length=self.max_length)
            raise serializers.ValidationError(message, code="max_length")
        return super().to_internal_value(data)
