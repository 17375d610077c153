"""The bases of every serializer that reads a body or query parameters."""

import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, Final

from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.request import Request

from wallet_project.api.fields import MetadataField
from wallet_project.api.queries import parameters

_MAX_NAME: Final = 100
_MEMBER: Final = re.compile(r"([a-z_]+)\[([^\[\]]*)\]", re.ASCII)


class StrictSerializer(serializers.Serializer):  # type: ignore[type-arg]
    """Refuses members that it does not know, and those that are read-only, instead of passing over them.

    A client that misspells `reference` hears of it, and none can believe that it has set a `status`."""

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(str(field.field_name) for field in self._writable_fields)

    def to_internal_value(self, data: Any) -> Any:
        problems: dict[str, Any] = {}
        if isinstance(data, Mapping) and not data.keys() <= self._known:
            problems = {
                str(name)[:_MAX_NAME]: [ErrorDetail("There is no such field.", code="unknown_field")]
                for name in data
                if name not in self._known
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


class QuerySerializer(serializers.Serializer):  # type: ignore[type-arg]
    """What a GET reads of its query. An object such as metadata is sent as `metadata[key]=value` (OpenAPI's
    deepObject)."""

    @classmethod
    def of(cls, request: Request, *, besides: Iterable[str] = ()) -> dict[str, Any]:
        """What was asked for; `besides` names the parameters that somebody else reads.

        Raises UnknownParameter, RepeatedParameter, ValidationError."""
        fields = cls().fields
        objects = {name for name, field in fields.items() if isinstance(field, MetadataField)}
        others = frozenset(besides)

        def is_known(name: str) -> bool:
            member = _MEMBER.fullmatch(name)
            return name in others or (member[1] in objects if member else name in fields and name not in objects)

        values: dict[str, Any] = {}
        for name, value in parameters(request, is_known).items():
            if member := _MEMBER.fullmatch(name):
                values.setdefault(member[1], {})[member[2]] = value
            elif name not in others:
                values[name] = value
        # A plain dict: from a form's, the framework would pass over a parameter that is sent empty.
        wanted = cls(data=values)
        wanted.is_valid(raise_exception=True)
        return dict(wanted.validated_data)
