"""A nudge tells the workers, after the commit, that there are rows to look for. Losing one costs latency only:
a beat sweep finds the same rows (docs/architecture.md).

Nudges coalesce: the first raises a flag in Redis that lives two seconds, and while it is up the others send nothing.
The task lowers the flag as its first act, so what is committed after that nudges again. A process that has just asked
for the flag does not ask again at once: it does so a moment later, for all that was committed meanwhile.
"""

import os
import threading
import time
from collections.abc import Callable

import kombu.exceptions
import structlog
from django.conf import settings
from django.db import connection, transaction

from wallet_project.utils import volatile

logger = structlog.get_logger(__name__)

Sender = Callable[[str], None]

FLAG_SECONDS = 2
#: How long a process waits before it asks for a flag again: the most that a nudge can be late by.
MOMENT_SECONDS = 0.2

# What a broker that has gone away raises; anything else is a fault of ours and is logged with its traceback.
BROKER_FAILURES = (*volatile.REDIS_FAILURES, kombu.exceptions.KombuError, ConnectionError, TimeoutError)

_sender: Sender | None = None
_lock = threading.Lock()
#: By task, until when (on the monotonic clock) this process does not ask, and what waits for that moment.
_quiet_until: dict[str, float] = {}
_later: dict[str, threading.Timer] = {}
# A timer does not come along into a child.
os.register_at_fork(after_in_child=_later.clear)


def set_sender(sender: Sender | None) -> None:
    """Put in at start-up: it publishes a task by its name. Without one, nudges are left to the sweeps."""
    global _sender
    _sender = sender
    with _lock:
        for task in {*_quiet_until, *_later}:
            _ask_at_once(task)


def nudge(topic: str) -> None:
    """Send the task that settings.NUDGES names for `topic`, once what is open here has committed.

    Raises KeyError for a topic that settings do not name; nothing that Redis or the broker does is raised."""
    task = settings.NUDGES[topic]
    if connection.in_atomic_block:
        # robust: the commit has happened, and no failure from here on may look like a failed request.
        transaction.on_commit(lambda: _coalesce(task), robust=True)
    else:
        # Not by way of on_commit, which would open a connection to learn that nothing is open on it.
        _coalesce(task)


def lower_flag(topic_or_task: str) -> None:
    """A nudged task's first act."""
    task = settings.NUDGES.get(topic_or_task, topic_or_task)
    with _lock:
        _ask_at_once(task)
    volatile.drop(_flag(task))


def _ask_at_once(task: str) -> None:
    _quiet_until.pop(task, None)
    if waiting := _later.pop(task, None):
        waiting.cancel()


def _coalesce(task: str) -> None:
    """Send now, or together with all that come within the moment, at its end: a row that is committed after the task
    has looked is never without a nudge of its own."""
    if task in _later:
        return  # What is sent at the end of the moment is sent after this; no need to wait for each other.
    with _lock:
        now = time.monotonic()
        wait = _quiet_until.get(task, 0.0) - now
        if wait > 0:
            if task not in _later:
                _later[task] = threading.Timer(wait, _send_later, [task])
                _later[task].daemon = True
                _later[task].start()
            return
        _quiet_until[task] = now + MOMENT_SECONDS
    _send(task)


def _send_later(task: str) -> None:
    with _lock:
        if _later.get(task) is not threading.current_thread():
            return
        del _later[task]
        _quiet_until[task] = time.monotonic() + MOMENT_SECONDS
    _send(task)


def _flag(task: str) -> str:
    return f"nudge:{task}"


def _send(task: str) -> None:
    if _sender is None:
        return
    # The flag's Redis is the broker: when it cannot be asked (None), there is nobody to send to either.
    if not volatile.add(_flag(task), 1, seconds=FLAG_SECONDS):
        return
    try:
        _sender(task)
    except BROKER_FAILURES as error:
        logger.warning("nudge_lost", task=task, error=type(error).__name__)
    except Exception as error:
        logger.error("nudge_failed", task=task, exc_info=error)
