"""What the API takes of money. Amounts are integers of minor units."""

from collections.abc import Mapping
from typing import Any, Final

from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail

from accounts.serializers import DestinationField, IbanField
from ledger import fees
from ledger.models import Transaction
from ledger.services import groups, holds
from wallet_project.api.fields import (
    AmountField,
    BoundedListField,
    CurrencyField,
    IdField,
    MetadataField,
    TextField,
    WholeNumberField,
)
from wallet_project.api.id_or_object import IdOrObjectField
from wallet_project.api.serializers import StrictSerializer
from wallet_project.utils.model_fields import longest_text
from wallet_project.utils.money import MAX_AMOUNT, Money

_NOTHING_EXPIRES: Final = 'Only what is held expires: send it with "capture": "manual", or leave it out.'


class MoneyInput(StrictSerializer):
    amount = AmountField(help_text="Minor units (cents).")
    currency = CurrencyField(help_text="The account's.")
    reference = TextField(
        max_length=longest_text(Transaction, "reference"),
        allow_blank=True,
        default="",
        help_text="Your words; the receiver sees them.",
    )

    @classmethod
    def arguments_of(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """Keyword arguments of the use case, from what `run_validation` gave."""
        return with_money(values)


class PaymentInput(MoneyInput):
    fee = WholeNumberField(
        least=0,
        most=MAX_AMOUNT,
        required=False,
        help_text="What you were quoted, in minor units: if it costs another fee by now, nothing is done.",
    )


class DepositInput(MoneyInput):
    account = IdField(help_text="One of yours.")


class BeneficiaryInput(StrictSerializer):
    name = TextField(max_length=140, help_text="Of the account's holder.")
    iban = IbanField(help_text="With or without spaces.")


class WithdrawalInput(PaymentInput):
    account = IdField(help_text="One of yours.")
    beneficiary = IdOrObjectField(shape=BeneficiaryInput, help_text="One that you keep, by its id, or a new one.")


class GroupedTransferInput(PaymentInput):
    source = IdField(help_text="One of your accounts.")  # type: ignore[assignment]
    destination = DestinationField(
        help_text="Anybody's account in the same currency, or a payee's handle: it goes to the oldest open account."
    )
    metadata = MetadataField(default=dict, help_text="Yours alone: the receiver does not see it.")


class TransferInput(GroupedTransferInput):
    capture = TextField(
        max_length=9,
        choices=("automatic", "manual"),
        default="automatic",
        help_text="`manual`: a hold. The receiver sees it when it is approved, and captures or voids it.",
    )
    expires_in = WholeNumberField(
        least=holds.MIN_SECONDS,
        most=holds.MAX_SECONDS,
        required=False,
        help_text="Seconds; of a hold that is not captured by then nothing is paid. 7 days unless said.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["capture"] == "automatic" and "expires_in" in attrs:
            raise serializers.ValidationError({"expires_in": [ErrorDetail(_NOTHING_EXPIRES, code="not_a_hold")]})
        return attrs

    @classmethod
    def arguments_of(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        arguments = super().arguments_of(values)
        if arguments.pop("capture") == "manual":
            arguments.setdefault("expires_in", holds.DEFAULT_SECONDS)
        return arguments


class GroupInput(StrictSerializer):
    transfers = BoundedListField(
        child=GroupedTransferInput(),
        min_length=groups.MIN_TRANSFERS,
        max_length=groups.MAX_TRANSFERS,
        help_text="All from accounts of yours.",
        error_messages={
            "not_a_list": "Send a list of transfers.",
            **dict.fromkeys(
                ("min_length", "max_length"), f"A group has {groups.MIN_TRANSFERS} to {groups.MAX_TRANSFERS} transfers."
            ),
        },
    )

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments of the use case."""
        return {"transfers": [groups.Part(**with_money(part)) for part in self.validated_data["transfers"]]}


class QuoteInput(StrictSerializer):
    kind = TextField(max_length=10, choices=fees.CHARGED_KINDS)
    amount = AmountField(help_text="Minor units (cents).")
    currency = CurrencyField()

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments of the use case."""
        return with_money(self.validated_data)


class CaptureInput(StrictSerializer):
    amount = AmountField(required=False, help_text="Minor units; all of it unless said. The rest goes back at once.")


class ReversalInput(StrictSerializer):
    amount = AmountField(required=False, help_text="Minor units; all that is left unless said.")
    reason = TextField(
        max_length=longest_text(Transaction, "reference"), help_text="Your words; whoever gets it back sees them."
    )


def with_money(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same with `amount` and `currency` in one."""
    rest = {name: value for name, value in values.items() if name != "currency"}
    return {**rest, "amount": Money(values["amount"], values["currency"])}
