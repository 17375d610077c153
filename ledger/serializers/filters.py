"""What reads of money are asked with."""

from typing import Any, Final

from rest_framework import serializers

from ledger.models import Transaction
from ledger.selectors.transactions import LISTED_KINDS, LISTED_STATUSES
from ledger.states import Direction
from wallet_project.api.fields import (
    AmountParameter,
    IdField,
    InstantField,
    MetadataField,
    TextField,
)
from wallet_project.api.serializers import QuerySerializer
from wallet_project.utils.model_fields import longest_text

_FROM: Final = "From this instant on, or from the beginning of this day in UTC."
_TO: Final = "Until before this instant, or before the beginning of this day in UTC."


class PeriodQuery(QuerySerializer):
    """`from` (a word of Python's) and `to`, which becomes `since` and `until`: since <= time < until."""

    required_period = False

    def get_fields(self) -> dict[str, Any]:
        required = self.required_period
        return {
            **super().get_fields(),
            "from": InstantField(source="since", required=required, help_text=_FROM),
            "to": InstantField(source="until", required=required, help_text=_TO),
        }

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "since" in attrs and "until" in attrs and attrs["since"] >= attrs["until"]:
            raise serializers.ValidationError({"to": "`to` is later than `from`, and itself not in the period."})
        return attrs


class EntryFilter(PeriodQuery):
    kind = serializers.ChoiceField(choices=LISTED_KINDS, required=False)
    type = serializers.ChoiceField(choices=Direction.values, required=False, help_text="As seen from the account.")
    counterparty = IdField(required=False, help_text="The account on the other side.")
    min_amount = AmountParameter(required=False, help_text="Minor units.")
    max_amount = AmountParameter(required=False, help_text="Minor units.")
    reference = TextField(
        max_length=longest_text(Transaction, "reference"), required=False, help_text="Exactly this, capitals too."
    )
    metadata = MetadataField(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "min_amount" in attrs and "max_amount" in attrs and attrs["min_amount"] > attrs["max_amount"]:
            raise serializers.ValidationError({"max_amount": "This is less than `min_amount`."})
        return super().validate(attrs)


class AccountTransactionFilter(EntryFilter):
    status = serializers.ChoiceField(choices=LISTED_STATUSES, required=False)


class TransactionFilter(AccountTransactionFilter):
    type = None  # type: ignore[assignment]


class BalanceQuery(QuerySerializer):
    at = InstantField(required=False, help_text="An instant that has passed; a date is its first one in UTC. Now.")


class StatementQuery(PeriodQuery):
    required_period = True
    format = serializers.ChoiceField(
        choices=["json", "csv"], required=False, help_text="Instead of `Accept: application/json` or `text/csv`."
    )
