"""What the API takes and gives of people and accounts."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.handles import folded
from accounts.models import Account, Beneficiary, ProfileVersion
from accounts.models.payees import HANDLE_FORM
from accounts.profiles import DOCUMENT_TYPES, Profile
from accounts.selectors import format_time
from accounts.states import AccountStatus, KycStatus, Level
from wallet_project.api.fields import CurrencyField, IdField, StrictDateField, StrictField, TextField
from wallet_project.api.serializers import QuerySerializer, StrictSerializer
from wallet_project.utils.iban import NOT_AN_IBAN, IbanInvalid, normalised_iban
from wallet_project.utils.model_fields import longest_text

#: An IBAN has at most 34 characters, and people write it in groups of four.
_LONGEST_IBAN = 42
_LONGEST_HANDLE = 31


@extend_schema_field(
    {"type": "string", "minLength": 15, "maxLength": _LONGEST_IBAN, "example": "DE89 3704 0044 0532 0130 00"}
)
class IbanField(StrictField):
    """An IBAN with or without spaces, in capitals or not; kept in capitals without spaces."""

    default_error_messages = {"not_an_iban": NOT_AN_IBAN}

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str) or len(data) > _LONGEST_IBAN:
            self.refuse("not_an_iban")
        try:
            return normalised_iban(data)
        except IbanInvalid:
            self.refuse("not_an_iban")


@extend_schema_field({"type": "string", "pattern": "^@?[A-Za-z][A-Za-z0-9_.]{2,29}$", "example": "mia.example"})
class HandleField(StrictField):
    """A handle with or without a leading "@", in letters of any case; kept small and without it."""

    default_error_messages = {
        "not_a_handle": "A handle has 3 to 30 letters a-z, digits, '_' and '.', the first of them a letter."
    }

    def to_internal_value(self, data: Any) -> str:
        handle = folded(data) if isinstance(data, str) and len(data) <= _LONGEST_HANDLE else None
        return handle or self.refuse("not_a_handle")


@extend_schema_field(
    {
        "oneOf": [
            {"type": "string", "format": "uuid"},
            {"type": "string", "pattern": "^@?[A-Za-z][A-Za-z0-9_.]{2,29}$"},
        ],
        "example": "@mia.example",
    }
)
class DestinationField(IdField):
    """An account's id (UUID), or a payee's handle (str), with or without a leading "@"."""

    default_error_messages = {
        "not_a_destination": "A destination is an account's id or a payee's handle such as @mia.example."
    }

    def to_internal_value(self, data: Any) -> UUID | str:  # type: ignore[override]
        if isinstance(data, str) and len(data) <= _LONGEST_HANDLE and (handle := folded(data)):
            return handle
        try:
            return super().to_internal_value(data)
        except serializers.ValidationError:
            self.refuse("not_a_destination")


class ProfileInput(StrictSerializer):
    first_name = TextField(max_length=longest_text(ProfileVersion, "first_name"), help_text="As in the document.")
    last_name = TextField(max_length=longest_text(ProfileVersion, "last_name"), help_text="As in the document.")
    date_of_birth = StrictDateField(help_text="You must be at least 18 years old.")
    country = TextField(max_length=2, pattern="[A-Z]{2}", help_text="Of residence, ISO 3166-1 alpha-2.")
    address = TextField(max_length=longest_text(ProfileVersion, "address"))
    document_type = TextField(max_length=longest_text(ProfileVersion, "document_type"), choices=DOCUMENT_TYPES)
    document_number = TextField(max_length=longest_text(ProfileVersion, "document_number"))

    def profile(self) -> Profile:
        return Profile(**self.validated_data)


class ProfileOutput(ProfileInput):
    version = serializers.IntegerField(help_text="1, 2, …: a change makes a new version.")


class MayOutput(serializers.Serializer[Any]):
    request_accounts = serializers.BooleanField()
    new_accounts_open = serializers.ChoiceField(choices=["at_once", "after_verification", "never"])


class LimitsOutput(serializers.Serializer[Any]):
    accounts = serializers.IntegerField(
        help_text="How many accounts you may have that are neither closed nor rejected."
    )
    beneficiaries = serializers.IntegerField(help_text="How many bank accounts you may keep to pay out to.")
    currencies = serializers.ListField(child=serializers.CharField(), help_text="ISO 4217")


# For the API's document alone: `accounts.selectors.me` gives this shape.
class MeOutput(serializers.Serializer[Any]):
    id = IdField()
    email = serializers.EmailField()
    handle = serializers.CharField(allow_null=True, help_text="By which others find and pay you.")
    kyc_status = serializers.ChoiceField(choices=KycStatus.choices)
    kyc_reason = serializers.CharField(allow_null=True, help_text="Why the identity was not accepted.")
    level = serializers.ChoiceField(
        choices=Level.values,
        allow_null=True,
        help_text="How much is known of you, and so how much you may move (`GET /me/level`); null: not verified yet.",
    )
    profile = ProfileOutput(allow_null=True)
    may = MayOutput(help_text="What you may do in this state.")
    notice = serializers.CharField(allow_null=True, help_text="The same in a sentence; null when all is well.")
    limits = LimitsOutput()
    created_at = serializers.DateTimeField()


class AccountInput(StrictSerializer):
    currency = CurrencyField()
    label = TextField(  # type: ignore[assignment]
        max_length=longest_text(Account, "label"),
        allow_blank=True,
        default="",
        help_text="Your own name for the account.",
    )


class BalancesOutput(serializers.Serializer[Any]):
    """In minor units of the account's currency."""

    cleared = serializers.IntegerField(help_text="Credits less debits that have cleared.")
    reserved = serializers.IntegerField(help_text="Pending debits.")
    available = serializers.IntegerField(help_text="What can be spent now: cleared less reserved.")


