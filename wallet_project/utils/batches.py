"""How a background task works: batch after batch, while there is work, and no longer than others can wait."""

import time
from collections.abc import Callable
from typing import Final

import structlog
from django.db import DatabaseError

from wallet_project.utils.errors import Unavailable, translate_database_error
from wallet_project.utils.nudges import lower_flag

logger = structlog.get_logger(__name__)

#: Batches that one task works off before it makes room for others; what is left, the last batch has nudged for.
MAX_BATCHES: Final = 20
#: Nor does it begin another batch after this time: one that waits for a slow provider takes half a minute, and the task
#: must end well before Celery ends it (CELERY_TASK_SOFT_TIME_LIMIT), which would lose the answers of a batch.
MAX_SECONDS: Final = 60


def work_off(task: str, batch: Callable[[], int], *, full: int) -> None:
    """Lower the task's flag, then call `batch` until it has found fewer than `full` rows.

    A passing failure of the database is left to the sweep; anything else is raised: a task that failed, and is seen.
    """
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
