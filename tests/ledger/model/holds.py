"""Holds: what their payee, their payer and the clock can do to them."""

from tests.ledger.model.at_the_bank import AtTheBank
from tests.ledger.model.model import Leg, Unit


class Holds(AtTheBank):
    def hold(self, number: int, source: int, destination: int, amount: int, days: int) -> str:
        """A transfer that waits for its payee for so many days."""
        if source == destination:
            return "same_account"
        legs = [Leg("transfer", source, destination, amount), *self.fee("transfer", source, amount)]
        asked = ("hold", source, destination, amount, days)
        return self.ask(number, asked, self.purses[source].owner, legs, over=self.today + days)

    def capture(self, number: int, by: int, amount: int | None, key: str) -> str:
        """By whoever owns the account `by`; with an empty key the same again is the same answer."""
        unit, owner = self.unit(number), self.purses[by].owner
        if key and (owner, key) in self.captures:
            same = self.captures[owner, key] == (number, amount)
            return "replayed" if same else "idempotency_key_reused"
        leg = unit.legs[0]
        if self.owner(leg.credit) != owner or not unit.approved:
            return "hold_not_found"
        wanted = leg.amount if amount is None else amount
        if refusal := self._not_to_be_captured(unit, wanted, key):
            return refusal
        if not unit.captured:
            self._capture(unit, wanted)
            if key:
                self.captures[owner, key] = (number, amount)
        return "created"

    def void(self, number: int, by: int) -> str:
        unit, owner = self.unit(number), self.purses[by].owner
        payee = self.owner(unit.legs[0].credit) == owner and unit.approved
        if not payee and self.owner(unit.legs[0].debit) != owner:
            return "hold_not_found"
        if unit.over is None:
            return "not_a_hold"
        if unit.captured:
            return "already_captured"
        if unit.pending:
            if not payee and not self.is_over(unit):
                return "hold_not_expired"
            self.fail(unit, "expired" if self.is_over(unit) else "voided")
        return "ok"

    def expire(self, limit: int, took: list[str], poison: int = 0) -> str:
        """All but the one that the database refuses, which is set aside until a human has seen to it."""
        for unit in self.taken(took, self.expiring(), limit):
            if unit.name == str(poison):
                self.park(unit, "poisoned_unit")
            else:
                self.fail(unit, "expired")
        return "ok"

    def expiring(self) -> list[Unit]:
        over = [unit for unit in self.units.values() if unit.pending and not unit.captured and self.is_over(unit)]
        return [unit for unit in over if "poisoned_unit" not in unit.escalations]

    def is_over(self, unit: Unit) -> bool:
        return unit.over is not None and unit.over <= self.today

    def _not_to_be_captured(self, unit: Unit, wanted: int, key: str) -> str:
        leg = unit.legs[0]
        if unit.over is None:
            return "not_a_hold" if unit.status == "cleared" or leg.kind == "deposit" else "transaction_not_found"
        if unit.captured:
            return "" if leg.captured == wanted and not key else "already_captured"
        if unit.failure == "voided":
            return "already_voided"
        if unit.failure == "expired" or (unit.pending and self.is_over(unit)):
            return "hold_expired"
        if unit.stage != "held":
            return "hold_not_ready"
        return "capture_exceeds_hold" if wanted > leg.amount else ""

    def _capture(self, unit: Unit, wanted: int) -> None:
        whole = unit.legs[0].amount
        for leg in unit.legs:
            leg.captured = wanted if leg.kind == "transfer" else max(1, leg.amount * wanted // whole)
            self.purses[leg.debit].reserved -= leg.amount - leg.captured
        unit.stage, unit.due = "clearing", True
