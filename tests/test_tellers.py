"""Who comes at the same time is served together, and nobody is held up for long by whoever is."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from typing import Any

import pytest

from tests.support.door import in_the_loop
from wallet_project.embedded.processes import wait_until
from wallet_project.tellers import MOST_TELLERS, NoWord, Tellers
from wallet_project.utils.errors import TooBusy


class Served:
    """What was served together; each time it is held up until it may go on."""

    def __init__(self) -> None:
        self.times: list[list[Any]] = []
        self.may_go_on: list[threading.Event] = []
        self.held_up = True
        self._lock = threading.Lock()

    def __call__(self, visitors: Sequence[Any]) -> None:
        go_on = threading.Event()
        with self._lock:
            self.times.append(list(visitors))
            self.may_go_on.append(go_on)
            held_up = self.held_up
        if held_up:
            assert go_on.wait(60)
        if "fatal" in visitors:
            raise SystemExit("in the middle of it")

    def begun(self, times: int) -> None:
        assert wait_until(lambda: len(self.may_go_on) >= times, seconds=30)

    def release(self) -> None:
        self.held_up = False
        for go_on in self.may_go_on:
            go_on.set()


@pytest.fixture
def served() -> Iterator[Served]:
    served = Served()
    yield served
    served.release()


def patient(served: Served, **own: Any) -> Tellers[Any]:
    """They give nobody up while a busy machine stands still."""
    return Tellers(served, **{"slow_seconds": 30, "wait_seconds": 30, "answer_seconds": 60, **own})


def come(tellers: Tellers[Any], *visitors: Any) -> list[Future[Any]]:
    """They wait, in this order."""
    found = []
    for number, visitor in enumerate(visitors, start=len(tellers._queue) + 1):
        found.append(visiting(tellers, visitor))
        assert wait_until(lambda n=number: len(tellers._queue) >= n, seconds=30)  # type: ignore[misc]
    return found


def visiting(tellers: Tellers[Any], visitor: Any) -> Future[Any]:
    """What becomes of the visit; an error is a result, too."""

    async def visit() -> Any:
        try:
            return await tellers.visit(visitor)
        except Exception as error:
            return error

    return in_the_loop(visit())


def visited(tellers: Tellers[Any], visitor: Any) -> Any:
    return visiting(tellers, visitor).result(timeout=60)


def test_those_who_come_meanwhile_are_served_together_in_their_order(served: Served) -> None:
    tellers = patient(served, most_together=3)
    first = visiting(tellers, "first")
    served.begun(1)
    others = come(tellers, "a", "b", "c", "d")
    served.release()
    assert [each.result(timeout=30) for each in (first, *others)] == [None] * 5
    assert served.times == [["first"], ["a", "b", "c"], ["d"]]
    assert visited(tellers, "later") is None


def test_who_came_in_company_is_served_with_it_again_and_who_comes_alone_at_once(served: Served) -> None:
    tellers = patient(served, company_seconds=60)
    first = visiting(tellers, "first")
    served.begun(1)
    together = come(tellers, "a", "b")
    served.release()
    assert [each.result(timeout=30) for each in (first, *together)] == [None] * 3
    # Each comes again as soon as he has been answered, but not in the same instant.
    [c] = come(tellers, "c")
    assert not c.done()
    d = visiting(tellers, "d")
    assert [each.result(timeout=30) for each in (c, d)] == [None] * 2
    assert served.times == [["first"], ["a", "b"], ["c", "d"]]


def test_company_that_does_not_come_is_waited_for_ever_less(served: Served) -> None:
    tellers = patient(served, company_seconds=0.001)
    first = visiting(tellers, "first")
    served.begun(1)
    together = come(tellers, *range(8))
    served.release()
    assert [each.result(timeout=30) for each in (first, *together)] == [None] * 9
    expected = []
    while tellers._expected > 1:
        expected.append(tellers._expected)
        assert visited(tellers, "alone") is None
    assert expected == [8, 6, 4, 3, 2]


def test_who_has_waited_too_long_is_told_so_and_is_never_served(served: Served) -> None:
    tellers = patient(served, slow_seconds=0.05, wait_seconds=1)
    held_up = []
    for number in range(MOST_TELLERS):
        held_up.append(visiting(tellers, number))
        served.begun(number + 1)
    told = visited(tellers, "too late")
    assert (type(told), told.retry_after) == (TooBusy, 1)
    served.release()
    assert [each.result(timeout=30) for each in held_up] == [None] * MOST_TELLERS
    assert visited(tellers, "again") is None
    assert "too late" not in [visitor for time in served.times for visitor in time]


def test_nobody_waits_for_whoever_is_held_up_and_whom_he_has_taken_learn_that_it_is_not_known(served: Served) -> None:
    tellers = patient(served, slow_seconds=0.1, answer_seconds=0.1)
    held_up = visiting(tellers, "held up")
    served.begun(1)
    next_one = visiting(tellers, "next")
    # Nobody else comes: the one who waits sees to it that somebody serves.
    served.begun(2)
    assert isinstance(held_up.result(timeout=30), NoWord)
    served.release()
    # He was begun in time, or after that: either may be so on a busy machine.
    assert next_one.result(timeout=30) is None or isinstance(next_one.result(), NoWord)
    assert served.times[:2] == [["held up"], ["next"]]


def test_a_teller_who_dies_keeps_nobody(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    died: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", died.append)
    served.held_up = False
    tellers = patient(served)
    # SystemExit ends a thread without a word.
    assert visited(tellers, "fatal") is None
    assert visited(tellers, "the next") is None
    assert served.times == [["fatal"], ["the next"]]
    assert wait_until(lambda: len(died) == 1, seconds=30)


def test_two_hundred_at_once_are_each_served_once(served: Served) -> None:
    served.held_up = False
    tellers = patient(served)

    async def often(number: int) -> None:
        for turn in range(4):
            await tellers.visit((number, turn))

    for each in [in_the_loop(often(number)) for number in range(50)]:
        each.result(timeout=60)
    visitors = [visitor for time in served.times for visitor in time]
    assert sorted(visitors) == [(number, turn) for number in range(50) for turn in range(4)]


def test_who_has_waited_too_long_for_company_leaves_nobody_to_be_served(served: Served) -> None:
    tellers = patient(served, company_seconds=0.3, wait_seconds=0.05)
    tellers._expected = 2
    assert isinstance(visited(tellers, "alone"), TooBusy)
    assert wait_until(lambda: tellers._company is None, seconds=30)
    assert served.times == []
