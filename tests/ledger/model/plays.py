"""What may be done next, as the model stands: numbers that hypothesis draws become an act with its arguments."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.ledger.model.bank import Bank
from tests.ledger.model.book import Book
from tests.ledger.model.draw import ACCOUNTS, Draw
from tests.ledger.model.limits import Limit
from tests.ledger.model.model import Unit

Act = tuple[str, dict[str, Any]]

_VERDICTS = ("approve", "approve", "approve", "approve", "review", "review", "reject")
_PLANS = ("settle", "settle", "processing", "processing", "reject", "silent", "lost", "refuse", "settle otherwise")
_ENOUGH = 100
_ACTIONS = ("retry", "retry", "fail", "acknowledge")


def requests(book: Book) -> list[Unit]:
    return [unit for unit in book.units.values() if unit.asked is not None]


def _of(book: Book, stage: str) -> list[Unit]:
    return [unit for unit in requests(book) if unit.stage == stage]


def _escalated(book: Book) -> list[Unit]:
    return [unit for unit in book.units.values() if unit.escalations]


def _asked_whose(book: Book) -> list[Unit]:
    return [unit for unit in book.units.values() if "unmatched_money" in unit.escalations]


def _proposed(book: Book) -> list[int]:
    return [number for number, row in book.proposals.items() if row.status == "proposed"] or list(book.proposals)


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
    if draw.b % 3 == 0:
        other = {"amount": (arguments.get("amount") or 0) + 1} if name != "pay" else {"parts": arguments["parts"][::-1]}
        arguments = {**arguments, **other}
    yield name, arguments


def _hold(draw: Draw) -> Iterator[Act]:
    yield from _ask(draw, "hold", source=draw.account, destination=draw.other, amount=draw.amount, days=1 + draw.b % 3)


def _capture(draw: Draw) -> Iterator[Act]:
    """Mostly by its payee, mostly what is held, in full or in part, or a little too much; now and then once more."""
    unit = draw.one(_of(draw.book, "held") or _holds(draw.book))
    leg = unit.legs[0]
    amount = draw.second(
        (None, None, leg.amount, max(1, leg.amount // 2), 1 + draw.amount % leg.amount, leg.amount + 1)
    )
    key = "" if draw.amount % 2 else f"capture-{unit.name}"
    yield "capture", {"number": int(unit.name), "by": _mostly(draw, leg.credit), "amount": amount, "key": key}


def _void(draw: Draw) -> Iterator[Act]:
    unit = draw.one(_of(draw.book, "held") or _holds(draw.book))
    leg = unit.legs[0]
    yield "void", {"number": int(unit.name), "by": _mostly(draw, leg.debit if draw.b % 2 else leg.credit)}


def _expire(draw: Draw) -> Iterator[Act]:
    yield "expire", {"limit": 1 + draw.b % 5}


def _holds(book: Book) -> list[Unit]:
    return [unit for unit in requests(book) if unit.over is not None]


def _mostly(draw: Draw, account: Any) -> int:
    """Whose it is to do, or whoever."""
    return draw.other if draw.amount % 7 == 0 else account


def _reverse(draw: Draw) -> Iterator[Act]:
    """A cleared transfer, of which half, all that is left, or too much is given back."""
    cleared = [unit for unit in requests(draw.book) if unit.status == "cleared" and unit.legs[0].kind == "transfer"]
    unit = draw.one(requests(draw.book) if draw.b % 9 == 0 or not cleared else cleared)
    leg = unit.legs[0]
    receiver = leg.credit if leg.credit in range(ACCOUNTS) else draw.other
    amount = draw.second((None, max(1, leg.worth // 2), leg.worth, leg.worth + 1, 1))
    arguments = {"number": draw.number, "of": int(unit.name), "by": _mostly(draw, receiver), "amount": amount}
    yield "reverse", arguments


def _pay(draw: Draw) -> Iterator[Act]:
    """From one's own accounts to two or three, each an amount of its own."""
    parts = [(draw.account, draw.other, draw.amount), (draw.account, (draw.b + 1) % ACCOUNTS, 1 + draw.amount // 2)]
    if draw.amount % 3 == 0:
        parts.append(((draw.a + draw.b) % ACCOUNTS, (draw.a + 2) % ACCOUNTS, 1 + draw.amount // 3))
    yield "pay", {"number": draw.number, "by": draw.account, "parts": tuple(parts)}


def _bulk(draw: Draw) -> Iterator[Act]:
    """From the accounts of one owner, now and then with one that was asked for before, or that the database refuses."""
    owner = draw.book.purses[draw.account].owner
    mine = [account for account in range(ACCOUNTS) if draw.book.purses[account].owner == owner]
    items = [
        (
            draw.another(),
            mine[(draw.a + place) % len(mine)],
            (draw.b + place) % ACCOUNTS,
            1 + draw.amount // (1 + place),
        )
        for place in range(2 + draw.a % 4)
    ]
    before = [unit.request[1] for unit in requests(draw.book) if unit.by == owner and unit.request[0] == "transfer"]
    if before and draw.b % 4 == 0:
        one = before[draw.a % len(before)]
        items.append((one["number"], one["source"], one["destination"], one["amount"]))
    together = draw.amount % 3 == 0
    poison = 0 if together or draw.b % 2 else items[draw.amount % len(items)][0]
    yield (
        "bulk",
        {"number": draw.number, "by": draw.account, "items": tuple(items), "together": together, "poison": poison},
    )


def _poisoned(draw: Draw) -> Iterator[Act]:
    """One of all that is due can't be posted, or can't be ended: the others go on."""
    over = [unit for unit in draw.book.expiring() if unit.asked is not None]
    if over and draw.b % 2:
        yield "expire", {"limit": 1_000, "poison": int(draw.one(over).name)}
    else:
        yield "clear", {"limit": 1_000, "poison": int(draw.one(_of(draw.book, "clearing") or over).name)}


def _set_limit(draw: Draw) -> Iterator[Act]:
    """Of an account or a customer, on one, two or all three of its counts; or none any more."""
    count = draw.amount % 8 if draw.b % 4 else 0
    ceilings = (draw.amount * 2, draw.amount * 3, draw.amount * 4)
    names = ("per_transaction", "per_day", "per_30_days")
    values = {
        name: ceiling if count >> place & 1 else None
        for place, (name, ceiling) in enumerate(zip(names, ceilings, strict=True))
    }
    whose = {"account": None, "customer": draw.a % 3} if draw.a % 2 else {"account": draw.account, "customer": None}
    yield "set_limit", {**whose, "direction": "in" if draw.b % 2 else "out", **values}


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


def _screen(draw: Draw, *, rejected: int = 0) -> Iterator[Act]:
    """All that is to be screened is found to be good, but for that one."""
    yield "claim", {"lease": draw.number, "limit": 1_000}
    for lease, number in list(draw.leases):
        if lease == draw.number:
            verdict = "reject" if number == rejected else "approve"
            yield "decide", {"lease": lease, "number": number, "verdict": verdict}


def _overtaken(draw: Draw) -> Iterator[Act]:
    """A worker whose lease has run out decides after another has taken the same up, and before or after he decides."""
    yield from _transfer(draw)
    late, other = draw.number, draw.another()
    yield "claim", {"lease": late, "limit": 1_000}
    yield "leases_run_out", {}
    yield "claim", {"lease": other, "limit": 1_000}
    mine = [number for lease, number in draw.leases if lease == late]
    if mine:
        number = mine[draw.a % len(mine)]
        decisions: list[Act] = [
            ("decide", {"lease": late, "number": number, "verdict": draw.second(_VERDICTS)}),
            ("decide", {"lease": other, "number": number, "verdict": _VERDICTS[draw.amount % len(_VERDICTS)]}),
        ]
        yield from decisions[:: 1 if draw.b % 2 else -1]


def _brim(draw: Draw) -> Iterator[Act]:
    """A limit that leaves room for one payment, which then ends without one: there is room for the same again, and for
    not a cent more."""
    payer, amount = draw.account, max(1, min(draw.amount, draw.book.purses[draw.account].available - 20))
    payee = (payer + 1 + draw.b % (ACCOUNTS - 1)) % ACCOUNTS
    whose = {"account": payer, "customer": None, "direction": "out"}
    today, rolling = draw.book.used(Limit(payer, None, "out", None, None, None))
    yield "set_limit", {**whose, "per_transaction": None, "per_day": today + amount, "per_30_days": rolling + amount}
    between = {"source": payer, "destination": payee}
    yield "hold", {"number": draw.number, **between, "amount": amount, "days": 1}
    if str(draw.number) in draw.book.units:
        match draw.amount % 4:
            case 0:
                yield "cancel", {"number": draw.number, "by": payer}
            case 1:
                yield from _screen(draw, rejected=draw.number)
            case 2:
                yield from _screen(draw)
                yield "void", {"number": draw.number, "by": payee}
            case _:
                yield from _screen(draw)
                yield "pass_days", {"days": 1}
                yield "expire", {"limit": 1_000}
    yield "transfer", {"number": draw.another(), **between, "amount": amount}
    yield "transfer", {"number": draw.another(), **between, "amount": 1}
    if draw.b % 3:
        yield "set_limit", {**whose, "per_transaction": None, "per_day": None, "per_30_days": None}


def _held(draw: Draw) -> Iterator[Act]:
    yield from _hold(draw)
    yield from _screen(draw)


def _shop(draw: Draw) -> Iterator[Act]:
    """A hold from its beginning to its capture in part, which its payee may be too late for; or its payer would rather
    have the money back."""
    whole = draw.amount
    between = {"source": draw.account, "destination": draw.other}
    yield "hold", {"number": draw.number, **between, "amount": whole, "days": 1}
    yield from _screen(draw)
    if str(draw.number) in draw.book.units:
        if draw.b % 3 == 0:
            yield "pass_days", {"days": 1}
        if draw.b % 3 == 1:
            yield "void", {"number": draw.number, "by": draw.account}
        part = {"amount": 1 + draw.a % whole, "key": ""}
        yield "capture", {"number": draw.number, "by": draw.other, **part}


def _regret(draw: Draw) -> Iterator[Act]:
    """A transfer that clears, of which more is given back than it brought, one half at a time."""
    between = {"source": draw.account, "destination": draw.other}
    yield "transfer", {"number": draw.number, **between, "amount": draw.amount}
    yield from _screen(draw)
    yield "clear", {"limit": 1_000}
    if str(draw.number) in draw.book.units:
        half = {"of": draw.number, "by": draw.other, "amount": draw.amount // 2 + 1}
        yield "reverse", {"number": draw.another(), **half}
        yield "reverse", {"number": draw.another(), **half}


def _work(draw: Draw) -> Iterator[Act]:
    """All that waits for nobody is worked off."""
    yield from _screen(draw)
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
    """One at a time, mostly: where nothing is open, nothing happens."""
    frozen = [account for account in range(ACCOUNTS) if draw.book.purses[account].status == "frozen"]
    if frozen and draw.b % 4:
        yield "unfreeze", {"account": frozen[draw.a % len(frozen)]}
    else:
        yield "freeze", {"account": draw.account}


def _close(draw: Draw) -> Iterator[Act]:
    yield "close_by_staff" if draw.b % 2 else "close", {"account": draw.account}


def _resolve(draw: Draw) -> Iterator[Act]:
    unit = draw.one(_escalated(draw.book))
    kind = draw.second(unit.escalations)
    yield "resolve", {"number": unit.name, "kind": kind, "action": _ACTIONS[draw.amount % len(_ACTIONS)]}


def _correct(draw: Draw) -> Iterator[Act]:
    purses = (*range(ACCOUNTS), "fees", "loss")
    between = {"debit": purses[draw.a % len(purses)], "credit": purses[draw.b % len(purses)]}
    yield "propose_correction", {"number": draw.number, "by": draw.amount % 3, **between, "amount": draw.amount}


def _give_back(draw: Draw) -> Iterator[Act]:
    cleared = [unit for unit in requests(draw.book) if unit.status == "cleared" and unit.legs[0].kind == "transfer"]
    unit = draw.one(cleared or requests(draw.book))
    amount = draw.second((None, max(1, unit.legs[0].worth // 2), unit.legs[0].worth + 1))
    arguments = {"of": int(unit.name), "amount": amount, "at_loss": draw.amount % 2 == 0}
    yield "propose_reversal", {"number": draw.number, "by": draw.amount % 3, **arguments}


def _say_whose(draw: Draw) -> Iterator[Act]:
    """Mostly what fits: what came in is assigned or returned, what went out is charged."""
    unit = draw.one(_asked_whose(draw.book))
    came_in = draw.book.items[draw.book.item_of(unit.name)] > 0
    arguments = {"number": draw.number, "by": draw.amount % 3, "about": unit.name}
    if came_in == (draw.b % 7 != 0):
        if draw.b % 2:
            yield "propose_assignment", {**arguments, "account": draw.account}
        else:
            yield "propose_return", arguments
    else:
        account = draw.account if draw.b % 3 == 0 else None
        yield "propose_charge", {**arguments, "account": account, "at_loss": draw.b % 5 == 0}


def _answer(draw: Draw) -> Iterator[Act]:
    """Mostly agreed to, and mostly by somebody else."""
    proposal = draw.one(_proposed(draw.book))
    maker = draw.book.proposals[proposal].maker
    by = maker if draw.b % 6 == 0 else (maker + 1) % 3
    yield draw.second(("agree", "agree", "agree", "agree", "disagree", "take_back")), {"proposal": proposal, "by": by}


def rich(book: Book) -> list[int]:
    """Accounts with enough for one to take more than half of it and pay the fee."""
    purses = ((account, book.purses[account]) for account in range(ACCOUNTS))
    return [account for account, purse in purses if purse.status == "open" and purse.available >= _ENOUGH]


def spend(draw: Draw, name: str) -> Act:
    """More than half of what a rich account has: once is possible, and twice is not."""
    accounts = rich(draw.book)
    account = accounts[draw.a % len(accounts)]
    available = draw.book.purses[account].available
    least, most = available // 2 + 1, available * 9 // 10 - 6
    amount = least + draw.amount % (most - least + 1)
    if name == "withdraw":
        return name, {"number": draw.number, "account": account, "amount": amount}
    payee = (account + 1 + draw.b % (ACCOUNTS - 1)) % ACCOUNTS
    return "transfer", {"number": draw.number, "source": account, "destination": payee, "amount": amount}


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
        Play("hold", _hold),
        Play("held", _held),
        Play("shop", _shop),
        Play("regret", _regret),
        Play("capture", _capture, lambda book, bank: _holds(book)),
        Play("void", _void, lambda book, bank: _holds(book)),
        Play("expire", _expire, lambda book, bank: _holds(book)),
        Play("reverse", _reverse, lambda book, bank: requests(book)),
        Play("pay", _pay),
        Play("bulk", _bulk),
        Play("poisoned", _poisoned, lambda book, bank: _of(book, "clearing") or book.expiring()),
        Play("set_limit", _set_limit),
        Play("replay", _replay, lambda book, bank: requests(book)),
        Play("cancel", _cancel, lambda book, bank: requests(book)),
        Play("claim", _claim, lambda book, bank: book.waiting("screening")),
        Play("decide", _decide, lambda book, bank: any(unit.lease for unit in book.units.values())),
        Play("leases_run_out", _leases_run_out, lambda book, bank: any(unit.lease for unit in book.units.values())),
        Play("officer", _officer, lambda book, bank: _of(book, "review")),
        Play("clear", _clear, lambda book, bank: _of(book, "clearing")),
        Play("screen", _screen, lambda book, bank: book.waiting("screening")),
        Play("overtaken", _overtaken),
        Play("brim", _brim),
        Play("work", _work, lambda book, bank: any(unit.pending for unit in book.units.values())),
        Play("dispatch", _dispatch, lambda book, bank: _of(book, "settling")),
        Play("bank_ends", _bank_ends, lambda book, bank: _unfinished(bank)),
        Play("somebody_pays_in", _somebody_pays_in),
        Play("deliver", _deliver, lambda book, bank: bank.outbox),
        Play("freeze", _freeze),
        Play("close", _close, lambda book, bank: any(purse.cleared == 0 for purse in book.purses.values())),
        Play("resolve", _resolve, lambda book, bank: _escalated(book)),
        Play("correct", _correct),
        Play("give_back", _give_back, lambda book, bank: requests(book)),
        Play("say_whose", _say_whose, lambda book, bank: _asked_whose(book)),
        Play("answer", _answer, lambda book, bank: book.proposals),
        Play("pass_days", _pass_days),
    )
}
