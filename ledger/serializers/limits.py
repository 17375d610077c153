"""What the API gives of limits. Amounts are integers of minor units."""

from typing import Any

from rest_framework import serializers

from ledger.selectors.limits import LimitView
from ledger.states import LimitDirection, LimitScope
from wallet_project.api.fields import IdField


class AllowanceOutput(serializers.Serializer[Any]):
    """In minor units of the account's currency."""

    limit = serializers.IntegerField()
    used = serializers.IntegerField(help_text="More than `limit` where that was set after it had been used.")
    left = serializers.IntegerField(help_text="Never below 0.")


class LimitOutput(serializers.Serializer[LimitView]):
    scope = serializers.ChoiceField(
        choices=LimitScope.values,
        help_text=(
            "`account`: of this account alone; `customer`: of all your accounts in this currency together; `level`: of "
            "them too, by how much is known of you (`GET /me/level`)."
        ),
    )
    direction = serializers.ChoiceField(
        choices=LimitDirection.values,
        help_text=(
            "`out`: transfers and withdrawals, from when they are asked for; what fails is given back. `in`: transfers "
            "and deposits, when they clear."
        ),
    )
    per_transaction = serializers.IntegerField(allow_null=True, help_text="Minor units; null, here and below: any.")
    per_day = AllowanceOutput(allow_null=True, help_text="Of a calendar day in UTC.")
    per_30_days = AllowanceOutput(allow_null=True, help_text="Of today and the 29 days before, in UTC.")

    def to_representation(self, instance: LimitView) -> dict[str, Any]:
        return {
            "scope": str(instance.scope),
            "direction": str(instance.direction),
            "per_transaction": instance.per_transaction,
            "per_day": _allowance(instance.per_day, instance.used_today),
            "per_30_days": _allowance(instance.per_30_days, instance.used_in_30_days),
        }


class AccountLimitsOutput(serializers.Serializer[Any]):
    account = IdField()
    currency = serializers.CharField()
    limits = LimitOutput(many=True, help_text="Those that are set; empty: none. All of them hold.")


def _allowance(limit: int | None, used: int) -> dict[str, int] | None:
    return None if limit is None else {"limit": limit, "used": used, "left": max(limit - used, 0)}
