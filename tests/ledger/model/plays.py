"""What may be done next, as the model stands: numbers that hypothesis draws become an act with its arguments."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.ledger.model.bank import Bank
from tests.ledger.model.book import Book
from tests.ledger.model.model import Unit

Act = tuple[str, dict[str, Any]]

_ACCOUNTS = 5
_RECENT = 12
_VERDICTS = ("approve", "approve", "approve", "approve", "review", "review", "reject")
_PLANS = ("settle", "settle", "processing", "processing", "reject", "silent", "lost", "refuse", "settle otherwise")
_ACTIONS = ("retry", "retry", "fail", "acknowledge")


@dataclass
class Draw:
    """Numbers, and what they are to choose from."""

    book: Book
    bank: Bank
    a: int
    b: int
    amount: int
    number: int
    leases: list[tuple[int, int]]

    @property
    def account(self) -> int:
        return self.a % _ACCOUNTS

    @property
    def other(self) -> int:
        return self.b % _ACCOUNTS

    def one(self, choices: Any) -> Any:
        """The first number's choice: 0 is the last, which is the one that most probably still matters."""
        last = list(choices)[-_RECENT:]
        return last[-1 - self.a % len(last)]

    def second(self, choices: Any) -> Any:
        return choices[self.b % len(choices)]


def requests(book: Book) -> list[Unit]:
    return [unit for unit in book.units.values() if unit.asked is not None]


def _of(book: Book, stage: str) -> list[Unit]:
    return [unit for unit in requests(book) if unit.stage == stage]


def _escalated(book: Book) -> list[Unit]:
    return [unit for unit in requests(book) if unit.escalations]


def _ask(draw: Draw, name: str, **arguments: int) -> Iterator[Act]:
    yield name, {"number": draw.number, **arguments}


def _deposit(draw: Draw) -> Iterator[Act]:
    yield from _ask(draw, "deposit", account=draw.account, amount=draw.amount)


def _withdraw(draw: Draw) -> Iterator[Act]:
    yield from _ask(draw, "withdraw", account=draw.account, amount=draw.amount)


def _transfer(draw: Draw) -> Iterator[Act]:
    yield from _ask(draw, "transfer", source=draw.account, destination=draw.other, amount=draw.amount)


def _replay(draw: Draw) -> Iterator[Act]:
    """The same key once more, now and then for something else."""
    name, arguments = draw.one(requests(draw.book)).request
    yield name, {**arguments, "amount": arguments["amount"] + (draw.b % 3 == 0)}


def _cancel(draw: Draw) -> Iterator[Act]:
    unit = draw.one(requests(draw.book))
    mine = unit.legs[0].credit if unit.legs[0].kind == "deposit" else unit.legs[0].debit
    yield "cancel", {"number": int(unit.name), "by": draw.other if draw.amount % 5 == 0 else mine}


def _claim(draw: Draw) -> Iterator[Act]:
    yield "claim", {"lease": draw.number, "limit": 1 + draw.b % 4}


def _decide(draw: Draw) -> Iterator[Act]:
    lease, number = draw.one(draw.leases)
    yield "decide", {"lease": lease, "number": number, "verdict": draw.second(_VERDICTS)}


def _leases_run_out(draw: Draw) -> Iterator[Act]:
    yield "leases_run_out", {}


def _officer(draw: Draw) -> Iterator[Act]:
    unit = draw.one(_of(draw.book, "review") or requests(draw.book))
    yield "officer", {"number": int(unit.name), "verdict": "reject" if draw.b % 3 == 0 else "approve"}


def _clear(draw: Draw) -> Iterator[Act]:
    yield "clear", {"limit": 1 + draw.b % 6}


def _work(draw: Draw) -> Iterator[Act]:
    """All that waits for nobody is worked off."""
    yield "claim", {"lease": draw.number, "limit": 1_000}
    for lease, number in list(draw.leases):
        if lease == draw.number:
            yield "decide", {"lease": lease, "number": number, "verdict": "approve"}
    yield "dispatch", {"plan": "settle"}
    yield "clear", {"limit": 1_000}


def _dispatch(draw: Draw) -> Iterator[Act]:
    yield "dispatch", {"plan": draw.second(_PLANS)}


def _bank_ends(draw: Draw) -> Iterator[Act]:
    """What it still works on, or what it had rejected and settles after all."""
    payment = draw.one(_unfinished(draw.bank))
    settles = payment.status == "rejected" or draw.b % 3 != 0
    more = draw.b % 4 == 1 and payment.status == "processing"
    yield (
        "bank_ends",
        {"reference": payment.reference, "status": "settled" if settles else "rejected", "more": int(more and settles)},
    )


def _unfinished(bank: Bank) -> list[Any]:
    return [payment for payment in bank.payments.values() if payment.status != "settled"]


def _somebody_pays_in(draw: Draw) -> Iterator[Act]:
    yield "somebody_pays_in", {"amount": draw.amount}


def _deliver(draw: Draw) -> Iterator[Act]:
    yield "deliver", {"event": draw.one(range(len(draw.bank.outbox)))}


def _freeze(draw: Draw) -> Iterator[Act]:
    status = draw.book.purses[draw.account].status
    yield "unfreeze" if status == "frozen" and draw.b % 4 else "freeze", {"account": draw.account}


def _close(draw: Draw) -> Iterator[Act]:
    yield "close_by_staff" if draw.b % 2 else "close", {"account": draw.account}


def _resolve(draw: Draw) -> Iterator[Act]:
    unit = draw.one(_escalated(draw.book))
    kind = draw.second(unit.escalations)
    yield "resolve", {"number": int(unit.name), "kind": kind, "action": _ACTIONS[draw.amount % len(_ACTIONS)]}


def _pass_days(draw: Draw) -> Iterator[Act]:
    yield "pass_days", {"days": 1 + draw.b % 3}


@dataclass(frozen=True)
class Play:
    name: str
    plan: Callable[[Draw], Iterator[Act]]
    #: Whether there is anything to do it to.
    ready: Callable[[Book, Bank], Any] = lambda book, bank: True


PLAYS: dict[str, Play] = {
    play.name: play
    for play in (
        Play("deposit", _deposit),
        Play("withdraw", _withdraw),
        Play("transfer", _transfer),
        Play("replay", _replay, lambda book, bank: requests(book)),
        Play("cancel", _cancel, lambda book, bank: requests(book)),
        Play("claim", _claim, lambda book, bank: book.waiting("screening")),
        Play("decide", _decide, lambda book, bank: any(unit.lease for unit in book.units.values())),
        Play("leases_run_out", _leases_run_out, lambda book, bank: any(unit.lease for unit in book.units.values())),
        Play("officer", _officer, lambda book, bank: _of(book, "review")),
        Play("clear", _clear, lambda book, bank: _of(book, "clearing")),
        Play("work", _work, lambda book, bank: any(unit.pending for unit in book.units.values())),
        Play("dispatch", _dispatch, lambda book, bank: _of(book, "settling")),
        Play("bank_ends", _bank_ends, lambda book, bank: _unfinished(bank)),
        Play("somebody_pays_in", _somebody_pays_in),
        Play("deliver", _deliver, lambda book, bank: bank.outbox),
        Play("freeze", _freeze),
        Play("close", _close, lambda book, bank: any(purse.cleared == 0 for purse in book.purses.values())),
        Play("resolve", _resolve, lambda book, bank: _escalated(book)),
        Play("pass_days", _pass_days),
    )
}
