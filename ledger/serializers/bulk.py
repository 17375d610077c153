"""What the API takes and gives of transfers in bulk."""

from collections.abc import Mapping
from typing import Any, Final

from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError

from ledger.serializers.inputs import GroupedTransferInput
from ledger.serializers.outputs import TransactionOutput, shown
from ledger.services import bulk
from ledger.services.groups import Part
from wallet_project.api.fields import BoundedListField, IdempotencyKeyField, ProblemField, TextField
from wallet_project.api.idempotency import request_hash
from wallet_project.api.problems import describe
from wallet_project.api.serializers import NotPlain, StrictSerializer
from wallet_project.utils.money import Money

_TWICE: Final = "An earlier transfer of this bulk has the same key."


class BulkTransferInput(GroupedTransferInput):
    key = IdempotencyKeyField(help_text="Of this transfer: as if it were sent alone, with this `Idempotency-Key`.")


class TransfersField(BoundedListField):
    """A thousand of them."""

    child = BulkTransferInput()

    def to_internal_value(self, data: Any) -> list[dict[str, Any]]:
        values: list[dict[str, Any]] = super().to_internal_value(data)
        keys: set[str] = set()
        twice: Any = {}
        for number, value in enumerate(values):
            if value["key"] in keys:
                twice[number] = {"key": [ErrorDetail(_TWICE, code="repeated")]}
            keys.add(value["key"])
        if twice:
            raise ValidationError(twice)
        return values

    def run_child_validation(self, data: list[Any]) -> list[dict[str, Any]]:
        try:
            return [self.child.read_plain(item) for item in data]
        except (NotPlain, ValidationError, TypeError, AttributeError):
            values: list[dict[str, Any]] = super().run_child_validation(data)
            return values


class BulkInput(StrictSerializer):
    mode = TextField(
        max_length=11,
        choices=bulk.MODES,
        help_text="`atomic`: all are accepted or none is. `independent`: each is accepted or not for itself.",
    )
    transfers = TransfersField(
        min_length=1,
        max_length=bulk.MAX_TRANSFERS,
        help_text="From accounts of yours, each with a key of its own.",
        error_messages={
            "not_a_list": "Send a list of transfers.",
            **dict.fromkeys(("min_length", "max_length"), f"A bulk has 1 to {bulk.MAX_TRANSFERS} transfers."),
        },
    )

    @staticmethod
    def arguments_of(values: Mapping[str, Any]) -> dict[str, Any]:
        """Keyword arguments of the use case, from what `run_validation` gave."""
        return {"mode": values["mode"], "items": [_item(value) for value in values["transfers"]]}


class BulkResultOutput(serializers.Serializer[bulk.Result]):
    key = serializers.CharField()
    outcome = serializers.ChoiceField(
        choices=("accepted", "refused", "rejected"),
        help_text="`refused`: on record as failed, and its key is used up. `rejected`: no trace, and its key is free.",
    )
    replayed = serializers.BooleanField(help_text="An earlier request with its key had made it.")
    transaction = TransactionOutput(allow_null=True)
    problem = ProblemField(help_text="Why not, as a transfer sent alone would have been answered.")


class BulkOutput(serializers.Serializer[bulk.Bulk]):
    results = BulkResultOutput(many=True, help_text="In the order of `transfers`.")


def bulk_shown(made: bulk.Bulk) -> dict[str, Any]:
    return {"results": [_shown(result) for result in made.results]}


def _shown(result: bulk.Result) -> dict[str, Any]:
    refused = "refused" if result.seen else "rejected"
    return {
        "key": result.key,
        "outcome": refused if result.refusal else "accepted",
        "replayed": result.replayed,
        "transaction": shown(result.seen) if result.seen else None,
        "problem": describe(result.refusal)[0] if result.refusal else None,
    }


def _item(value: Mapping[str, Any]) -> bulk.Item:
    alone = {**value, "capture": "automatic"}
    key = alone.pop("key")
    part = Part(
        source=value["source"],
        destination=value["destination"],
        amount=Money(value["amount"], value["currency"]),
        reference=value["reference"],
        metadata=value["metadata"],
        fee=value.get("fee"),
    )
    return bulk.Item(part, key, request_hash("transfer", {}, alone))
