"""Answers are written as the framework would write them, byte for byte."""

from collections import OrderedDict
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.utils.translation import gettext_lazy
from rest_framework import renderers
from rest_framework.utils.serializer_helpers import ReturnDict

from ledger.serializers.inputs import DepositInput
from ledger.states import TransactionStatus
from wallet_project.api.renderers import JSONRenderer

_ID = UUID("01980000-0000-7000-8000-000000000001")


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        {"amount": 10**15, "fee": None, "replayed": False, "items": [1, -2, []], "rate": 0.5},
        {"reference": 'für "ü" \\ / \t\n\x7f <b>&', "metadata": {"ß": "€", "": "𝄞"}},
        {"lines": "one\u2028two\u2029three"},
        {
            "id": _ID,
            "day": date(2026, 11, 29),
            "at": datetime(2026, 11, 29, 1, 2, 3, tzinfo=UTC),
            "rate": Decimal("1.50"),
        },
        {"status": TransactionStatus.PENDING, "title": gettext_lazy("Too busy")},
        OrderedDict(b=1, a=(1, 2)),
        ReturnDict({"amount": 1}, serializer=DepositInput()),
        {"more than 64 bits": 2**70},
        ["a", {"b": [{"c": {}}]}],
    ],
)
@pytest.mark.parametrize("media_type", [None, "application/json", "application/json; indent=4"])
def test_an_answer_is_the_frameworks_text(data: Any, media_type: str | None) -> None:
    wanted = renderers.JSONRenderer().render(data, media_type, {})
    assert JSONRenderer().render(data, media_type, {}) == wanted
