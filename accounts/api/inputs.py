"""Bodies that are sent: a misspelt member that is ignored would be a lie about what was asked for."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers


class InputSerializer(serializers.Serializer):
    """Input: refuses members that there are none of, as views refuse parameters of the query.

    `dryrun` for `dry_run` would else do what was only to be counted.
    """

    def to_internal_value(self, data: Any) -> Any:
        """Read what was sent. Raises ValidationError, which names each unknown member (`unknown_field`)."""
        unknown = [name for name in data if name not in self.fields] if isinstance(data, Mapping) else []
        if unknown:
            detail = f"There is no such member here. There are: {', '.join(sorted(self.fields))}."
            error = serializers.ErrorDetail(detail, code="unknown_field")
            raise serializers.ValidationError({str(name): [error] for name in unknown})
        return super().to_internal_value(data)
