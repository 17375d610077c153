"""The bases of every serializer that reads a body or query parameters."""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any, Final

from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.request import Request

from wallet_project.api.fields import MetadataField, StrictField
from wallet_project.api.queries import parameters

_MAX_NAME: Final = 100
_REQUIRED: Final = object()
_LEFT_OUT: Final = object()
_MEMBER: Final = re.compile(r"([a-z_]+)\[([^\[\]]*)\]", re.ASCII)


class NotPlain(Exception):
    """Whether it is right, the framework is to say."""


def _is_plain(field: serializers.Field[Any, Any, Any, Any]) -> bool:
    """Whether to validate a value that is not null is to read it, and no more."""
    return (
        isinstance(field, StrictField)
        and not field.validators
        and field.source_attrs == [field.field_name]
        and not getattr(field.default, "requires_context", False)
    )


def _default_of(field: serializers.Field[Any, Any, Any, Any]) -> Any:
    if field.required:
        return _REQUIRED
    return _LEFT_OUT if field.default is serializers.empty else field.default


class StrictSerializer(serializers.Serializer):  # type: ignore[type-arg]
    """Refuses members that it does not know, and those that are read-only, instead of passing over them.

    A client that misspells `reference` hears of it, and none can believe that it has set a `status`."""

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(str(field.field_name) for field in self._writable_fields)

    @cached_property
    def _plain_fields(self) -> list[tuple[str, Callable[[Any], Any], Any]]:
        """Name, reading and default of each field; none unless reading them is all that there is to do."""
        fields = list(self._writable_fields)
        if any(not _is_plain(field) or hasattr(self, f"validate_{field.field_name}") for field in fields):
            return []
        return [(str(field.field_name), field.to_internal_value, _default_of(field)) for field in fields]

    def read_plain(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """What `to_internal_value` gives, where nothing is wrong: the framework looks at each field for several times
        as long as reading it takes. Raises NotPlain or ValidationError where that has to say what is wrong."""
        if not self._plain_fields:
            raise NotPlain
        values, found = {}, 0
        for name, read, default in self._plain_fields:
            if (value := data.get(name)) is not None:
                values[name] = read(value)
                found += 1
            elif default is _REQUIRED:
                raise NotPlain
            elif default is not _LEFT_OUT:
                values[name] = default() if callable(default) else default
        if found != len(data):  # Another name, or a null.
            raise NotPlain
        return values

    def run_validators(self, value: Any) -> None:
        # The framework gathers what they would be asked about, also where there are none.
        if self.validators:
            super().run_validators(value)

    def to_internal_value(self, data: Any) -> Any:
        if type(data) is dict:
            try:
                return self.read_plain(data)
            except (NotPlain, ValidationError):
                pass
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
