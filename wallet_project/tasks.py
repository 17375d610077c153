"""Background work of no app's own."""

import time
from typing import Final

import structlog
from celery import shared_task
from django.utils import timezone

from wallet_project.expiry import expire_as_application

logger = structlog.get_logger(__name__)

#: What is left then is for the next night; Celery ends a task after five minutes.
_MAX_SECONDS: Final = 200


@shared_task(name="wallet.expire")
def expire() -> None:
    began = time.monotonic()
    for each in expire_as_application(now=timezone.now(), go_on=lambda: time.monotonic() - began < _MAX_SECONDS):
        logger.info("expired", what=each.what.name, rows=each.rows, complete=each.complete)
