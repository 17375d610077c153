"""Background work of the ledger: each task lowers its nudge's flag, calls one service, and is safe to run ten at once.

A passing failure is left to the sweep, which comes every two seconds; anything else is a task that failed, and is seen.
"""

import time
from collections.abc import Callable
from random import SystemRandom
from typing import Final

import structlog
from celery import shared_task
from django.db import DatabaseError
from django.utils import timezone

from ledger.rails import configured_rail
from ledger.services import clearing, events, rails
from wallet_project.utils.errors import Unavailable, translate_database_error
from wallet_project.utils.http_client import ProviderNotConfigured
from wallet_project.utils.nudges import lower_flag

logger = structlog.get_logger(__name__)

#: Batches that one task works off before it makes room for others; what is left, the last batch has nudged for.
MAX_BATCHES: Final = 20
#: Nor does it begin another batch after this time: one that waits for a slow provider takes half a minute, and the task
#: must end well before Celery ends it (CELERY_TASK_SOFT_TIME_LIMIT), which would lose the answers of a batch.
MAX_SECONDS: Final = 60


@shared_task(name="ledger.clear_due")
def clear_due() -> None:
    _work("ledger.clear_due", clearing.clear_due, full=clearing.BATCH)


@shared_task(name="ledger.dispatch_rails")
def dispatch_rails() -> None:
    try:
        rail = configured_rail()
    except ProviderNotConfigured:
        # Nobody to ask: what waits for a bank goes on waiting.
        return
    _work(
        "ledger.dispatch_rails",
        lambda: rails.dispatch_rails(rail=rail, now=timezone.now(), rng=SystemRandom()),
        full=rails.BATCH,
    )


@shared_task(name="ledger.process_bank_events")
def process_bank_events() -> None:
    try:
        rail = configured_rail()
    except ProviderNotConfigured:
        rail = None
    _work(
        "ledger.process_bank_events",
        lambda: events.process_bank_events(rail=rail, now=timezone.now(), rng=SystemRandom()),
        full=events.BATCH,
    )


def _work(task: str, batch: Callable[[], int], *, full: int) -> None:
    lower_flag(task)
    started = time.monotonic()
    try:
        for _ in range(MAX_BATCHES):
            if batch() < full or time.monotonic() - started > MAX_SECONDS:
                return
    except DatabaseError as error:
        if not isinstance(translate_database_error(error), Unavailable):
            raise
        logger.warning("left_to_the_sweep", task=task, error=type(error).__name__)
