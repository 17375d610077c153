"""What the API takes and gives of people and accounts."""

from typing import Any

from rest_framework import serializers

from accounts.models import Account, ProfileVersion
from accounts.profiles import DOCUMENT_TYPES, Profile
from accounts.selectors import format_time
from accounts.states import AccountStatus, KycStatus
from wallet_project.api.fields import CurrencyField, IdField, StrictDateField, TextField
from wallet_project.api.serializers import StrictSerializer
from wallet_project.utils.model_fields import longest_text


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
    currencies = serializers.ListField(child=serializers.CharField(), help_text="ISO 4217")


# For the API's document alone: `accounts.selectors.me` gives this shape.
class MeOutput(serializers.Serializer[Any]):
    id = IdField()
    email = serializers.EmailField()
    kyc_status = serializers.ChoiceField(choices=KycStatus.choices)
    kyc_reason = serializers.CharField(allow_null=True, help_text="Why the identity was not accepted.")
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
