"""What the API gives of money. Amounts are integers of minor units."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from rest_framework import serializers

from accounts.selectors import format_time
from accounts.serializers import BalancesOutput
from ledger.failures import public_failure
from ledger.selectors.balances import BalanceAt, Explanation, Part, reserves
from ledger.selectors.entries import EntryView
from ledger.selectors.transactions import LISTED_KINDS, LISTED_STATUSES, TransactionView
from ledger.states import Direction
from wallet_project.api.fields import IdField, MetadataField

_STAGES: Final = ["processing", "held", "settling"]


class FailureOutput(serializers.Serializer[Any]):
    code = serializers.CharField(help_text="Stable; decide by this.")
    message = serializers.CharField()


class CaptureOutput(serializers.Serializer[Any]):
    mode = serializers.ChoiceField(
        choices=["automatic", "manual"], help_text="`manual`: a hold, which its receiver captures, once."
    )
    expires_at = serializers.DateTimeField(allow_null=True, help_text="Of a hold: from then on it can't be captured.")
    captured_amount = serializers.IntegerField(
        allow_null=True,
        help_text="Minor units. What the receiver took of a hold, the fee in proportion; the rest is available again.",
    )
    captured_at = serializers.DateTimeField(allow_null=True)


class TransactionOutput(serializers.Serializer[TransactionView]):
    id = IdField()
    kind = serializers.ChoiceField(choices=LISTED_KINDS)
    status = serializers.ChoiceField(
        choices=LISTED_STATUSES, help_text="`pending` becomes `cleared` or `failed`, for good."
    )
    stage = serializers.ChoiceField(
        choices=_STAGES,
        allow_null=True,
        help_text=(
            "For people to look at while it is pending; `settling`: the bank has to confirm; `held`: its receiver has "
            "to capture it."
        ),
    )
    amount = serializers.IntegerField(
        help_text="What was asked for, in minor units. What moves is `capture.captured_amount` where that is not null."
    )
    currency = serializers.CharField()
    source = IdField(allow_null=True, help_text="The account that pays; null on a deposit.")  # type: ignore[assignment]
    destination = IdField(allow_null=True, help_text="The account that is paid; null on a withdrawal.")
    reference = serializers.CharField()
    metadata = MetadataField(help_text="As you sent it; empty for the receiver.")
    failure = FailureOutput(allow_null=True)
    created_at = serializers.DateTimeField()
    cleared_at = serializers.DateTimeField(allow_null=True)
    capture = CaptureOutput()
    group = IdField(allow_null=True, help_text="What was asked for together has one, for the payer; it ends together.")
    fee = serializers.IntegerField(
        allow_null=True,
        help_text=(
            "Minor units that you pay for it besides `amount`, as a transaction of kind `fee` in its group; null: none."
        ),
    )
    reverses = IdField(allow_null=True, help_text="Of a reversal: the transaction that it takes back, or a part of it.")
    reversed_amount = serializers.IntegerField(help_text="What reversals have taken back so far, in minor units.")

    def to_representation(self, instance: TransactionView) -> dict[str, Any]:
        return shown(instance)


class AccountTransactionOutput(TransactionOutput):
    type = serializers.ChoiceField(choices=Direction.values, help_text="As seen from the account.")

    def to_representation(self, instance: TransactionView) -> dict[str, Any]:
        return {**shown(instance), "type": str(instance.type)}


class EntryOutput(serializers.Serializer[EntryView]):
    sequence = serializers.IntegerField(help_text="The line's number in the account: 1, 2, … without a gap.")
    transaction = IdField()
    kind = serializers.ChoiceField(choices=LISTED_KINDS)
    type = serializers.ChoiceField(choices=Direction.values, help_text="As seen from the account.")
    amount = serializers.IntegerField(help_text="What moved, in minor units.")
    currency = serializers.CharField()
    balance_after = serializers.IntegerField(help_text="The cleared balance after this line, in minor units.")
    counterparty = IdField(allow_null=True, help_text="The other account; null: a bank, or the wallet itself.")
    reference = serializers.CharField()
    created_at = serializers.DateTimeField(help_text="When it was posted.")

    def to_representation(self, instance: EntryView) -> dict[str, Any]:
        return {
            "sequence": instance.sequence,
            "transaction": str(instance.transaction),
            "kind": instance.kind,
            "type": instance.type,
            "amount": instance.amount,
            "currency": instance.currency,
            "balance_after": instance.balance_after,
            "counterparty": _id(instance.counterparty),
            "reference": instance.reference,
            "created_at": format_time(instance.created_at),
        }


class BalanceAtOutput(serializers.Serializer[BalanceAt]):
    account = IdField()
    currency = serializers.CharField()
    at = serializers.DateTimeField()
    balances = BalancesOutput()
    final = serializers.BooleanField(
        help_text="False within a minute after `at`: what was being posted then may still come to it."
    )


class ReservedOutput(serializers.Serializer[TransactionView]):
    """A pending payment, or a hold."""

    transaction = IdField()
    kind = serializers.ChoiceField(choices=LISTED_KINDS)
    stage = serializers.ChoiceField(choices=_STAGES, allow_null=True)
    reserved = serializers.IntegerField(help_text="Minor units: its amount, or what was captured of it.")
    destination = IdField(allow_null=True)
    reference = serializers.CharField()
    group = IdField(allow_null=True)
    expires_at = serializers.DateTimeField(allow_null=True, help_text="Of a hold.")
    created_at = serializers.DateTimeField()

    def to_representation(self, instance: TransactionView) -> dict[str, Any]:
        return {
            "transaction": str(instance.id),
            "kind": instance.kind,
            "stage": instance.stage,
            "reserved": reserves(instance),
            "destination": _id(instance.destination),
            "reference": instance.reference,
            "group": _id(instance.group),
            "expires_at": _time(instance.expires_at),
            "created_at": format_time(instance.created_at),
        }


class PartOutput(serializers.Serializer[Part]):
    count = serializers.IntegerField()
    reserved = serializers.IntegerField(help_text="Minor units.")

    def to_representation(self, instance: Part) -> dict[str, Any]:
        return {"count": instance.count, "reserved": instance.amount}


class ExplanationOutput(serializers.Serializer[Explanation]):
    account = IdField()
    currency = serializers.CharField()
    balances = BalancesOutput()
    newer = PartOutput(help_text="What stands on the pages before; none on the first one.")
    reservations = ReservedOutput(
        many=True, help_text="Newest first. `newer`, these and `older` add up to `balances.reserved`."
    )
    older = PartOutput(help_text="What stands on the pages after this one.")
    next = serializers.URLField(
        allow_null=True, help_text="The next page, as it is when you ask for it; null on the last one."
    )


class StatementOutput(serializers.Serializer[Any]):
    account = IdField()
    currency = serializers.CharField()
    opening = serializers.IntegerField(help_text="The cleared balance before the first line, in minor units.")
    closing = serializers.IntegerField(help_text="After the last line of the period: `opening` and all lines added up.")
    count = serializers.IntegerField(help_text="Lines in the period, on all pages.")
    final = serializers.BooleanField(help_text="False while a line may still come; true from a minute after `to`.")
    lines = EntryOutput(many=True, help_text="In the order in which they were posted.")
    next = serializers.URLField(
        allow_null=True, help_text="The next page, of the same lines and the same closing; null on the last one."
    )

    def get_fields(self) -> dict[str, Any]:
        fields = super().get_fields()
        period = {"from": serializers.DateTimeField(), "to": serializers.DateTimeField()}
        return {"account": fields.pop("account"), "currency": fields.pop("currency"), **period, **fields}


def balances(cleared: int, reserved: int) -> dict[str, int]:
    return {"cleared": cleared, "reserved": reserved, "available": cleared - reserved}


def shown(view: TransactionView) -> dict[str, Any]:
    return {
        "id": str(view.id),
        "kind": str(view.kind),
        "status": str(view.status),
        "stage": view.stage,
        "amount": view.amount,
        "currency": view.currency,
        "source": _id(view.source),
        "destination": _id(view.destination),
        "reference": view.reference,
        "metadata": view.metadata,
        "failure": public_failure(view.failure) if view.failure else None,
        "created_at": format_time(view.created_at),
        "cleared_at": _time(view.cleared_at),
        "capture": {
            "mode": "manual" if view.expires_at else "automatic",
            "expires_at": _time(view.expires_at),
            "captured_amount": view.captured_amount,
            "captured_at": _time(view.captured_at),
        },
        "group": _id(view.group),
        "fee": view.fee,
        "reverses": _id(view.reverses),
        "reversed_amount": view.reversed_amount,
    }


def _id(value: UUID | None) -> str | None:
    return str(value) if value else None


def _time(value: datetime | None) -> str | None:
    return format_time(value) if value else None
