"""A body that is read by its fields alone is read as the framework reads it, or not at all."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from ledger.serializers.bulk import BulkTransferInput
from ledger.serializers.inputs import DepositInput, GroupInput, TransferInput, WithdrawalInput
from wallet_project.api.serializers import NotPlain, StrictSerializer

_ID = "01980000-0000-7000-8000-000000000001"
_WHOLE: dict[str, Any] = {
    "source": _ID,
    "destination": _ID.replace("1", "2"),
    "account": _ID.upper(),
    "beneficiary": {"name": "Ada", "iban": "DE89370400440532013000"},
    "amount": 100,
    "currency": "EUR",
    "reference": " rent ",
    "metadata": {"invoice": "7"},
    "fee": 0,
    "capture": "manual",
    "expires_in": 3600,
    "key": "k-1",
}
_SHAPES = (TransferInput(), DepositInput(), WithdrawalInput(), BulkTransferInput())
_ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-1, 10**16),
    st.floats(allow_nan=False),
    st.sampled_from(["", _ID, "EUR", "automatic", "@mia", "x" * 500, "a\x00b", "\u202e", "ü"]),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.sampled_from(["a", "name", ""]), st.one_of(st.text(max_size=3), st.none()), max_size=2),
)


def read(shape: StrictSerializer, body: Any) -> Any:
    try:
        return shape.read_plain(body)
    except (NotPlain, ValidationError):
        return None


def framework(shape: StrictSerializer, body: Any) -> Any:
    """What the framework's own way makes of the values; it passes over names that it does not know."""
    try:
        values = serializers.Serializer.to_internal_value(shape, body)
    except ValidationError:
        return None
    return values if body.keys() <= shape.fields.keys() else None


@given(
    shape=st.sampled_from(_SHAPES),
    left_out=st.sets(st.sampled_from(sorted(_WHOLE)), max_size=4),
    wrong=st.dictionaries(st.sampled_from([*sorted(_WHOLE), "status"]), _ANYTHING, max_size=2),
)
def test_a_body_is_read_as_the_framework_reads_it(shape: StrictSerializer, left_out: set[str], wrong: Any) -> None:
    whole = {name: value for name, value in _WHOLE.items() if name in shape.fields and name not in left_out}
    body = {**whole, **wrong}
    assert read(shape, body) == framework(shape, body)


@pytest.mark.parametrize("shape", _SHAPES)
def test_what_is_right_is_read_by_its_fields_alone(shape: StrictSerializer) -> None:
    whole = {name: value for name, value in _WHOLE.items() if name in shape.fields}
    assert read(shape, whole) == framework(shape, whole) != None  # noqa: E711 - and it is not nothing
    required = {name: value for name, value in whole.items() if shape.fields[name].required}
    assert read(shape, required) == framework(shape, required)
    assert read(shape, required)["reference"] == ""
    assert read(shape, {**required, "metadata": {}}) == framework(shape, {**required, "metadata": {}})


def test_fields_that_the_framework_validates_further_are_left_to_it() -> None:
    class Checked(StrictSerializer):
        amount = DepositInput().fields["amount"]

        def validate_amount(self, value: int) -> int:
            return value

    for shape, body in ((Checked(), {"amount": 1}), (GroupInput(), {"transfers": []})):
        with pytest.raises(NotPlain):
            shape.read_plain(body)
