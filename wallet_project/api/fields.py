"""Fields that take one form of a value and no other. The framework's read "١٢٣", "1_000", 1e2 and true as numbers."""

import re
import unicodedata
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any, Final, NoReturn
from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from wallet_project.api.idempotency import MAX_KEY_LENGTH, is_key
from wallet_project.utils.ids import read_id
from wallet_project.utils.money import MAX_AMOUNT, currencies

MAX_METADATA_MEMBERS: Final = 20
MAX_METADATA_KEY: Final = 40
MAX_METADATA_VALUE: Final = 500

_ID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}:\d{2}(?:\.\d{1,6})?(?:Z|[+-]\d{2}:\d{2}))?", re.ASCII)
_WHOLE_NUMBER = re.compile(r"[0-9]{1,19}", re.ASCII)
_TURNS_DIRECTION: Final = frozenset(("LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI"))
_METADATA_KEY = re.compile(rf"[A-Za-z0-9_.-]{{1,{MAX_METADATA_KEY}}}", re.ASCII)


class StrictField(serializers.Field):  # type: ignore[type-arg]
    def refuse(self, code: str, **values: Any) -> NoReturn:
        self.fail(code, **values)
        raise AssertionError("unreachable: fail() raises")

    def to_representation(self, value: Any) -> Any:
        return value


@extend_schema_field({"type": "integer", "format": "int64", "minimum": 1, "maximum": MAX_AMOUNT, "example": 2000})
class AmountField(StrictField):
    """Minor units: a JSON integer, 1..10^15."""

    default_error_messages = {
        "not_an_integer": "An amount is a JSON integer of minor units (cents): no point, no quotes.",
        "out_of_range": "An amount is between {least} and {most} minor units.",
    }

    def to_internal_value(self, data: Any) -> int:
        # bool is a subclass of int.
        if type(data) is not int:
            self.refuse("not_an_integer")
        if not 1 <= data <= MAX_AMOUNT:
            self.refuse("out_of_range", least=1, most=MAX_AMOUNT)
        return int(data)


class WholeNumberField(StrictField):
    """A JSON integer from `least` to `most`, both included."""

    default_error_messages = {
        "not_an_integer": "Send a JSON integer: no point, no quotes.",
        "out_of_range": "Send a number from {least} to {most}.",
    }

    def __init__(self, *, least: int, most: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.least = least
        self.most = most

    def to_internal_value(self, data: Any) -> int:
        # bool is a subclass of int.
        if type(data) is not int:
            self.refuse("not_an_integer")
        if not self.least <= data <= self.most:
            self.refuse("out_of_range", least=self.least, most=self.most)
        return int(data)


@extend_schema_field({"type": "string", "pattern": "^[A-Z]{3}$", "example": "EUR", "description": "ISO 4217"})
class CurrencyField(StrictField):
    default_error_messages = {"unknown_currency": "The wallet keeps these currencies: {kept}."}

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str) or data not in currencies():
            self.refuse("unknown_currency", kept=", ".join(sorted(currencies())))
        return data


@extend_schema_field(OpenApiTypes.UUID)
class IdField(StrictField):
    """A UUID in its one canonical form, as a string."""

    default_error_messages = {"not_an_id": "An id is a UUID such as 01980000-0000-7000-8000-000000000001."}

    def to_internal_value(self, data: Any) -> UUID:
        if not isinstance(data, str) or not _ID.fullmatch(data):
            self.refuse("not_an_id")
        return read_id(data)

    def to_representation(self, value: UUID) -> str:
        return str(value)


@extend_schema_field({"type": "string", "pattern": r"^[\x21-\x7e]{1,255}$", "example": "invoice-2026-118"})
class IdempotencyKeyField(StrictField):
    """What an Idempotency-Key header may hold."""

    default_error_messages = {"not_a_key": "A key has 1 to {most} visible ASCII characters."}

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str) or not is_key(data):
            self.refuse("not_a_key", most=MAX_KEY_LENGTH)
        return data


class BoundedListField(serializers.ListField):
    """Its length is looked at before its items: a body has room for many more than may be."""

    def to_internal_value(self, data: Any) -> list[Any]:
        if isinstance(data, list):
            if self.min_length is not None and len(data) < self.min_length:
                self.fail("min_length", min_length=self.min_length)
            if self.max_length is not None and len(data) > self.max_length:
                self.fail("max_length", max_length=self.max_length)
        values: list[Any] = super().to_internal_value(data)
        return values


@extend_schema_field({"oneOf": [{"$ref": "#/components/schemas/Problem"}, {"type": "null"}]})
class ProblemField(StrictField):
    """A problem within an answer, or null."""


@extend_schema_field(OpenApiTypes.DATE)
class StrictDateField(StrictField):
    """YYYY-MM-DD."""

    default_error_messages = {"not_a_date": "A date is written YYYY-MM-DD."}

    def to_internal_value(self, data: Any) -> date:
        if not isinstance(data, str) or not _DATE.fullmatch(data):
            self.refuse("not_a_date")
        try:
            return date.fromisoformat(data)
        except ValueError:
            self.refuse("not_a_date")

    def to_representation(self, value: date) -> str:
        return value.isoformat()


