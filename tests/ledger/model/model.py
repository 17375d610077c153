"""The wallet as it ought to be, in plain Python: it knows nothing of our code, nor that there is a database.

Amounts are minor units of the one currency that it keeps. Purses are named by numbers (customers') or by what they are
for (the wallet's own); units of transactions by the key under which they were asked for. Each act returns what whoever
asked is told: a word for what was done, or the code of the refusal.
"""

from dataclasses import dataclass, field
from typing import Any

#: The wallet's own purses, which may be below zero: all cleared balances add up to nothing.
OWN = ("settlement", "suspense", "fees", "loss")
TRIES = 8
DAY = 86_400

Name = int | str


class Impossible(AssertionError):
    """The wallet says that it did what it could not have done."""


@dataclass
class Purse:
    owner: int | None = None
    cleared: int = 0
    reserved: int = 0
    status: str = "open"

    @property
    def available(self) -> int:
        return self.cleared - self.reserved


@dataclass
class Leg:
    kind: str
    debit: Name
    credit: Name
    amount: int
    captured: int | None = None

    @property
    def worth(self) -> int:
        """What it reserves, and what it will move: the rest of a hold is released when it is captured."""
        return self.amount if self.captured is None else self.captured


@dataclass
class Unit:
    """One request for money: its transactions stand and fall together."""

    name: str
    asked: object
    by: int | None
    legs: list[Leg]
    day: int
    status: str = "pending"
    failure: str = ""
    stage: str = "screening"
    approved: bool = False
    #: Waits to be claimed by a worker; and the claim that is in force, 0 when none is.
    due: bool = True
    lease: int = 0
    #: The day on which a hold is over; None when it is none.
    over: int | None = None
    reverses: str = ""
    #: Of what is returned from suspense: its item there.
    item: str = ""
    cleared_on: int = 0
    #: The act by which it was asked for, to be repeated.
    request: Any = None
    #: How far it is with the bank ("" when it never goes there), and whether the bank is still to be asked.
    rail: str = ""
    asks: bool = False
    #: What waits for a human about it.
    escalations: list[str] = field(default_factory=list)

    @property
    def captured(self) -> bool:
        return self.legs[0].captured is not None

    @property
    def pending(self) -> bool:
        return self.status == "pending"


