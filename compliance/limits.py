"""The limits in force, per currency, out of the settings."""

from collections.abc import Mapping
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from compliance.rules import Limits
from wallet_project.utils.money import about_euros, currencies

#: Limits in units of about a euro (the issuing policy's round figures).
_DEFAULT_UNITS: Final[Mapping[str, int]] = {
    "single_amount": 10_000,
    "new_account_amount": 5_000,
    "first_payment_amount": 2_500,
    "out_per_day": 50_000,
    "reject_from": 1_000_000,
}
_COUNTS: Final = frozenset({"debits_per_hour", "just_under_count"})
_DEFAULT_FOUR_EYES_UNITS: Final = 50_000


def limits_of(currency: str) -> Limits:
    """Defaults overlaid with settings.SCREENING_LIMITS[currency] (minor units). Raises ImproperlyConfigured."""
    own: Any = settings.SCREENING_LIMITS.get(currency, {})
    if not isinstance(own, dict):
        raise ImproperlyConfigured(f"SCREENING_LIMITS[{currency!r}] is an object of limits")
    unknown = set(own) - set(_DEFAULT_UNITS) - _COUNTS
    if unknown or not all(type(value) is int and value > 0 for value in own.values()):
        raise ImproperlyConfigured(f"SCREENING_LIMITS[{currency!r}]: whole positive numbers for the known limits only")
    amounts = {name: about_euros(units, currency) for name, units in _DEFAULT_UNITS.items()}
    return Limits(currency=currency, **{**amounts, **own})


def check_limits() -> None:
    """Raises ImproperlyConfigured when SCREENING_LIMITS, FOUR_EYES_FROM or the scores say what nothing would go by."""
    if not 0 < settings.SCORE_REVIEW_FROM <= settings.SCORE_REJECT_FROM:
        raise ImproperlyConfigured("SCORE_REVIEW_FROM is more than 0, and no more than SCORE_REJECT_FROM")
    for name in ("SCREENING_LIMITS", "FOUR_EYES_FROM"):
        own = getattr(settings, name)
        if not isinstance(own, dict):
            raise ImproperlyConfigured(f"{name} is an object by currencies")
        if unknown := set(own) - set(currencies()):
            raise ImproperlyConfigured(f"{name} names currencies that no account can have: {', '.join(unknown)}")
    limits_in_force()
    for currency, amount in settings.FOUR_EYES_FROM.items():
        if type(amount) is not int or amount <= 0:
            raise ImproperlyConfigured(f"FOUR_EYES_FROM[{currency!r}] is a whole positive number of minor units")


def limits_in_force() -> dict[str, Limits]:
    return {currency: limits_of(currency) for currency in currencies()}


def four_eyes_from(currency: str) -> int:
    """The amount (minor units) from which an approval needs a second person: settings.FOUR_EYES_FROM[currency]."""
    own: Mapping[str, int] = settings.FOUR_EYES_FROM
    return own.get(currency, about_euros(_DEFAULT_FOUR_EYES_UNITS, currency))
