"""Requests of one process that come at the same time are posted together: a commit is then for all of them.

There is no thread for it. Who finds nobody posting posts his own unit by `post_pending`, as if there were no others.
Who comes meanwhile waits. When the first is done, the one that has waited longest posts all that wait in one round
trip (`post_at_once`), tells the others what became of theirs, and has the next one do the same. So nobody lingers for
company, and what is under way ends with the requests that it belongs to.

Where anything goes wrong with several, each is posted alone by its own thread. The key of one that was recorded after
all says so.
"""

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import structlog
from django.conf import settings
from django.db import connection
from django.db.models import Q

from ledger.models import Transaction
from ledger.posting.many import Answer, Asked, post_at_once, post_one
from ledger.posting.requests import Posted, transaction_of
from ledger.states import TransactionStatus
from wallet_project.utils.database import give_back
from wallet_project.utils.errors import TooBusy

logger = structlog.get_logger(__name__)

#: More hold each other's locks for longer than a commit takes.
MOST_TOGETHER: Final = 200
#: More have to wait for more than one round trip. A web process works on fewer requests (WEB_REQUESTS_AT_ONCE).
MOST_WAITING: Final = 200
#: Who has waited for so long to be posted is told to come again, as is who waits for a connection.
WAIT_SECONDS: Final = 1.0
#: Who has posted for so long is held up; whoever comes next does not wait for him.
SLOW_SECONDS: Final = 0.5
#: For the word on what was sent: longer than the database lets a statement take.
ANSWER_SECONDS: Final = 10.0

_UNKNOWN: Final = (
    "It took too long to learn whether this was done. Send the same request again, under the same key: "
    "if it was, you get its answer, and it is not done twice."
)


class _Unit:
    """What one thread wants posted. All but `news` is changed under the poster's lock."""

    __slots__ = ("answer", "asked", "leads", "news", "sent")

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        #: Released when there is something to do for its thread: an answer, or to post for all that wait.
        self.news = threading.Lock()
        self.news.acquire()
        self.leads = False
        self.sent = False
        #: None: its thread posts it alone.
        self.answer: Answer | Exception | None = None


class Poster:
    def __init__(
        self,
        together: Callable[[Sequence[Asked]], list[Answer | Exception]] = post_at_once,
        *,
        most_waiting: int = MOST_WAITING,
        wait_seconds: float = WAIT_SECONDS,
        slow_seconds: float = SLOW_SECONDS,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._together = together
        self._most_waiting = most_waiting
        self._wait_seconds = wait_seconds
        self._slow_seconds = slow_seconds
        self._answer_seconds = answer_seconds
        self._lock = threading.Lock()
        self._waiting: deque[_Unit] = deque()
        self._leader: _Unit | None = None
        self._since = 0.0

    def post(self, asked: Asked) -> Posted:
        """What `post_pending` gives and raises, and TooBusy: then nothing was done, unless it says that this is not
        known. Not to be called in a transaction, whose rows nobody else can see."""
        assert not connection.in_atomic_block, "what is posted together is committed at once"
        unit = _Unit(asked)
        if not self._leads_at_once(unit):
            # A pool's connections are for those who post.
            give_back()
            self._wait(unit)
        if unit.leads:
            return self._lead(unit)
        return _posted(unit)

    def _leads_at_once(self, unit: _Unit) -> bool:
        """Whether nobody is posting, or only somebody who is held up. Else it is in the queue. Raises TooBusy."""
        with self._lock:
            if self._leader is None or time.monotonic() - self._since > self._slow_seconds:
                self._appoint(unit)
                return True
            if len(self._waiting) >= self._most_waiting:
                raise TooBusy()
            self._waiting.append(unit)
            return False

    def _wait(self, unit: _Unit) -> None:
        """Until there is an answer, or it is its thread's turn to post. Raises TooBusy."""
        if unit.news.acquire(timeout=self._wait_seconds):
            return
        with self._lock:
            if unit.leads:
                return
            if not unit.sent:
                # Whoever posts next does not find it.
                self._waiting.remove(unit)
                raise TooBusy()
        if not unit.news.acquire(timeout=self._answer_seconds):
            raise TooBusy(_UNKNOWN)

    def _lead(self, unit: _Unit) -> Posted:
        others: list[_Unit] = []
        try:
            others = self._take(unit)
            if not others:
                # While this one is posted the next ones gather.
                return _posted(unit)
            self._post([unit, *others])
        finally:
            self._hand_on(unit)
            for other in others:
                other.news.release()
        return _posted(unit)

    def _take(self, leader: _Unit) -> list[_Unit]:
        """Those that wait, but for what has a key that is among them already: it is to find what that has made."""
        taken: list[_Unit] = []
        keys = {(leader.asked.actor.principal_id, leader.asked.key)}
        later: list[_Unit] = []
        with self._lock:
            while self._waiting and len(taken) < MOST_TOGETHER - 1:
                unit = self._waiting.popleft()
                key = (unit.asked.actor.principal_id, unit.asked.key)
                if key in keys:
                    later.append(unit)
                    continue
                keys.add(key)
                unit.sent = True
                taken.append(unit)
            self._waiting.extendleft(reversed(later))
        return taken

    def _post(self, units: Sequence[_Unit]) -> None:
        try:
            answers = self._together([unit.asked for unit in units])
        except Exception as error:
            logger.warning("not_posted_together", units=len(units), error=type(error).__name__, cause=str(error)[:200])
            return
        for unit, answer in zip(units, answers, strict=True):
            unit.answer = answer

    def _hand_on(self, unit: _Unit) -> None:
        with self._lock:
            if self._leader is not unit:
                return  # It took so long that somebody else has begun.
            self._leader = None
            if self._waiting:
                successor = self._waiting.popleft()
                self._appoint(successor)
                successor.news.release()

    def _appoint(self, unit: _Unit) -> None:
        unit.leads = True
        self._leader = unit
        self._since = time.monotonic()


def _posted(unit: _Unit) -> Posted:
    answer = unit.answer
    if answer is None:
        return post_one(unit.asked)
    if isinstance(answer, Exception):
        raise answer
    if answer.outcome == "replayed":
        made = Transaction.objects.filter(Q(id=answer.unit_id) | Q(group_id=answer.unit_id)).order_by("id")
        return Posted(answer.outcome, list(made))
    assert answer.created_at is not None, "what was recorded has its time"
    status = TransactionStatus.PENDING if answer.outcome == "created" else TransactionStatus.FAILED
    in_order = sorted(unit.asked.legs, key=lambda leg: leg.id)
    return Posted(
        answer.outcome,
        [
            transaction_of(
                leg,
                initiator_id=unit.asked.actor.principal_id,
                unit_id=answer.unit_id,
                status=status,
                failure=answer.failure,
                created_at=answer.created_at,
            )
            for leg in in_order
        ],
    )


_of_this_process = Poster()


def post(asked: Asked) -> Posted:
    """With what other threads of this process ask for at the same time, where settings.GROUP_POSTING has it so.

    What can't be posted with others, and what is asked for in a transaction, is posted alone. Raises what
    `post_pending` does, and TooBusy.
    """
    if settings.GROUP_POSTING and asked.is_plain() and not connection.in_atomic_block:
        return _of_this_process.post(asked)
    return post_one(asked)


def _begin_anew() -> None:
    """A child has none of the threads that post or wait in its parent."""
    global _of_this_process
    _of_this_process = Poster()


os.register_at_fork(after_in_child=_begin_anew)
