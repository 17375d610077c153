"""Requests that come at the same time are served together, by one thread: whatever has come while it served the last.

A commit, a question to Redis and a change of threads are for all of them. Whoever comes alone is served at once. Where
several came together just before, as many are waited for, for a moment: the same clients are at work, and their next
requests are on the way (PostgreSQL's commit_delay does so, for the same reason). Where the thread is held up, by a lock
or a database that does not answer, another takes its place for those who come next.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
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


class NoWord(TooBusy):
    """It was begun, and may be done yet."""

    message = (
        "It took too long to learn whether this was done. Send the same request again, under the same key: "
        "if it was, you get its answer, and it is not done twice."
    )


class _Waiting(Generic[Visitor]):
    __slots__ = ("served", "turn", "visitor")

    def __init__(self, visitor: Visitor) -> None:
        self.visitor = visitor
        #: Whoever has it first decides: a teller that the visitor is served, its own thread that it never is.
        self.turn = threading.Lock()
        #: Released when it has been served.
        self.served = threading.Lock()
        self.served.acquire()


class Tellers(Generic[Visitor]):
    """`serve` is given those that wait, in the order in which they came; what is wrong with one it tells that one.
    `part` is called by each teller when he ends: what he has kept from one time to the next goes back."""

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
        self._lock = threading.Lock()
        #: Told when as many wait as whoever serves them waits for.
        self._enough = threading.Condition(self._lock)
        self._wanted = 1
        #: How many came together of late.
        self._expected = 1
        #: Who serves those that come now; any other ends when it has served whom it has taken.
        self._present: threading.Thread | None = None
        self._threads = 0
        #: Since when the present one has served those it serves now.
        self._since: float | None = None

    def visit(self, visitor: Visitor) -> None:
        """Have it served with others that come now. Returns when it was, or when its teller broke off.

        Raises TooBusy: it never is; NoWord: it was begun."""
        waiting = _Waiting(visitor)
        began = time.monotonic()
        with self._enough:
            self._queue.append(waiting)
            if len(self._queue) >= self._wanted:
                self._enough.notify()
        self._see_that_somebody_serves()
        while not waiting.served.acquire(timeout=self._slow_seconds):
            self._see_that_somebody_serves()
            waited = time.monotonic() - began
            if waited >= self._wait_seconds and waiting.turn.acquire(blocking=False):
                raise TooBusy()
            if waited >= self._answer_seconds:
                raise NoWord()

    def _see_that_somebody_serves(self) -> None:
        if self._somebody_serves():
            return
        with self._lock:
            if self._somebody_serves() or self._threads == MOST_TELLERS:
                return
            self._threads += 1
            self._since = None
            self._present = threading.Thread(target=self._work, name="teller", daemon=True)
            self._present.start()

    def _somebody_serves(self) -> bool:
        since = self._since
        return self._present is not None and (since is None or time.monotonic() - since < self._slow_seconds)

    def _work(self) -> None:
        me = threading.current_thread()
        try:
            while self._present is me:
                self._serve_those(self._next(), me)
        finally:
            try:
                self._part()
            finally:
                with self._lock:
                    self._threads -= 1

    def _next(self) -> list[_Waiting[Visitor]]:
        """Waits for one, and for the company it is likely to have. Takes all that are there, save those that went."""
        with self._enough:
            self._wait_for(1)
            self._since = time.monotonic()
            self._wait_for(self._expected, seconds=self._company_seconds)
            # One that takes its place meanwhile waits for nobody else.
            self._wanted = 1
            taken = [self._queue.popleft() for _ in range(min(len(self._queue), self._most_together))]
        self._expected = max(len(taken), self._expected * 3 // 4)
        return [waiting for waiting in taken if waiting.turn.acquire(blocking=False)]

    def _wait_for(self, number: int, *, seconds: float | None = None) -> None:
        self._wanted = number
        self._enough.wait_for(lambda: len(self._queue) >= number, seconds)

    def _serve_those(self, taken: Sequence[_Waiting[Visitor]], me: threading.Thread) -> None:
        stays: threading.Thread | None = None
        try:
            if taken:
                self._serve([waiting.visitor for waiting in taken])
            stays = me
        finally:
            # Before anybody is told: who comes again finds somebody who serves, or that nobody does.
            with self._lock:
                if self._present is me:
                    self._present, self._since = stays, None
            for waiting in taken:
                waiting.served.release()
