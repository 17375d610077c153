"""Money that goes over a bank, by the words that came from there; what it said is given, what follows is predicted."""

from collections.abc import Mapping

from tests.ledger.model.model import Impossible, Unit
from tests.ledger.model.staff import Staff

#: (status, amount) as the bank tells it; "silent" and "refused" are what came instead of a word.
Word = tuple[str, int]


class AtTheBank(Staff):
    def dispatch(self, plan: str, took: Mapping[str, Word]) -> str:
        """A worker asks the bank about all that is under way; a payout of a frozen account does not leave."""
        due = [unit for unit in self.units.values() if unit.rail in ("queued", "submitted") and unit.asks]
        stopped = [
            unit
            for unit in due
            if unit.rail == "queued"
            and unit.legs[0].kind == "withdrawal"
            and self.purses[unit.legs[0].debit].status != "open"
        ]
        asked = [unit for unit in due if unit not in stopped]
        if {unit.name for unit in asked} != set(took):
            raise Impossible(f"asked the bank about {sorted(took)}, due were {[unit.name for unit in asked]}")
        for unit in stopped:
            unit.asks = False
            self.park(unit, "frozen_account")
        for unit in asked:
            unit.rail = "submitted"
            self._hear(unit, took[unit.name])
        return "ok"

    def deliver(self, event: int, took: list[tuple[str, Word]]) -> str:
        """A message of the bank's, perhaps late, in another order, or not for the first time."""
        for about, word in took:
            if word[0] == "credit":
                self.to_suspense(about, word[1])
            else:
                self._hear(self.units[about], word)
        return "ok"

    def bank_ends(self, reference: str, status: str, more: int) -> str:
        return "ok"

    def somebody_pays_in(self, amount: int) -> str:
        return "ok"

    def _hear(self, unit: Unit, word: Word) -> None:
        status, amount = word
        leg = unit.legs[0]
        match status:
            case "refused":
                unit.asks = False
                if "rail_refused" not in unit.escalations:
                    unit.escalations.append("rail_refused")
            case "rejected" if unit.rail == "submitted":
                unit.rail, unit.asks = "rejected", False
                self.fail(unit, "bank_rejected")
                if unit.item:
                    self.ask_whose(unit.item)
            case "settled" if unit.rail == "submitted" and amount == leg.amount:
                unit.rail, unit.asks = "confirmed", False
                self.resume(unit)
            case "settled" if unit.rail == "submitted":
                self._settled_otherwise(unit, amount)
            case "settled" if unit.rail == "rejected":
                self._book(unit, amount, again=False)

    def _settled_otherwise(self, unit: Unit, amount: int) -> None:
        unit.asks = False
        if unit.legs[0].kind == "deposit" or unit.item:
            unit.rail = "rejected"
            self.fail(unit, "bank_amount_differs")
        self._book(unit, amount, again=True)

    def _book(self, unit: Unit, amount: int, *, again: bool) -> None:
        """What moved is in suspense, and it is asked on the payment itself whose it is; of money that was to be
        returned, on what came in. `again`: also when it was asked before."""
        change = amount if unit.legs[0].kind == "deposit" else -amount
        name = f"bank-payment-{unit.name}"
        made = self.to_suspense(name, change, item=unit.item, ask=bool(unit.item))
        if not unit.item and (made or again) and "unmatched_money" not in unit.escalations:
            unit.escalations.append("unmatched_money")
