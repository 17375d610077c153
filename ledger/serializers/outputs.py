"""What the API gives of money. Amounts are integers of minor units."""

from typing import Any

from rest_framework import serializers

from accounts.selectors import format_time
from ledger.failures import public_failure
from ledger.models import Entry
from ledger.selectors import LISTED_KINDS, LISTED_STATUSES, TransactionView
from ledger.states import Direction
from wallet_project.api.fields import IdField, MetadataField


class FailureOutput(serializers.Serializer[Any]):
    code = serializers.CharField(help_text="Stable; decide by this.")
    message = serializers.CharField()


class TransactionOutput(serializers.Serializer[TransactionView]):
    id = IdField()
    kind = serializers.ChoiceField(choices=LISTED_KINDS)
    status = serializers.ChoiceField(
        choices=LISTED_STATUSES, help_text="`pending` becomes `cleared` or `failed`, for good."
    )
    stage = serializers.ChoiceField(
        choices=["processing", "held", "settling"],
        allow_null=True,
        help_text="For people to look at while it is pending; `settling`: the bank has to confirm.",
    )
    amount = serializers.IntegerField(help_text="Minor units.")
    currency = serializers.CharField()
    source = IdField(allow_null=True, help_text="The account that pays; null on a deposit.")  # type: ignore[assignment]
    destination = IdField(allow_null=True, help_text="The account that is paid; null on a withdrawal.")
    reference = serializers.CharField()
    metadata = MetadataField(help_text="As you sent it; empty for the receiver.")
    failure = FailureOutput(allow_null=True)
    created_at = serializers.DateTimeField()
    cleared_at = serializers.DateTimeField(allow_null=True)

    def to_representation(self, instance: TransactionView) -> dict[str, Any]:
        return _shown(instance)


class AccountTransactionOutput(TransactionOutput):
    type = serializers.ChoiceField(choices=Direction.values, help_text="As seen from the account.")

    def to_representation(self, instance: TransactionView) -> dict[str, Any]:
        return {**_shown(instance), "type": str(instance.type)}


class EntryOutput(serializers.Serializer[Entry]):
    sequence = serializers.IntegerField(help_text="The line's number in the account: 1, 2, … without a gap.")
    transaction = IdField()
    kind = serializers.ChoiceField(choices=LISTED_KINDS)
    type = serializers.ChoiceField(choices=Direction.values, help_text="As seen from the account.")
    amount = serializers.IntegerField(help_text="Minor units.")
    currency = serializers.CharField()
    balance_after = serializers.IntegerField(help_text="The cleared balance after this line, in minor units.")
    reference = serializers.CharField()
    created_at = serializers.DateTimeField()

    def to_representation(self, instance: Entry) -> dict[str, Any]:
        asked = instance.transaction
        return {
            "sequence": instance.sequence,
            "transaction": str(asked.id),
            "kind": str(asked.kind),
            "type": str(instance.direction),
            "amount": instance.amount,
            "currency": asked.currency,
            "balance_after": instance.balance_after,
            "reference": asked.reference,
            "created_at": format_time(instance.created_at),
        }


def _shown(view: TransactionView) -> dict[str, Any]:
    return {
        "id": str(view.id),
        "kind": str(view.kind),
        "status": str(view.status),
        "stage": view.stage,
        "amount": view.amount,
        "currency": view.currency,
        "source": str(view.source) if view.source else None,
        "destination": str(view.destination) if view.destination else None,
        "reference": view.reference,
        "metadata": view.metadata,
        "failure": public_failure(view.failure) if view.failure else None,
        "created_at": format_time(view.created_at),
        "cleared_at": format_time(view.cleared_at) if view.cleared_at else None,
    }
