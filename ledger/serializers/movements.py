"""What the API gives of groups and quotes. Amounts are integers of minor units."""

from typing import Any

from rest_framework import serializers

from ledger.selectors import LISTED_STATUSES
from ledger.serializers.outputs import TransactionOutput
from ledger.services.groups import GroupView
from ledger.services.payments import Quote
from wallet_project.api.fields import IdField


class QuoteOutput(serializers.Serializer[Quote]):
    amount = serializers.IntegerField(help_text="Minor units, as are the others.")
    fee = serializers.IntegerField(help_text="Send it with the payment, and it is refused if it has changed.")
    total = serializers.IntegerField(help_text="What leaves your account.")
    currency = serializers.CharField()


class GroupOutput(serializers.Serializer[GroupView]):
    id = IdField()
    status = serializers.ChoiceField(choices=LISTED_STATUSES, help_text="Of every transaction in it.")
    transactions = TransactionOutput(many=True, help_text="The transfers as you sent them, then their fees.")

    def to_representation(self, instance: GroupView) -> dict[str, Any]:
        return {
            "id": str(instance.id),
            "status": str(instance.status),
            "transactions": [TransactionOutput(view).data for view in instance.transactions],
        }
