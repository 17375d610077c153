"""Background work of compliance: each task lowers its nudge's flag, calls its services, and is safe to run ten at once.

A passing failure is left to the sweep; anything else is a task that failed, and is seen.
"""

import time
from collections.abc import Callable
from typing import Final

import structlog
from celery import shared_task
from django.db import DatabaseError
from django.utils import timezone

from compliance.services import case_queue, identity_events, kyc, screening
from wallet_project.utils.errors import Unavailable, translate_database_error
from wallet_project.utils.nudges import lower_flag

logger = structlog.get_logger(__name__)

#: Batches that one task works off before it makes room for others; what is left, the last batch has nudged for.
MAX_BATCHES: Final = 20
#: Nor does it begin another batch after this time: one that waits for a slow provider takes half a minute, and the task
#: must end well before Celery ends it (CELERY_TASK_SOFT_TIME_LIMIT), which would lose the answers of a batch.
MAX_SECONDS: Final = 60


@shared_task(name="compliance.screen_due")
def screen_due() -> None:
    _work("compliance.screen_due", lambda: screening.screen_due(now=timezone.now()), full=screening.BATCH)


@shared_task(name="compliance.run_checks")
def run_checks() -> None:
    _work("compliance.run_checks", lambda: kyc.run_checks(now=timezone.now()), full=kyc.BATCH)


@shared_task(name="compliance.process_identity_events")
def process_identity_events() -> None:
    _work(
        "compliance.process_identity_events",
        lambda: identity_events.process_identity_events(now=timezone.now()),
        full=identity_events.BATCH,
    )


@shared_task(name="compliance.open_cases")
def open_cases() -> None:
    _work("compliance.open_cases", lambda: case_queue.tend_queue(now=timezone.now()), full=case_queue.BATCH)


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
