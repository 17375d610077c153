"""What the API takes of money. Amounts are integers of minor units."""

import re
from typing import Any

from rest_framework import serializers

from ledger.models import Transaction
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
