"""What the views and the tasks call, called by two processes side by side, as two web servers or workers would."""

import multiprocessing
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from bench.town import Person
from wallet_project.utils.memory import keep_what_is_here

if TYPE_CHECKING:
    from ledger.posting import Asked
    from wallet_project.utils.money import Money

PROCESSES = 2
#: As many of each process ask as of 128 connections reach each process of the web server.
ASKERS = 64
#: Whom a transfer is from and to: a principal with his customer and the account, and the account that is paid.
Draw = Callable[[random.Random], tuple[Person, str, str]]


def uniform(people: list[Person]) -> Draw:
    everybody = [(person, account) for person in people for account in person.accounts]

    def draw(rng: random.Random) -> tuple[Person, str, str]:
        (payer, source), (_, destination) = rng.sample(everybody, 2)
        return payer, source, destination

    return draw


def to_one(people: list[Person], *, share: float = 1.0) -> Draw:
    """`share` of all transfers go to the first account."""
    merchant, rest = people[0].accounts[0], uniform(people[1:])

    def draw(rng: random.Random) -> tuple[Person, str, str]:
        payer, source, destination = rest(rng)
        return payer, source, merchant if rng.random() < share else destination

    return draw


def from_one(people: list[Person]) -> Draw:
    payer, rest = people[0], uniform(people[1:])

    def draw(rng: random.Random) -> tuple[Person, str, str]:
        return payer, payer.accounts[0], rest(rng)[1]

    return draw


def transfers(draw: Draw, *, seconds: float) -> float:
    """Transfers a second, posted as a teller of the web server posts what waits for him."""
    return rate(_transfer_for, draw, seconds)


def screened() -> float:
    """Transactions screened a second, until none is due."""
    return rate(_screen_all, first=_screen_one)


def cleared() -> float:
    """Transactions cleared a second, until none is due."""
    return rate(_clear_all, first=_clear_one)


def rate(work: Callable[..., int], *arguments: object, first: Callable[[], object] | None = None) -> float:
    """What `work` says that it made, of all processes together, a second. `first` is done by each before it counts: a
    worker keeps its connection, on which plans have been made and functions read."""
    made, took = _everywhere(work, arguments, first)
    return made / took


def _everywhere(
    work: Callable[..., int], arguments: tuple[object, ...], first: Callable[[], object] | None
) -> tuple[int, float]:
    """What all processes did together, and how long it took from the moment at which all were ready."""
    from django.db import connections

    connections.close_all()
    # As a worker does before it forks.
    keep_what_is_here()
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(PROCESSES + 1)
    results = context.SimpleQueue()
    children = [
        context.Process(target=_child, args=(work, arguments, first, barrier, results)) for _ in range(PROCESSES)
    ]
    for child in children:
        child.start()
    barrier.wait(timeout=60)
    began = time.perf_counter()
    made = [results.get() for _ in children]
    took = time.perf_counter() - began
    for child in children:
        child.join()
    if any(isinstance(one, str) for one in made):
        raise RuntimeError(f"a process of the bench failed: {made}")
    return sum(made), took


def _child(
    work: Callable[..., int],
    arguments: tuple[object, ...],
    first: Callable[[], object] | None,
    barrier: object,
    results: object,
) -> None:
    from django.db import connection

    connection.ensure_connection()
    if first:
        first()
    barrier.wait(timeout=60)  # type: ignore[attr-defined]
    try:
        made: int | str = work(*arguments)
    except Exception as error:
        made = f"{type(error).__name__}: {error}"
    results.put(made)  # type: ignore[attr-defined]


def _transfer_for(draw: Draw, seconds: float) -> int:
    """Closed loop: each of ASKERS has asked again by the time that all have been answered."""
    from django.db import close_old_connections

    from ledger.services import payments
    from wallet_project.utils.money import Money

    rng = random.Random()  # noqa: S311 - whom to pay is no secret
    amount = Money(1, "EUR")
    made = 0
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        asked = [_asked(draw(rng), amount) for _ in range(ASKERS)]
        for each, answer in zip(asked, payments.post_together(asked), strict=True):
            assert isinstance(answer, payments.Answer), answer
            payments.accepted(each, answer)
        close_old_connections()
        made += len(asked)
    return made


def _asked(drawn: tuple[Person, str, str], amount: "Money") -> "Asked":
    from ledger.services import payments

    payer, source, destination = drawn
    return payments.ask_transfer(
        actor=payer.actor,
        source=UUID(source),
        destination=UUID(destination),
        amount=amount,
        key=uuid4().hex,
        request_hash=bytes(32),
    )


def _screen_all() -> int:
    from compliance.services.screening import screen_due

    return _until_none(lambda: screen_due(now=datetime.now(UTC)))


def _clear_all() -> int:
    from ledger.services.clearing import clear_due

    return _until_none(clear_due)


def _screen_one() -> int:
    from compliance.services.screening import screen_due

    return screen_due(now=datetime.now(UTC), limit=1)


def _clear_one() -> int:
    from ledger.services.clearing import clear_due

    return clear_due(limit=1)


def _until_none(batch: Callable[[], int]) -> int:
    made = 0
    while found := batch():
        made += found
    return made
