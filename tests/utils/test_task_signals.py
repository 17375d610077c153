"""A task's id is in what it writes, and its end is counted."""

import structlog
from celery import Celery
from prometheus_client import REGISTRY

from wallet_project import task_signals
from wallet_project.utils.context import request_id

seen: list[tuple[str, dict[str, object]]] = []
app = Celery("tasks of these tests", set_as_current=False)


@app.task(name="test.look")
def look() -> None:
    seen.append((request_id.get(), structlog.contextvars.get_contextvars()))


@app.task(name="test.fail")
def fail() -> None:
    raise ValueError("on purpose")


def ended(task: str, outcome: str) -> float:
    return REGISTRY.get_sample_value("wallet_tasks_total", {"task": task, "outcome": outcome}) or 0.0


def test_what_a_task_does_carries_its_id() -> None:
    seen.clear()
    assert task_signals.begin is not None
    before = ended("test.look", "success")
    look.apply(task_id="task-7")
    assert seen == [("task-7", {"request_id": "task-7", "task": "test.look"})]
    assert request_id.get() == ""
    assert structlog.contextvars.get_contextvars() == {}
    assert ended("test.look", "success") == before + 1


def test_a_task_that_fails_is_counted_as_such() -> None:
    before = ended("test.fail", "failure")
    fail.apply(task_id="task-8")
    assert ended("test.fail", "failure") == before + 1
    seconds = REGISTRY.get_sample_value("wallet_task_seconds_count", {"task": "test.fail"})
    assert seconds is not None
    assert seconds >= 1
