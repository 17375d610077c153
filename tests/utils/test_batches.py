"""A background task works batch after batch, and not for too long."""

import pytest
from django.conf import settings
from django.db import IntegrityError, OperationalError

from wallet_project.utils import batches
from wallet_project.utils.batches import MAX_BATCHES, work_off


def test_a_task_works_until_a_batch_is_not_full() -> None:
    found = [8, 8, 3, 8]
    work_off("a task", lambda: found.pop(0), full=8)
    assert found == [8]


def test_a_task_makes_room_for_others_while_there_is_always_more() -> None:
    worked = []
    work_off("a task", lambda: worked.append(1) or 8, full=8)  # type: ignore[func-returns-value]
    assert len(worked) == MAX_BATCHES


def test_a_task_that_waits_for_somebody_slow_ends_before_it_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow_and_full() -> int:
        clock[0] += 30.0
        return 8

    clock = [1_000.0]
    monkeypatch.setattr(batches.time, "monotonic", lambda: clock[0])
    work_off("a task", slow_and_full, full=8)
    assert clock[0] - 1_000.0 < settings.CELERY_TASK_SOFT_TIME_LIMIT - 30


def test_a_passing_failure_is_left_to_the_sweep_and_a_fault_is_seen() -> None:
    def fails_with(error: Exception) -> int:
        raise error

    work_off("a task", lambda: fails_with(OperationalError("the server went away")), full=8)
    with pytest.raises(IntegrityError):
        work_off("a task", lambda: fails_with(IntegrityError("a fault of ours")), full=8)
