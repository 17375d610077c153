"""Reversals, and payments of several parts."""

from collections.abc import Sequence

from tests.ledger.model.holds import Holds
from tests.ledger.model.model import Leg

Part = tuple[int, int, int]


class Givings(Holds):
    def reverse(self, number: int, of: int, by: int, amount: int | None) -> str:
        """The owner of the account `by` gives back what a transfer brought him; all that is left, when no amount is
        said."""
        original, owner = self.unit(of), self.purses[by].owner
        received = original.legs[0]
        held = original.over is not None and original.approved
        if self.owner(received.credit) != owner or not (
            original.status == "cleared" or received.kind == "deposit" or held
        ):
            return "transaction_not_found"
        if received.kind != "transfer" or original.status != "cleared":
            return "not_reversible"
        asked = ("reverse", of, amount)
        if earlier := self.replay(number, asked):
            return earlier
        legs = [Leg("reversal", received.credit, received.debit, amount or received.worth)]
        if self.shut(legs):
            return "account_not_open"
        left = received.worth - self.reversed(original.name)
        if amount is None:
            legs[0].amount = left or legs[0].amount
        if legs[0].amount > left:
            return "reversal_exceeds"
        if self.short_of(legs):
            return self.refuse(number, asked, owner, legs, "insufficient_funds", reverses=original.name)
        self.record(number, asked, owner, legs, reverses=original.name)
        return "created"

    def reversed(self, name: str) -> int:
        """So much of a transfer is given back, or about to be."""
        return sum(
            unit.legs[0].amount for unit in self.units.values() if unit.reverses == name and unit.status != "failed"
        )

    def pay(self, number: int, by: int, parts: Sequence[Part]) -> str:
        """Several transfers that stand and fall together, each with its fee."""
        if any(source == destination for source, destination, _ in parts):
            return "same_account"
        legs = []
        for source, destination, amount in parts:
            legs += [Leg("transfer", source, destination, amount), *self.fee("transfer", source, amount)]
        owner = self.purses[by].owner
        asked = ("pay", by, tuple(parts))
        if earlier := self.replay(number, asked):
            return earlier
        if any(self.purses[source].owner != owner for source, _, _ in parts):
            return "account_not_found"
        return self.ask(number, asked, owner, legs)
