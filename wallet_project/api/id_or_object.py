"""A field that takes an id, or in its place an object that says the same in full."""

from collections.abc import Mapping
from typing import Any, Literal
from uuid import UUID

from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.openapi import AutoSchema
from rest_framework import serializers

from wallet_project.api.fields import IdField, StrictField
from wallet_project.api.serializers import StrictSerializer


class IdOrObjectField(StrictField):
    """A UUID, or the values of an object that has the shape of `shape`."""

    default_error_messages = {"not_an_id_or_object": "Send an id, or an object in its place."}

    def __init__(self, *, shape: type[StrictSerializer], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shape = shape

    def to_internal_value(self, data: Any) -> UUID | dict[str, Any]:
        if isinstance(data, Mapping):
            return dict(self.shape().run_validation(data))
        try:
            return IdField().to_internal_value(data)
        except serializers.ValidationError:
            self.refuse("not_an_id_or_object")


class IdOrObjectShape(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    target_class = IdOrObjectField

    def map_serializer_field(
        self, auto_schema: AutoSchema, direction: Literal["request", "response"]
    ) -> dict[str, Any]:
        shape = auto_schema.resolve_serializer(self.target.shape, direction).ref
        return {"oneOf": [{"type": "string", "format": "uuid"}, shape]}
