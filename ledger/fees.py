"""What a payment costs its payer: rules by kind, currency and amount band, from settings.FEES. Amounts: minor units.

`{"transfer": {"EUR": [{"from": 1, "flat": 10}, {"from": 100000, "basis_points": 25, "min": 50, "max": 2500}]}}`: of the
bands whose `from` is not above the amount the highest one counts; below the lowest one, and where nothing is said,
it costs nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from ledger.states import TransactionKind
from wallet_project.utils.money import MAX_AMOUNT, Money, currencies

#: What can cost something.
CHARGED_KINDS: Final = (TransactionKind.TRANSFER, TransactionKind.WITHDRAWAL)
_HUNDRED_PERCENT: Final = 10_000
#: Each member of a band as settings name it, with its default and the most that it may be.
_MEMBERS: Final[Mapping[str, tuple[int, int]]] = {
    "from": (1, MAX_AMOUNT),
    "flat": (0, MAX_AMOUNT),
    "basis_points": (0, _HUNDRED_PERCENT),
    "min": (0, MAX_AMOUNT),
    "max": (MAX_AMOUNT, MAX_AMOUNT),
}


@dataclass(frozen=True, slots=True)
class FeeBand:
    """For amounts from `start` on: `flat` plus `basis_points` (hundredths of a per cent), at least `least`, at most
    `most`. A half of a minor unit is rounded up."""

    start: int
    flat: int
    basis_points: int
    least: int
    most: int

    def fee(self, amount: int) -> int:
        """0: it costs nothing."""
        share = (amount * self.basis_points + _HUNDRED_PERCENT // 2) // _HUNDRED_PERCENT
        return min(max(self.flat + share, self.least), self.most)


def fee_in(bands: Sequence[FeeBand], amount: int) -> int:
    """The fee for `amount` by the highest band that it reaches; 0 when it reaches none."""
    reached = [band for band in bands if band.start <= amount]
    return max(reached, key=lambda band: band.start).fee(amount) if reached else 0


def fee_of(kind: str, amount: Money) -> int:
    """What a payment of this kind costs now, in minor units of the amount's currency."""
    said = settings.FEES.get(kind, {}).get(amount.currency, ())
    return fee_in([_band(band) for band in said], amount.amount)


def check_fees() -> None:
    """Raises ImproperlyConfigured when settings.FEES says what nobody could go by."""
    for kind, by_currency in _members("FEES", settings.FEES, known=CHARGED_KINDS):
        for currency, bands in _members(f"FEES[{kind!r}]", by_currency, known=currencies()):
            where = f"FEES[{kind!r}][{currency!r}]"
            if not isinstance(bands, list) or not bands:
                raise ImproperlyConfigured(f"{where} is a list of bands")
            for band in bands:
                _check_band(where, band)
            if len({_band(band).start for band in bands}) != len(bands):
                raise ImproperlyConfigured(f"{where} has two bands that begin at the same amount")


def _check_band(where: str, band: Any) -> None:
    for name, value in _members(f"A band of {where}", band, known=_MEMBERS):
        least, most = 1 if name == "from" else 0, _MEMBERS[name][1]
        if type(value) is not int or not least <= value <= most:
            raise ImproperlyConfigured(f"{name} in a band of {where} is a whole number from {least} to {most}")
    if _band(band).least > _band(band).most:
        raise ImproperlyConfigured(f"A band of {where} has a min above its max")


def _members(where: str, said: Any, *, known: Any) -> list[tuple[str, Any]]:
    if not isinstance(said, dict):
        raise ImproperlyConfigured(f"{where} is an object")
    if unknown := sorted(set(said) - set(known)):
        raise ImproperlyConfigured(f"{where} names what is not known: {', '.join(unknown)}")
    return list(said.items())


def _band(said: Mapping[str, int]) -> FeeBand:
    start, flat, basis_points, least, most = (said.get(name, default) for name, (default, _) in _MEMBERS.items())
    return FeeBand(start=start, flat=flat, basis_points=basis_points, least=least, most=most)
