"""Limits: what may leave or reach an account, or all accounts of a customer. Added up from what there is, each time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.ledger.model.model import Ledger, Leg, Unit

_COUNTED = {"out": ("transfer", "withdrawal"), "in": ("transfer", "deposit")}
_ROLLING_DAYS = 30


@dataclass(frozen=True)
class Limit:
    """Of one account, or of the customer of that number; None: any amount."""

    account: int | None
    customer: int | None
    direction: str
    per_transaction: int | None
    per_day: int | None
    per_30_days: int | None


class Limits(Ledger):
    def set_limit(
        self,
        account: int | None,
        customer: int | None,
        direction: str,
        per_transaction: int | None,
        per_day: int | None,
        per_30_days: int | None,
    ) -> str:
        self.limits = [
            limit
            for limit in self.limits
            if (limit.account, limit.customer, limit.direction) != (account, customer, direction)
        ]
        if not per_transaction is per_day is per_30_days is None:
            self.limits.append(Limit(account, customer, direction, per_transaction, per_day, per_30_days))
        return "ok"

    def beyond_a_limit(self, direction: str, legs: Sequence[Leg]) -> bool:
        for limit in self.limits:
            amounts = [leg.worth for leg in legs if self._counts(limit, leg)]
            if limit.direction != direction or not amounts:
                continue
            today, rolling = self.used(limit)
            ceilings = (
                (max(amounts), limit.per_transaction),
                (today + sum(amounts), limit.per_day),
                (rolling + sum(amounts), limit.per_30_days),
            )
            if any(ceiling is not None and amount > ceiling for amount, ceiling in ceilings):
                return True
        return False

    def used(self, limit: Limit) -> tuple[int, int]:
        """Of today, and of today and the 29 days before."""
        used = [
            (day, leg.worth)
            for unit in self.units.values()
            for day in self._day_of(unit, limit.direction)
            for leg in unit.legs
            if self._counts(limit, leg)
        ]
        rolling = [(day, amount) for day, amount in used if day > self.date - _ROLLING_DAYS]
        return sum(amount for day, amount in rolling if day == self.date), sum(amount for _, amount in rolling)

    @staticmethod
    def _day_of(unit: Unit, direction: str) -> Iterator[int]:
        """Outgoing money counts from the moment it is asked for unless it fails, incoming money once it has cleared."""
        if direction == "out" and unit.status != "failed":
            yield unit.day
        if direction == "in" and unit.status == "cleared":
            yield unit.cleared_on

    def _counts(self, limit: Limit, leg: Leg) -> bool:
        if leg.kind not in _COUNTED[limit.direction]:
            return False
        mine, other = (leg.debit, leg.credit) if limit.direction == "out" else (leg.credit, leg.debit)
        if limit.account is not None:
            return mine == limit.account
        return self.owner(mine) == limit.customer != self.owner(other)
