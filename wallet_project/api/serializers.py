"""The base of every serializer that reads a body."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError

_MAX_NAME = 100


class StrictSerializer(serializers.Serializer):  # type: ignore[type-arg]
    """Refuses members that it does not know, and those that are read-only, instead of passing over them.

    A client that misspells `reference` hears of it, and none can believe that it has set a `status`."""

    def to_internal_value(self, data: Any) -> Any:
        problems: dict[str, Any] = {}
        if isinstance(data, Mapping):
            known = {field.field_name for field in self._writable_fields}
            problems = {
                str(name)[:_MAX_NAME]: [ErrorDetail("There is no such field.", code="unknown_field")]
                for name in data
                if name not in known
            }
        try:
            values = super().to_internal_value(data)
        except ValidationError as error:
            if isinstance(error.detail, dict):
                raise ValidationError({**problems, **error.detail}) from None
            raise
        if problems:
            raise ValidationError(problems)
        return values
