"""What the API takes and gives of money. Amounts are integers of minor units."""

import re
from typing import Any

from rest_framework import serializers

from accounts.selectors import format_time
from ledger.failures import public_failure
from ledger.models import Entry, Transaction
from ledger.selectors import LISTED_KINDS, LISTED_STATUSES, TransactionView
from ledger.states import Direction
from wallet_project.api.fields import AmountField, CurrencyField, IdField, MetadataField, TextField
from wallet_project.api.serializers import StrictSerializer
from wallet_project.utils.model_fields import longest_text
from wallet_project.utils.money import Money

_IBAN = re.compile(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}", re.ASCII)


class MoneyInput(StrictSerializer):
    amount = AmountField(help_text="Minor units (cents).")
    currency = CurrencyField(help_text="The account's.")
    reference = TextField(
        max_length=longest_text(Transaction, "reference"),
        allow_blank=True,
        default="",
        help_text="Your words; the receiver sees them.",
    )

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments of the use case."""
        values: dict[str, Any] = dict(self.validated_data)
        values["amount"] = Money(values["amount"], values.pop("currency"))
        return values


class DepositInput(MoneyInput):
    account = IdField(help_text="One of yours.")


class BeneficiaryInput(StrictSerializer):
    name = TextField(max_length=140, help_text="Of the account's holder.")
    iban = TextField(max_length=42, help_text="With or without spaces.")

    def validate_iban(self, value: str) -> str:
        iban = value.replace(" ", "").upper()
        # ISO 13616: country and check digits go to the end, letters count from 10, and the whole leaves 1 by 97.
        digits = "".join(str(int(character, 36)) for character in iban[4:] + iban[:4]) if _IBAN.fullmatch(iban) else "0"
        if int(digits) % 97 != 1:
            raise serializers.ValidationError("This is not an IBAN; look at its digits again.", code="not_an_iban")
        return iban


class WithdrawalInput(MoneyInput):
    account = IdField(help_text="One of yours.")
    beneficiary = BeneficiaryInput()


class TransferInput(MoneyInput):
    source = IdField(help_text="One of your accounts.")  # type: ignore[assignment]
    destination = IdField(help_text="Anybody's account in the same currency.")
    metadata = MetadataField(default=dict, help_text="Yours alone: the receiver does not see it.")


class TransactionFilter(serializers.Serializer[Any]):
    status = serializers.ChoiceField(choices=LISTED_STATUSES, required=False)
    kind = serializers.ChoiceField(choices=LISTED_KINDS, required=False)


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
