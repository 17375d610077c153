"""What customers ask for, and what becomes of it without a bank: screening, officers, clearing."""

import copy
from collections.abc import Sequence

from tests.ledger.model.limits import Limits
from tests.ledger.model.model import Impossible, Leg, Name, Unit


class Requests(Limits):
    def deposit(self, number: int, account: int, amount: int) -> str:
        legs = [Leg("deposit", "settlement", account, amount)]
        return self.ask(number, ("deposit", account, amount), self.purses[account].owner, legs)

    def withdraw(self, number: int, account: int, amount: int) -> str:
        legs = [Leg("withdrawal", account, "settlement", amount), *self.fee("withdrawal", account, amount)]
        return self.ask(number, ("withdraw", account, amount), self.purses[account].owner, legs)

    def transfer(self, number: int, source: int, destination: int, amount: int) -> str:
        if source == destination:
            return "same_account"
        legs = [Leg("transfer", source, destination, amount), *self.fee("transfer", source, amount)]
        return self.ask(number, ("transfer", source, destination, amount), self.purses[source].owner, legs)

    def bulk(
        self,
        number: int,
        by: int,
        items: Sequence[tuple[int, int, int, int]],
        together: bool,
        poison: int,
        took: list[int] | None = None,
        died: bool = False,
    ) -> str:
        """One after another, of which the database refuses one; together, all of them or none. Of one who died those
        that he `took` were asked for."""
        if together:
            told = copy.deepcopy(self)._one_by_one(number, items, poison)
            if any(word not in ("created", "replayed") for word in told):
                return "not_all_accepted"
        done = [each for each in items if not died or each[0] in (took or ())]
        return ", ".join(self._one_by_one(number, done, poison))

    def _one_by_one(self, number: int, items: Sequence[tuple[int, int, int, int]], poison: int) -> list[str]:
        told = []
        for each, source, destination, amount in items:
            leg = Leg("transfer", source, destination, amount)
            goes_in = source != destination and str(each) not in self.units and not self.shut([leg])
            if goes_in and each == poison:
                told.append("poisoned")
                continue
            told.append(self.transfer(each, source, destination, amount))
        return told

    def fee(self, kind: str, payer: int, amount: int) -> list[Leg]:
        """As the settings of this test have it."""
        dear = 5 + (amount + 50) // 100
        due = 3 if kind == "withdrawal" else dear if amount >= 100 else 0
        return [Leg("fee", payer, "fees", due)] if due else []

    def cancel(self, number: int, by: int) -> str:
        unit, owner = self.unit(number), self.purses[by].owner
        if owner != unit.by:
            received = owner == self.owner(unit.legs[0].credit)
            seen = received and (unit.status == "cleared" or (unit.over is not None and unit.approved))
            return "not_cancellable" if seen else "transaction_not_found"
        if unit.pending and unit.stage != "held" and not unit.captured:
            self.fail(unit, "cancelled")
        return "ok" if unit.failure == "cancelled" else "not_cancellable"

    def claim(self, lease: int, limit: int, took: list[str]) -> str:
        """A worker takes up what is to be screened; which of it, when there is more, is his business."""
        for unit in self.taken(took, self.waiting("screening"), limit):
            unit.lease, unit.due = lease, False
        return "ok"

    def decide(self, lease: int, number: int, verdict: str) -> str:
        """What the worker with that lease has found; it counts only while the lease is his."""
        unit = self.unit(number)
        if not unit.pending or unit.lease != lease:
            return "nothing"
        match verdict:
            case "approve":
                self.go_on(unit)
            case "review":
                unit.stage, unit.lease = "review", 0
            case "reject":
                self.fail(unit, "not_permitted")
        return "ok"

    def officer(self, number: int, verdict: str) -> str:
        unit = self.unit(number)
        if not unit.pending or unit.stage != "review":
            return "nothing"
        if verdict == "approve":
            self.go_on(unit)
        else:
            self.fail(unit, "not_permitted")
        return "ok"

    def clear(self, limit: int, took: list[str], poison: int = 0) -> str:
        for unit in self.taken(took, self.waiting("clearing"), limit):
            self._clear(unit, poisoned=unit.name == str(poison))
        return "ok"

    def _clear(self, unit: Unit, *, poisoned: bool) -> None:
        paid = any(leg.kind == "withdrawal" for leg in unit.legs)
        if not paid and any(self.purses[leg.debit].status != "open" for leg in unit.legs):
            self.park(unit, "frozen_account")
        elif poisoned:
            self.park(unit, "poisoned_unit")
        elif any(self._closed(leg.credit) for leg in unit.legs):
            self._turn_away(unit, "account_closed")
        elif self.beyond_a_limit("in", unit.legs):
            self._turn_away(unit, "receiver_limit")
        else:
            self.post(unit)

    def _turn_away(self, unit: Unit, why: str) -> None:
        """It does not reach its receiver; what the bank has collected for him is kept until it is known whose it is."""
        if unit.legs[0].kind == "deposit":
            self.to_suspense(f"bank-payment-{unit.name}", unit.legs[0].amount)
        self.fail(unit, why)

    def ask(self, number: int, asked: object, by: int | None, legs: list[Leg], *, over: int | None = None) -> str:
        if earlier := self.replay(number, asked):
            return earlier
        if self.shut(legs):
            return "account_not_open"
        why = ""
        if self.short_of(legs):
            why = "insufficient_funds"
        elif self.beyond_a_limit("out", legs):
            why = "limit_exceeded"
        if why:
            return self.refuse(number, asked, by, legs, why, over=over)
        self.record(number, asked, by, legs, over=over)
        return "created"

    def shut(self, legs: list[Leg]) -> bool:
        return any(self.purses[leg.debit].status != "open" or self._closed(leg.credit) for leg in legs)

    def taken(self, took: list[str], due: list[Unit], limit: int) -> list[Unit]:
        """Those that a worker took, which must be as many as he could, and due."""
        by_name = {unit.name: unit for unit in due}
        enough = len(took) == min(limit, len(due)) or (self.skips and len(took) < min(limit, len(due)))
        if not set(took) <= set(by_name) or not enough:
            raise Impossible(f"took {took} with a limit of {limit}, due were {sorted(by_name)}")
        return [by_name[name] for name in took]

    def _closed(self, name: Name) -> bool:
        return self.purses[name].status not in ("open", "frozen")
