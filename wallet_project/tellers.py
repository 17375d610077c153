"""Requests that come at the same time are served together, by one thread: whatever has come while it served the last.

A commit, a question to Redis and a change of threads are for all of them. Whoever comes alone is served at once. Where
several came together just before, as many are waited for, for a moment: the same clients are at work, and their next
requests are on the way (PostgreSQL's commit_delay does so, for the same reason). Where the thread is held up, by a lock
or a database that does not answer, another takes its place for those who come next.

Who waits, and who is to serve them, is decided in the event loop alone, so that nothing here needs a lock.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Final, Generic, TypeVar

from wallet_project.utils.errors import TooBusy

Visitor = TypeVar("Visitor")

#: More hold each other's locks for longer than a commit takes.
MOST_TOGETHER: Final = 200
#: So long whoever serves waits for as many as came together of late: about what serving one of them takes.
COMPANY_SECONDS: Final = 0.006
#: Who has served for so long is held up.
SLOW_SECONDS: Final = 0.5
#: Who has waited for so long to be served is told to come again, as is who waits for a connection.
WAIT_SECONDS: Final = 1.0
#: For the word on what was begun: longer than the database lets a statement take.
ANSWER_SECONDS: Final = 10.0
#: As many at a time, all but one of them held up: fewer than the pool that a web process shares has connections.
MOST_TELLERS: Final = 6
#: So often a moment that is over is noticed, in the time that it lasts.
_LOOKS: Final = 4


class NoWord(TooBusy):
    """It was begun, and may be done yet."""

    message = (
        "It took too long to learn whether this was done. Send the same request again, under the same key: "
        "if it was, you get its answer, and it is not done twice."
    )


@dataclass(slots=True, eq=False)
class _Waiting(Generic[Visitor]):
    visitor: Visitor
    came: float
    served: "asyncio.Future[None]"

    def hears(self, error: Exception | None) -> None:
        """That it was served, or why it is not waited for any longer; what it is told later is nothing to it."""
        if self.served.done():
            return
        if error is None:
            self.served.set_result(None)
        else:
            self.served.set_exception(error)


_Party = list[_Waiting[Visitor]]


class _Teller(Generic[Visitor]):
    """A thread that serves one party after the other until it is told to go, or breaks off."""

    def __init__(self, serve: Callable[[_Party[Visitor]], None], gone: Callable[[], None], number: int) -> None:
        self._serve = serve
        self._gone = gone
        self._parties: SimpleQueue[_Party[Visitor] | None] = SimpleQueue()
        #: Whom it serves, and since when.
        self.party: _Party[Visitor] = []
        self.since = 0.0
        threading.Thread(target=self._work, name=f"teller-{number}", daemon=True).start()

    def take(self, party: _Party[Visitor], now: float) -> None:
        self.party, self.since = party, now
        self._parties.put(party)

    def go(self) -> None:
        """When it has served whom it has taken."""
        self._parties.put(None)

    def _work(self) -> None:
        try:
            while (party := self._parties.get()) is not None:
                self._serve(party)
        finally:
            self._gone()


class Tellers(Generic[Visitor]):
    """`serve` is given those that wait, in the order in which they came; what is wrong with one it tells that one.
    `part` is called by each teller when he ends: what he has kept from one time to the next goes back.

    It belongs to the event loop in which it is first visited."""

    def __init__(
        self,
        serve: Callable[[Sequence[Visitor]], None],
        *,
        part: Callable[[], None] = lambda: None,
        most_together: int = MOST_TOGETHER,
        company_seconds: float = COMPANY_SECONDS,
        slow_seconds: float = SLOW_SECONDS,
        wait_seconds: float = WAIT_SECONDS,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._serve = serve
        self._part = part
        self._most_together = most_together
        self._company_seconds = company_seconds
        self._slow_seconds = slow_seconds
        self._wait_seconds = wait_seconds
        self._answer_seconds = answer_seconds
        self._queue: deque[_Waiting[Visitor]] = deque()
        #: How many came together of late.
        self._expected = 1
        #: Until when they are waited for.
        self._company: asyncio.TimerHandle | None = None
        #: Who serves those that come now; any other goes when it has served whom it has taken.
        self._present: _Teller[Visitor] | None = None
        self._all: set[_Teller[Visitor]] = set()
        self._look: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop

    async def visit(self, visitor: Visitor) -> None:
        """Have it served with others that come now. Returns when it was, or when its teller broke off.

        Raises TooBusy: it never is; NoWord: it was begun."""
        self._loop = loop = asyncio.get_running_loop()
        waiting = _Waiting(visitor, loop.time(), loop.create_future())
        self._queue.append(waiting)
        self._see_to_those_who_wait()
        if self._look is None:
            self._look_again()
        await waiting.served

    def _see_to_those_who_wait(self) -> None:
        if self._present is not None and self._present.party:
            return
        if len(self._queue) >= self._expected:
            self._send()
        elif self._queue and self._company is None:
            self._company = self._loop.call_later(self._company_seconds, self._send)

    def _send(self) -> None:
        """All that are there to a teller who is free. Where there is none, and may be no more, they wait on."""
        if self._company is not None:
            self._company.cancel()
            self._company = None
        if not self._queue:
            return  # They have waited too long for each other.
        if self._present is None:
            if len(self._all) == MOST_TELLERS:
                return
            self._present = self._hire()
        taken = [self._queue.popleft() for _ in range(min(len(self._queue), self._most_together))]
        self._expected = max(len(taken), self._expected * 3 // 4)
        self._present.take(taken, self._loop.time())

    def _hire(self) -> _Teller[Visitor]:
        loop = self._loop

        def serve(party: _Party[Visitor]) -> None:
            try:
                self._serve([waiting.visitor for waiting in party])
            finally:
                loop.call_soon_threadsafe(self._have_served, teller, party)

        def gone() -> None:
            try:
                self._part()
            finally:
                loop.call_soon_threadsafe(self._is_gone, teller)

        teller = _Teller(serve, gone, len(self._all) + 1)
        self._all.add(teller)
        return teller

    def _have_served(self, teller: _Teller[Visitor], party: _Party[Visitor]) -> None:
        teller.party = []
        if teller is not self._present:
            teller.go()
        # Before anybody is told: who comes again finds somebody who serves, or that nobody does.
        self._see_to_those_who_wait()
        for waiting in party:
            waiting.hears(None)

    def _is_gone(self, teller: _Teller[Visitor]) -> None:
        self._all.discard(teller)
        if teller is self._present:
            self._present = None
        self._see_to_those_who_wait()

    def _look_again(self) -> None:
        shortest = min(self._slow_seconds, self._wait_seconds, self._answer_seconds)
        self._look = self._loop.call_later(shortest / _LOOKS, self._look_after_those_who_wait)

    def _look_after_those_who_wait(self) -> None:
        """Those whose teller is held up get another, and nobody waits for longer than he is told."""
        now = self._loop.time()
        present = self._present
        if present is not None and present.party and now - present.since >= self._slow_seconds:
            self._present = None
            self._see_to_those_who_wait()
        while self._queue and now - self._queue[0].came >= self._wait_seconds:
            self._queue.popleft().hears(TooBusy())
        for teller in self._all:
            for waiting in teller.party:
                if now - waiting.came >= self._answer_seconds:
                    waiting.hears(NoWord())
        self._look = None
        if self._queue or any(teller.party for teller in self._all):
            self._look_again()
