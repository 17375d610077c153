"""What staff move: proposed by one, agreed to by another; and what becomes of money in suspense."""

from dataclasses import dataclass

from tests.ledger.model.givings import Givings
from tests.ledger.model.model import OWN, Leg, Name, Unit

ASKS = "unmatched_money"


@dataclass
class Proposal:
    kind: str
    maker: int
    legs: list[Leg]
    reverses: str = ""
    #: The unit on which it was asked whose the money is, and the item in suspense.
    about: str = ""
    item: str = ""
    status: str = "proposed"


class Adjustments(Givings):
    def propose_correction(self, number: int, by: int, debit: Name, credit: Name, amount: int) -> str:
        if debit == credit:
            return "same_account"
        return self._propose(number, Proposal("correction", by, [Leg("adjustment", debit, credit, amount)]))

    def propose_reversal(self, number: int, by: int, of: int, amount: int | None, at_loss: bool) -> str:
        original = self.unit(of)
        paid = original.legs[0]
        if paid.kind != "transfer" or original.status != "cleared":
            return "not_reversible"
        left = paid.worth - self.reversed(original.name)
        wanted = left if amount is None else amount
        if wanted > left or left == 0:
            return "reversal_exceeds"
        if at_loss and self._has(paid.credit, wanted):
            return "loss_not_needed"
        leg = Leg("reversal", "loss" if at_loss else paid.credit, paid.debit, wanted)
        return self._propose(number, Proposal("loss" if at_loss else "reversal", by, [leg], reverses=original.name))

    def propose_assignment(self, number: int, by: int, about: str, account: int) -> str:
        return self._about_money_in(number, by, about, Leg("adjustment", "suspense", account, 0), "assign")

    def propose_return(self, number: int, by: int, about: str) -> str:
        return self._about_money_in(number, by, about, Leg("withdrawal", "suspense", "settlement", 0), "return")

    def propose_charge(self, number: int, by: int, about: str, account: int | None, at_loss: bool) -> str:
        unit, item = self.units[about], self.item_of(about)
        if ASKS not in unit.escalations:
            return "nothing"
        if self.items[item] > 0:
            return "money_came_in"
        payout = unit.legs[0].debit if unit.legs[0].kind == "withdrawal" else None
        payer: Name | None = "loss" if at_loss else account if account is not None else payout
        if payer is None:
            return "nobody_to_charge"
        leg = Leg("adjustment", payer, "suspense", -self.items[item])
        return self._propose(number, Proposal("charge", by, [leg], about=about, item=item))

    def agree(self, proposal: int, by: int) -> str:
        row = self.proposals[proposal]
        if row.status != "proposed":
            return "adjustment_decided"
        if row.maker == by:
            return "adjustment_needs_a_second_person"
        leg = row.legs[0]
        if any(self.purses[name].status == "closed" for name in (leg.debit, leg.credit)):
            return self._refuse(row, "account_gone")
        if self.purses[leg.debit].status != "open":
            return "paying_account_not_open"
        if row.about and abs(self.items[row.item]) != leg.amount:
            return self._refuse(row, "suspense_item_changed")
        original = self.units.get(row.reverses)
        if row.kind == "loss" and original and self._has(original.legs[0].credit, leg.amount):
            return "loss_not_needed"
        released = self._released_by(row)
        if original and leg.amount > original.legs[0].worth - self.reversed(original.name):
            return self._refuse(row, "reversal_exceeds")
        if leg.debit not in OWN and self.purses[leg.debit].available + released < leg.amount:
            return "funds_missing"
        self._post(proposal, row)
        return "ok"

    def disagree(self, proposal: int, by: int) -> str:
        row = self.proposals[proposal]
        if row.status != "proposed":
            return "adjustment_decided"
        if row.maker == by:
            return "adjustment_needs_a_second_person"
        row.status = "declined"
        return "ok"

    def take_back(self, proposal: int, by: int) -> str:
        row = self.proposals[proposal]
        if row.status != "proposed":
            return "adjustment_decided"
        if row.maker != by:
            return "not_your_proposal"
        row.status = "withdrawn"
        return "ok"

    def _propose(self, number: int, proposal: Proposal) -> str:
        standing = [row.about for row in self.proposals.values() if row.status == "proposed" and row.about]
        if proposal.about in standing:
            return "proposal_stands"
        self.proposals[number] = proposal
        return "ok"

    def _about_money_in(self, number: int, by: int, about: str, leg: Leg, kind: str) -> str:
        item = self.item_of(about)
        if ASKS not in self.units[about].escalations:
            return "nothing"
        if self.items[item] < 0:
            return "money_went_out"
        leg.amount = self.items[item]
        return self._propose(number, Proposal(kind, by, [leg], about=about, item=item))

    def _post(self, number: int, row: Proposal) -> None:
        row.status = "posted"
        if row.kind == "charge":
            payout = self.units[row.about]
            if payout.pending:
                payout.rail, payout.asks = "rejected", False
                self.fail(payout, "bank_amount_differs")
        if row.about:
            self.units[row.about].escalations.remove(ASKS)
        name = f"staff-{number}"
        unit = self.record(name, None, None, row.legs, reverses=row.reverses)
        unit.item = row.item
        if row.kind == "return":
            self.go_on(unit)
        else:
            unit.approved = True
            self.post(unit)

    def _released_by(self, row: Proposal) -> int:
        """What a charge sets free of the account that it charges, by failing the payout that it is about."""
        if row.kind != "charge" or not self.units[row.about].pending:
            return 0
        return sum(leg.worth for leg in self.units[row.about].legs if leg.debit == row.legs[0].debit)

    def _refuse(self, row: Proposal, why: str) -> str:
        row.status = "refused"
        return f"refused: {why}"

    def _has(self, name: Name, amount: int) -> bool:
        return self.purses[name].status == "open" and self.purses[name].available >= amount

    def item_of(self, about: str) -> str:
        return self.item_of_unit(self.units[about])

    @staticmethod
    def item_of_unit(unit: Unit) -> str:
        """Of a request it is what the bank has moved for it, of money that came in itself."""
        return f"bank-payment-{unit.name}" if unit.asked is not None else unit.name
