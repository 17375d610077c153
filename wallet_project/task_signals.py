"""A task runs under a request id of its own, the task's, and is counted and timed. Connected when Celery starts, which
a worker with wrong settings does not."""

import sys
import time
from typing import Any

import structlog
from celery import signals
from django.core.exceptions import ImproperlyConfigured

from wallet_project.checks import refuse_mistakes
from wallet_project.utils import metrics
from wallet_project.utils.context import request_id
from wallet_project.utils.memory import keep_what_is_here

_BEGAN = "wallet_began"


@signals.worker_init.connect(dispatch_uid="wallet.settings")
def refuse_to_start(**_: Any) -> None:
    try:
        refuse_mistakes()
    except ImproperlyConfigured as mistakes:
        # What a receiver of a signal raises is written down and forgotten, but for this.
        sys.exit(str(mistakes))


@signals.worker_before_create_process.connect(dispatch_uid="wallet.memory")
def before_forking(**_: Any) -> None:
    """A fifth of the processor time that screening took was the collector's."""
    keep_what_is_here()


@signals.task_prerun.connect(dispatch_uid="wallet.task")
def begin(task_id: str, task: Any, **_: Any) -> None:
    request_id.set(task_id)
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=task_id, task=task.name)
    setattr(task.request, _BEGAN, time.perf_counter())


@signals.task_postrun.connect(dispatch_uid="wallet.task")
def end(task: Any, state: str | None, **_: Any) -> None:
    began = getattr(task.request, _BEGAN, None)
    if began is not None:
        metrics.task_ended(task.name, (state or "unknown").lower(), time.perf_counter() - began)
    structlog.contextvars.clear_contextvars()
    request_id.set("")