class Ledger:
    """Purses and units, and the few ways in which either changes."""

    def __init__(self, purses: dict[Name, Purse]) -> None:
        self.purses: dict[Name, Purse] = {name: Purse() for name in OWN} | purses
        self.units: dict[str, Unit] = {}
        #: Captures by (owner, key); limits.
        self.captures: dict[tuple[int | None, str], object] = {}
        self.limits: list[Any] = []
        self.proposals: dict[int, Any] = {}
        #: What is in suspense, by what began it: above zero it came in.
        self.items: dict[str, int] = {}
        #: Days that were let pass, and midnights that came by themselves.
        self.today = 0
        self.midnights = 0
        #: Two act at once: who takes up work passes over what the other has locked.
        self.skips = False

    @property
    def date(self) -> int:
        return self.today + self.midnights

    def owner(self, name: Name) -> int | None:
        return self.purses[name].owner

    def unit(self, number: int) -> Unit:
        return self.units[str(number)]

    def pass_days(self, days: int) -> str:
        self.today += days
        return self.leases_run_out()

    def leases_run_out(self) -> str:
        for unit in self.units.values():
            if unit.stage == "screening" and unit.lease:
                unit.due = True
        return "ok"

    def waiting(self, stage: str) -> list[Unit]:
        return [unit for unit in self.units.values() if unit.stage == stage and unit.pending and unit.due]

    def record(
        self,
        number: int | str,
        asked: object,
        by: int | None,
        legs: list[Leg],
        *,
        over: int | None = None,
        reverses: str = "",
    ) -> Unit:
        """A request that is well formed: pending with its funds reserved."""
        unit = Unit(str(number), asked, by, legs, self.date, over=over, reverses=reverses)
        self.units[unit.name] = unit
        for leg in legs:
            self._reserve(leg.debit, leg.amount)
        return unit

    def refuse(
        self,
        number: int,
        asked: object,
        by: int | None,
        legs: list[Leg],
        why: str,
        *,
        over: int | None = None,
        reverses: str = "",
    ) -> str:
        """Recorded as failed from the start; its key is used up."""
        unit = self.units[str(number)] = Unit(str(number), asked, by, legs, self.date, over=over, reverses=reverses)
        unit.status, unit.failure, unit.stage = "failed", why, ""
        return why

    def replay(self, number: int, asked: object) -> str | None:
        """What the same key gives a second time; None when it is the first."""
        earlier = self.units.get(str(number))
        if earlier is None:
            return None
        if earlier.asked != asked:
            return "idempotency_key_reused"
        return earlier.failure if self.refused_at_once(earlier) else "replayed"

    @staticmethod
    def refused_at_once(unit: Unit) -> bool:
        return unit.failure in ("insufficient_funds", "limit_exceeded")

    def short_of(self, legs: list[Leg]) -> bool:
        needed: dict[Name, int] = {}
        for leg in legs:
            needed[leg.debit] = needed.get(leg.debit, 0) + leg.amount
        return any(self._reserves(name) and amount > self.purses[name].available for name, amount in needed.items())

    def post(self, unit: Unit) -> None:
        """Its money moves."""
        for leg in unit.legs:
            self._reserve(leg.debit, -leg.worth)
            self.move(leg.debit, leg.credit, leg.worth)
            if unit.item:
                change = leg.worth if leg.credit == "suspense" else -leg.worth
                self.items[unit.item] = self.items.get(unit.item, 0) + change
        unit.status, unit.cleared_on = "cleared", self.date
        self._end(unit)

    def fail(self, unit: Unit, why: str) -> bool:
        """What it had reserved is available again. The bank's word is waited for, once it may have been asked; and
        money that it has collected is not forgotten."""
        collected = unit.rail == "confirmed" and not self._diverted(unit)
        if not unit.pending or unit.rail == "submitted" or collected:
            return False
        for leg in unit.legs:
            self._reserve(leg.debit, -leg.worth)
        if unit.rail == "queued":
            unit.rail = "cancelled"
        unit.status, unit.failure = "failed", why
        self._end(unit)
        return True

    def to_suspense(self, name: str, change: int, *, item: str = "", ask: bool = True) -> bool:
        """Money that moved at the bank and has no home, `change` from the wallet's point of view: an item of its own,
        or a part of one. With `ask` it is asked whose it is. False when it was booked before."""
        if name in self.units:
            return False
        debit, credit = ("settlement", "suspense") if change > 0 else ("suspense", "settlement")
        legs = [Leg("adjustment", debit, credit, abs(change))]
        unit = self.units[name] = Unit(name, None, None, legs, self.date, approved=True)
        unit.item = item or name
        self.post(unit)
        if ask:
            self.ask_whose(unit.item)
        return True

    def ask_whose(self, item: str) -> None:
        about = self.units[item]
        if self.items[item] and "unmatched_money" not in about.escalations:
            about.escalations.append("unmatched_money")

    def move(self, debit: Name, credit: Name, amount: int) -> None:
        self.purses[debit].cleared -= amount
        self.purses[credit].cleared += amount

    def park(self, unit: Unit, why: str) -> None:
        unit.stage, unit.due, unit.lease = "parked", False, 0
        if why not in unit.escalations:
            unit.escalations.append(why)

    def resume(self, unit: Unit) -> None:
        """Back to where it stands."""
        if unit.stage not in ("parked", "settling"):
            return
        at_bank = unit.rail in ("queued", "submitted")
        unit.stage = self._standing(unit) if not unit.approved or not at_bank else "settling"
        unit.due, unit.lease = unit.stage != "settling", 0

    def go_on(self, unit: Unit) -> None:
        """Approved: to the bank, to the payee, or to be posted."""
        unit.approved, unit.lease = True, 0
        if any(leg.kind in ("deposit", "withdrawal") for leg in unit.legs):
            unit.rail, unit.asks = "queued", True
            unit.stage, unit.due = "settling", False
        else:
            unit.stage = self._standing(unit)
            unit.due = True

    def _standing(self, unit: Unit) -> str:
        if not unit.approved:
            return "screening"
        return "held" if unit.over is not None and not unit.captured else "clearing"

    def _reserves(self, name: Name) -> bool:
        return name not in OWN

    def _reserve(self, name: Name, amount: int) -> None:
        if self._reserves(name):
            self.purses[name].reserved += amount

    def _diverted(self, unit: Unit) -> bool:
        return unit.legs[0].kind == "deposit" and f"bank-payment-{unit.name}" in self.units

    def _end(self, unit: Unit) -> None:
        unit.stage, unit.due, unit.lease, unit.asks = "", False, 0, False
