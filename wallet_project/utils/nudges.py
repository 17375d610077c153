"""A nudge tells the workers, after the commit, that there are rows to look for. Losing one costs latency only:
a beat sweep finds the same rows (DESIGN §2).

Nudges coalesce: the first raises a flag in Redis that lives two seconds, and while it is up the others send nothing.
The task lowers the flag as its first act, so what is committed after that nudges again.
"""

from collections.abc import Callable

import kombu.exceptions
import structlog
from django.conf import settings
from django.db import transaction

from wallet_project.utils import volatile

logger = structlog.get_logger(__name__)

Sender = Callable[[str], None]

FLAG_SECONDS = 2

# What a broker that has gone away raises; anything else is a fault of ours and is logged with its traceback.
BROKER_FAILURES = (*volatile.REDIS_FAILURES, kombu.exceptions.KombuError, ConnectionError, TimeoutError)

_sender: Sender | None = None


def set_sender(sender: Sender | None) -> None:
    """Put in at start-up: it publishes a task by its name. Without one, nudges are left to the sweeps."""
    global _sender
    _sender = sender


def nudge(topic: str) -> None:
    """Send the task that settings.NUDGES names for `topic`, once what is open here has committed.

    Raises KeyError for a topic that settings do not name; nothing that Redis or the broker does is raised."""
    task = settings.NUDGES[topic]
    # robust: the commit has happened, and no failure from here on may look like a failed request. (Not a partial:
    # Django names what failed, and a partial has no name.)
    transaction.on_commit(lambda: _send(task), robust=True)


def lower_flag(topic_or_task: str) -> None:
    """A nudged task's first act."""
    volatile.drop(_flag(settings.NUDGES.get(topic_or_task, topic_or_task)))


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
