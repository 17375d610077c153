"""Money: an integer of minor units and an ISO 4217 currency. No float and no Decimal comes near it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from django.conf import settings

# One transaction moves 1..10^15 minor units; nine thousand of the largest still fit a bigint balance.
MAX_AMOUNT = 10**15
#: How many units of a currency stand for about a euro, where it is not one. A hundred yen are 60-70 cents: the round
#: figure below the rate, so that a limit is stricter than the euro's, never looser.
_UNITS_PER_EURO: Final[Mapping[str, int]] = {"JPY": 100}


class UnknownCurrency(ValueError):
    """The wallet keeps no accounts in this currency."""


class CurrencyMismatch(ValueError):
    """Amounts of two currencies were added or compared."""


def currencies() -> Mapping[str, int]:
    """The currencies that accounts may be kept in, each with its ISO 4217 exponent (digits after the point)."""
    kept: Mapping[str, int] = settings.WALLET_CURRENCIES
    return kept


def exponent(currency: str) -> int:
    """Digits after the decimal point. Raises UnknownCurrency for a currency the wallet does not keep."""
    try:
        return currencies()[currency]
    except KeyError:
        raise UnknownCurrency(currency) from None


def about_euros(units: int, currency: str) -> int:
    """`units` of about a euro in minor units of `currency`."""
    return units * _UNITS_PER_EURO.get(currency, 1) * int(10 ** exponent(currency))


@dataclass(frozen=True, slots=True)
class Money:
    """`amount` is in minor units (cents) and may be negative, as a system account's balance may."""

    amount: int
    currency: str

    def __post_init__(self) -> None:
        # bool is an int to Python, and a float would be kept without a word.
        if type(self.amount) is not int:
            raise TypeError(f"an amount is an int of minor units, not {type(self.amount).__name__}")
        exponent(self.currency)

    def __add__(self, other: "Money") -> "Money":
        return Money(self.amount + self._amount_of(other), self.currency)

    def __sub__(self, other: "Money") -> "Money":
        return Money(self.amount - self._amount_of(other), self.currency)

    def __neg__(self) -> "Money":
        return Money(-self.amount, self.currency)

    def __lt__(self, other: "Money") -> bool:
        return self.amount < self._amount_of(other)

    def __le__(self, other: "Money") -> bool:
        return self.amount <= self._amount_of(other)

    def __str__(self) -> str:
        return format_money(self.amount, self.currency)

    def _amount_of(self, other: "Money") -> int:
        if self.currency != other.currency:
            raise CurrencyMismatch(f"{self.currency} and {other.currency}")
        return other.amount


def format_money(amount: int, currency: str) -> str:
    """For people: 1234567 minor units of EUR -> '12,345.67 EUR'."""
    digits = exponent(currency)
    sign = "-" if amount < 0 else ""
    whole, part = divmod(abs(amount), 10**digits)
    fraction = f".{part:0{digits}d}" if digits else ""
    return f"{sign}{whole:,}{fraction} {currency}"
