"""What staff fill in when they move money: amounts as people write them, accounts as people find them."""

import re
from typing import Any, Final
from uuid import UUID

from django import forms
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from accounts.models import Account
from accounts.states import AccountKind, AccountStatus, SystemPurpose
from ledger.states import LimitDirection
from ledger.suspense import item_of, open_amount
from wallet_project.utils.admin import ReasonForm, StaffForm
from wallet_project.utils.iban import IbanInvalid, normalised_iban
from wallet_project.utils.money import MAX_AMOUNT, currencies, exponent

_WRITTEN: Final = re.compile(r"(\d{1,16})(?:\.(\d+))?", re.ASCII)


def minor_units(text: str, currency: str) -> int:
    """`1,234.50` EUR as 123450. Raises forms.ValidationError."""
    written = _WRITTEN.fullmatch(text.strip().replace(",", ""))
    digits = exponent(currency)
    if written is None or len(written[2] or "") > digits:
        raise forms.ValidationError(f"An amount of {currency} has at most {digits} digits after the point: 1,234.50")
    amount = int(written[1] + (written[2] or "").ljust(digits, "0"))
    if amount > MAX_AMOUNT:
        raise forms.ValidationError("That is more than one transaction may move.")
    return amount


def account_named(text: str, currency: str) -> Account:
    """By its id, by the word for one of the wallet's own, or by the e-mail address of a customer who has one account in
    the currency. Raises forms.ValidationError."""
    text = text.strip()
    if text.lower() in SystemPurpose.values:
        return Account.objects.get(kind=AccountKind.SYSTEM, purpose=text.lower(), currency=currency)
    if "@" in text:
        owned = Account.objects.filter(customer__user__email=text.lower(), currency=currency)
        found = list(owned.filter(status__in=[AccountStatus.OPEN, AccountStatus.FROZEN])[:2])
        if len(found) > 1:
            raise forms.ValidationError(f"This customer has several accounts in {currency}: give the account's id.")
    else:
        try:
            found = list(Account.objects.filter(id=UUID(text)))
        except ValueError:
            raise forms.ValidationError("An account's id, or a customer's e-mail address.") from None
    if not found:
        raise forms.ValidationError("There is no such account.")
    return found[0]


class AmountField(forms.CharField):
    def __init__(self, **more: Any) -> None:
        widget = UnfoldAdminTextInputWidget(attrs={"inputmode": "decimal"})
        super().__init__(max_length=24, widget=widget, **more)


class MoneyForm(ReasonForm):
    """With amounts in the currency of the row it is about, or of the one that is chosen."""

    amounts: tuple[str, ...] = ("amount",)

    #: Fields that name an account.
    accounts: tuple[str, ...] = ()

    def money_in(self) -> str:
        """The currency."""
        return str(self.cleaned_data.get("currency") or getattr(self.row, "currency", ""))

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or self.cleaned_data
        currency = self.money_in()
        for names, read in ((self.amounts, minor_units), (self.accounts, account_named)):
            for name in names:
                try:
                    values[name] = read(values[name], currency) if currency and values.get(name) else None
                except forms.ValidationError as error:
                    self.add_error(name, error)
        return values


class CorrectionForm(MoneyForm):
    direction = forms.ChoiceField(
        label="Which way",
        choices=[("out", "out of this account, into the other"), ("in", "into this account, out of the other")],
        widget=UnfoldAdminSelectWidget,
    )
    other = forms.CharField(
        label="Other account",
        max_length=254,
        widget=UnfoldAdminTextInputWidget,
        help_text="A whole account id, a customer's e-mail address, or fees, suspense, loss or settlement.",
    )
    amount = AmountField(help_text="As people write it: 1,234.50")
    reference = forms.CharField(
        label="The bank's reference",
        max_length=140,
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text="With the settlement account only: the reference under which the bank's statement has this movement.",
    )
    field_order = ["direction", "other", "amount", "reference", "reason"]
    accounts = ("other",)


class ReversalForm(MoneyForm):
    amount = AmountField(required=False, help_text="Empty: all that has not been given back yet.")
    field_order = ["amount", "reason"]


class SuspenseForm(MoneyForm):
    """On an escalation, or on what has one: the currency is that of its item in suspense."""

    amounts = ()
    accounts = ("account",)

    def money_in(self) -> str:
        item = item_of(getattr(self.row, "escalation", self.row).details)  # type: ignore[union-attr]
        return open_amount(item)[1] if item is not None else ""


class AssignForm(SuspenseForm):
    account = forms.CharField(
        max_length=254,
        widget=UnfoldAdminTextInputWidget,
        help_text="Whose money it is: a whole account id, or the e-mail address of a customer with one account.",
    )
    field_order = ["account", "reason"]


class ReturnForm(ReasonForm):
    name = forms.CharField(
        label="Holder", max_length=140, widget=UnfoldAdminTextInputWidget, help_text="Of the account it came from."
    )
    iban = forms.CharField(label="IBAN", max_length=50, widget=UnfoldAdminTextInputWidget)
    field_order = ["name", "iban", "reason"]

    def clean_iban(self) -> str:
        try:
            return normalised_iban(self.cleaned_data["iban"])
        except IbanInvalid as error:
            raise forms.ValidationError(error.message) from error


class ChargeForm(SuspenseForm):
    bearer = forms.ChoiceField(
        label="Who bears it",
        choices=[("payer", "the customer whose payout it was"), ("account", "another account"), ("loss", "the wallet")],
        widget=UnfoldAdminSelectWidget,
    )
    account = forms.CharField(
        max_length=254,
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text="Of “another account”: a whole account id, or the e-mail address of a customer with one account.",
    )
    field_order = ["bearer", "account", "reason"]


class AgreeForm(StaffForm):
    note = forms.CharField(
        required=False,
        max_length=500,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="If you want to add something. Goes on record under your name, and stays.",
    )


class LimitForm(MoneyForm):
    direction = forms.ChoiceField(choices=LimitDirection.choices, widget=UnfoldAdminSelectWidget)
    per_transaction = AmountField(label="Per transaction", required=False)
    per_day = AmountField(label="Per day (UTC)", required=False)
    per_30_days = AmountField(
        label="In 30 days",
        required=False,
        help_text="Empty: no such limit. All three empty: the limit of this direction is removed. 0: nothing at all.",
    )
    field_order = ["direction", "per_transaction", "per_day", "per_30_days", "reason"]
    amounts = ("per_transaction", "per_day", "per_30_days")


class CustomerLimitForm(LimitForm):
    currency = forms.ChoiceField(
        choices=lambda: [(code, code) for code in currencies()], widget=UnfoldAdminSelectWidget
    )
    field_order = ["currency", *LimitForm.field_order]
