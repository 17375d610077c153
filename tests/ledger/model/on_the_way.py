"""What takes several commits, and dies at one of them: what leads there, and what is done after it."""

from collections.abc import Callable, Iterator

from tests.ledger.model.draw import ACCOUNTS, Draw
from tests.ledger.model.plays import PLAYS, Act, requests

#: An act, and whether who does it dies.
Deadly = tuple[Act, bool]


def _prepared(draw: Draw, *acts: Act) -> Iterator[Deadly]:
    """Asked for, and found to be good."""
    for act in acts:
        yield act, False
    for act in PLAYS["screen"].plan(draw):
        yield act, False


def _little(draw: Draw, place: int) -> dict[str, int]:
    return {"number": draw.another(), "amount": 1 + (draw.amount + place) % 50}


def _payments(draw: Draw, name: str, **more: int) -> list[Act]:
    """From two accounts, each to another."""
    between = [
        {
            "source": (draw.a + place) % ACCOUNTS,
            "destination": (draw.a + place + 1 + draw.b % (ACCOUNTS - 1)) % ACCOUNTS,
        }
        for place in range(2)
    ]
    return [(name, {**_little(draw, place), **ends, **more}) for place, ends in enumerate(between)]


def _clearing(draw: Draw) -> Iterator[Deadly]:
    """A batch that is halved, as one of it can't be posted."""
    yield from _prepared(draw, *_payments(draw, "transfer"))
    waiting = [unit for unit in requests(draw.book) if unit.stage == "clearing"]
    if waiting:
        yield ("clear", {"limit": 1_000, "poison": int(draw.one(waiting).name)}), True
        yield ("clear", {"limit": 1_000}), False


def _expiry(draw: Draw) -> Iterator[Deadly]:
    """Holds whose time is over, of which one can't be ended."""
    yield from _prepared(draw, *_payments(draw, "hold", days=1))
    yield ("pass_days", {"days": 1}), False
    over = [unit for unit in draw.book.expiring() if unit.asked is not None]
    if over:
        yield ("expire", {"limit": 1_000, "poison": int(draw.one(over).name)}), True
        yield ("expire", {"limit": 1_000}), False


def _bulk(draw: Draw) -> Iterator[Deadly]:
    """Cut in halves for the sake of one of its last; sent again as it was, nothing is wrong with that one."""
    name, arguments = next(PLAYS["bulk"].plan(draw))
    poison = arguments["items"][-1 - draw.amount % 2][0]
    yield (name, {**arguments, "together": False, "poison": poison}), True
    yield (name, {**arguments, "together": False, "poison": 0}), False


def _rails(draw: Draw) -> Iterator[Deadly]:
    """The bank has been asked about all; some of its answers are kept."""
    payout = ("withdraw", {**_little(draw, 0), "account": draw.account})
    yield from _prepared(draw, payout, ("deposit", {**_little(draw, 1), "account": draw.other}))
    yield ("dispatch", {"plan": draw.second(("settle", "reject", "processing", "refuse", "settle otherwise"))}), True
    yield ("dispatch", {"plan": "settle"}), False


def _events(draw: Draw) -> Iterator[Deadly]:
    """The bank's word is kept before it is acted on; what the first has left is found by the second, and by the third,
    who is told what the first was told."""
    first = len(draw.bank.outbox)
    for place in range(2):
        yield ("somebody_pays_in", {"amount": 1 + draw.amount + place}), False
        yield ("deliver", {"event": first + place}), True
    yield ("deliver", {"event": first}), False


WAYS: dict[str, Callable[[Draw], Iterator[Deadly]]] = {
    "clearing": _clearing,
    "expiry": _expiry,
    "bulk": _bulk,
    "rails": _rails,
    "events": _events,
}