@extend_schema_field({"type": "string", "example": "2026-11-22T09:00:00Z"})
class InstantField(StrictField):
    """An instant with its offset, or a date, which stands for its first instant in UTC."""

    default_error_messages = {
        "not_an_instant": (
            "A time is written 2026-11-22T09:00:00Z, or as a date, which is its first instant in UTC. In an address, "
            "the + of an offset is written %2B."
        )
    }

    def to_internal_value(self, data: Any) -> datetime:
        if not isinstance(data, str) or not _INSTANT.fullmatch(data):
            self.refuse("not_an_instant")
        try:
            instant = datetime.fromisoformat(data)
            return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
        except (ValueError, OverflowError):
            self.refuse("not_an_instant")


@extend_schema_field({"type": "integer", "format": "int64", "minimum": 1, "maximum": MAX_AMOUNT, "example": 2000})
class AmountParameter(StrictField):
    """Minor units in a query: decimal digits, 1..10^15."""

    default_error_messages = {"out_of_range": "A whole number of minor units (cents), {least} to {most}."}

    def to_internal_value(self, data: Any) -> int:
        if not isinstance(data, str) or not _WHOLE_NUMBER.fullmatch(data) or not 1 <= int(data) <= MAX_AMOUNT:
            self.refuse("out_of_range", least=1, most=MAX_AMOUNT)
        return int(data)


@extend_schema_field(OpenApiTypes.BOOL)
class StrictBooleanField(StrictField):
    default_error_messages = {"not_a_boolean": "Send true or false."}

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.refuse("not_a_boolean")
        return data


class TextField(StrictField):
    """One line of text, trimmed, in Unicode's composed form, no control characters. Lengths count characters."""

    default_error_messages = {
        "not_a_string": "Send a string.",
        "blank": "This may not be empty.",
        "too_long": "This has more than {most} characters.",
        "too_short": "This has fewer than {least} characters.",
        "control_character": "This has a control character.",
        "no_match": "This is not in the form that is expected.",
        "not_one_of": "One of: {choices}.",
    }

    def __init__(
        self,
        *,
        max_length: int,
        min_length: int = 0,
        allow_blank: bool = False,
        pattern: str | None = None,
        choices: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.max_length = max_length
        self.min_length = min_length
        self.allow_blank = allow_blank
        self.choices = choices
        self.pattern = re.compile(pattern, re.ASCII) if pattern else None

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.refuse("not_a_string")
        if has_control_character(data):
            self.refuse("control_character")
        text = unicodedata.normalize("NFC", data).strip()
        if not text:
            return text if self.allow_blank else self.refuse("blank")
        if len(text) > self.max_length:
            self.refuse("too_long", most=self.max_length)
        if len(text) < self.min_length:
            self.refuse("too_short", least=self.min_length)
        if self.pattern and not self.pattern.fullmatch(text):
            self.refuse("no_match")
        if self.choices and text not in self.choices:
            self.refuse("not_one_of", choices=", ".join(self.choices))
        return text


@extend_schema_field(
    {
        "type": "object",
        "additionalProperties": {"type": "string", "maxLength": MAX_METADATA_VALUE},
        "maxProperties": MAX_METADATA_MEMBERS,
        "example": {"invoice": "2026-118"},
    }
)
class MetadataField(StrictField):
    """A flat object of strings."""

    default_error_messages = {
        "not_an_object": "Metadata is an object whose values are strings.",
        "too_many": "Metadata has at most {most} members.",
        "bad_key": "A metadata key has 1 to {most} letters, digits, '_', '.' or '-'.",
        "not_a_string": "A metadata value is a string.",
        "too_long": "A metadata value has at most {most} characters.",
        "control_character": "A metadata value has no control characters.",
    }

    def to_internal_value(self, data: Any) -> dict[str, str]:
        if not isinstance(data, dict):
            self.refuse("not_an_object")
        if len(data) > MAX_METADATA_MEMBERS:
            self.refuse("too_many", most=MAX_METADATA_MEMBERS)
        for key, value in data.items():
            if not isinstance(key, str) or not _METADATA_KEY.fullmatch(key):
                self.refuse("bad_key", most=MAX_METADATA_KEY)
            if not isinstance(value, str):
                self.refuse("not_a_string")
            if len(value) > MAX_METADATA_VALUE:
                self.refuse("too_long", most=MAX_METADATA_VALUE)
            if has_control_character(value):
                self.refuse("control_character")
        return dict(data)


def has_control_character(text: str) -> bool:
    """Control characters (NUL among them) and lone surrogates, which PostgreSQL cannot store or a log would obey; line
    breaks; and what turns the direction of writing, by which a receiver or an officer would read another text."""
    if text.isascii() and text.isprintable():
        return False
    return any(
        unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
        # U+202A..U+202E, U+2066..U+2069; the plain marks U+200E and U+200F are part of how people write.
        or unicodedata.bidirectional(character) in _TURNS_DIRECTION
        for character in text
    )