class AccountOutput(serializers.Serializer[Account]):
    id = IdField()
    currency = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    status = serializers.ChoiceField(choices=AccountStatus.choices)
    status_reason = serializers.CharField(allow_null=True)
    balances = BalancesOutput()
    created_at = serializers.DateTimeField()

    def to_representation(self, instance: Account) -> dict[str, Any]:
        return {
            "id": str(instance.id),
            "currency": instance.currency,
            "label": instance.label,
            "status": str(instance.status),
            "status_reason": instance.status_reason or None,
            "balances": {
                "cleared": instance.cleared,
                "reserved": instance.reserved,
                "available": instance.available,
            },
            "created_at": format_time(instance.created_at),
        }


class HandleInput(StrictSerializer):
    handle = HandleField()


class PayeeQuery(QuerySerializer):
    currency = CurrencyField(required=False, help_text="In which you would pay.")


# For the API's document alone: `accounts.selectors.payee` gives this shape.
class PayeeOutput(serializers.Serializer[Any]):
    handle = serializers.RegexField(HANDLE_FORM)
    name = serializers.CharField(help_text="Masked: does it fit whom you mean?")
    currencies = serializers.ListField(
        child=serializers.CharField(), help_text="In which the payee can be paid; the one that you asked about."
    )


class NewBeneficiaryInput(StrictSerializer):
    iban = IbanField(help_text="With or without spaces.")
    holder = TextField(max_length=longest_text(Beneficiary, "holder"), help_text="Of the bank account.")
    label = TextField(  # type: ignore[assignment]
        max_length=longest_text(Beneficiary, "label"),
        allow_blank=True,
        default="",
        help_text="Your own name for it.",
    )


class BeneficiaryLabelInput(StrictSerializer):
    label = TextField(  # type: ignore[assignment]
        max_length=longest_text(Beneficiary, "label"),
        allow_blank=True,
        required=False,
        help_text="Your own name for it.",
    )


class BeneficiaryOutput(serializers.Serializer[Beneficiary]):
    id = IdField()
    iban = serializers.CharField(help_text="In capitals, without spaces.")
    holder = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    created_at = serializers.DateTimeField()

    def to_representation(self, instance: Beneficiary) -> dict[str, Any]:
        return {
            "id": str(instance.id),
            "iban": instance.iban,
            "holder": instance.holder,
            "label": instance.label,
            "created_at": format_time(instance.created_at),
        }
