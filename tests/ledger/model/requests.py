"""What customers ask for, and what becomes of it without a bank: screening, officers, clearing."""

from tests.ledger.model.model import Impossible, Ledger, Leg, Name, Unit


class Requests(Ledger):
    def deposit(self, number: int, account: int, amount: int) -> str:
        legs = [Leg("deposit", "settlement", account, amount)]
        return self._ask(number, ("deposit", account, amount), self.purses[account].owner, legs)

    def withdraw(self, number: int, account: int, amount: int) -> str:
        legs = [Leg("withdrawal", account, "settlement", amount), *self.fee("withdrawal", account, amount)]
        return self._ask(number, ("withdraw", account, amount), self.purses[account].owner, legs)

    def transfer(self, number: int, source: int, destination: int, amount: int) -> str:
        if source == destination:
            return "same_account"
        legs = [Leg("transfer", source, destination, amount), *self.fee("transfer", source, amount)]
        return self._ask(number, ("transfer", source, destination, amount), self.purses[source].owner, legs)

    def fee(self, kind: str, payer: int, amount: int) -> list[Leg]:
        return []

    def cancel(self, number: int, by: int) -> str:
        unit = self.unit(number)
        if self.purses[by].owner != unit.by:
            return "transaction_not_found"
        if unit.pending and not (unit.over is not None and unit.approved):
            self.fail(unit, "cancelled")
        return "ok" if unit.failure == "cancelled" else "not_cancellable"

    def claim(self, lease: int, limit: int, took: list[str]) -> str:
        """A worker takes up what is to be screened; which of it, when there is more, is his business."""
        for unit in self._taken(took, self.waiting("screening"), limit):
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

    def clear(self, limit: int, took: list[str]) -> str:
        for unit in self._taken(took, self.waiting("clearing"), limit):
            self.clear_unit(unit)
        return "ok"

    def clear_unit(self, unit: Unit) -> None:
        if any(leg.kind != "withdrawal" and self._shut(leg.debit, "open") for leg in unit.legs):
            self.park(unit, "frozen_account")
        elif any(self._shut(leg.credit, "open", "frozen") for leg in unit.legs):
            if unit.legs[0].kind == "deposit":
                self.to_suspense(f"bank-payment-{unit.name}", unit.legs[0].amount)
            self.fail(unit, "account_closed")
        else:
            self.post(unit)

    def _ask(self, number: int, asked: object, by: int | None, legs: list[Leg], *, over: int | None = None) -> str:
        if earlier := self.replay(number, asked):
            return earlier
        if any(self._shut(leg.debit, "open") or self._shut(leg.credit, "open", "frozen") for leg in legs):
            return "account_not_open"
        if self.short_of(legs):
            return self.refuse(number, asked, by, legs, "insufficient_funds")
        self.record(number, asked, by, legs, over=over)
        return "created"

    def _shut(self, name: Name, *allowed: str) -> bool:
        return self.purses[name].status not in allowed

    @staticmethod
    def _taken(took: list[str], due: list[Unit], limit: int) -> list[Unit]:
        """Those that a worker took, which must be as many as he could, and due."""
        by_name = {unit.name: unit for unit in due}
        if not set(took) <= set(by_name) or len(took) != min(limit, len(due)):
            raise Impossible(f"took {took} with a limit of {limit}, due were {sorted(by_name)}")
        return [by_name[name] for name in took]
