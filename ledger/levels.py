"""What customers may send to others by how much is known of them, from settings.LEVEL_LIMITS. Amounts: minor units.

`{"basic": {"EUR": {"per_transaction": 100000, "per_day": 200000, "per_30_days": 1000000}}, "full": {…}}`. A currency
without its own takes the euro's, scaled; what is not named is not limited.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from accounts.states import Level
from wallet_project.utils.money import MAX_AMOUNT, about_euros, currencies

_CENTS: Final = 100


class Allowed(NamedTuple):
    """None: any. A day is one of the calendar in UTC."""

    per_transaction: int | None = None
    per_day: int | None = None
    per_30_days: int | None = None


def allowed(level: str) -> dict[str, Allowed]:
    """By each currency that the wallet keeps. Raises ImproperlyConfigured."""
    own = _object(_object(settings.LEVEL_LIMITS, "").get(level, {}), level)
    if unknown := set(own) - set(currencies()):
        raise ImproperlyConfigured(
            f"LEVEL_LIMITS[{level!r}] names currencies that no account can have: {', '.join(unknown)}"
        )
    euro = _amounts(own.get("EUR", {}), f"{level}.EUR")
    scaled = {
        currency: {name: about_euros(amount // _CENTS, currency) for name, amount in euro.items()}
        for currency in currencies()
    }
    return {
        currency: Allowed(**(_amounts(own[currency], f"{level}.{currency}") if currency in own else scaled[currency]))
        for currency in currencies()
    }


def revision(level: str) -> str:
    """Another one for other limits; empty where there are none."""
    limits = {currency: each for currency, each in sorted(allowed(level).items()) if any_set(each)}
    return hashlib.sha256(json.dumps(limits).encode()).hexdigest()[:16] if limits else ""


def any_set(each: Allowed) -> bool:
    return any(amount is not None for amount in each)


def check_level_limits() -> None:
    """Raises ImproperlyConfigured when LEVEL_LIMITS says what nothing would go by."""
    if unknown := set(_object(settings.LEVEL_LIMITS, "")) - set(Level.values):
        raise ImproperlyConfigured(f"LEVEL_LIMITS names no level: {', '.join(map(str, unknown))}")
    for level in Level.values:
        allowed(level)


def _object(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ImproperlyConfigured(f"LEVEL_LIMITS {where}: an object".replace(" :", ":"))
    return value


def _amounts(value: Any, where: str) -> dict[str, int]:
    amounts = _object(value, where)
    if set(amounts) - set(Allowed._fields) or not all(
        type(amount) is int and 0 <= amount <= MAX_AMOUNT for amount in amounts.values()
    ):
        raise ImproperlyConfigured(
            f"LEVEL_LIMITS {where}: whole numbers from 0 to 10^15 for {', '.join(Allowed._fields)} only"
        )
    return dict(amounts)
