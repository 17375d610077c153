"""Nudges coalesce, wait for the commit, and never hurt."""

import time
from typing import Any

import kombu.exceptions
import pytest
from celery import Celery
from django.conf import settings
from django.db import connection, transaction

from wallet_project.embedded.processes import wait_until
from wallet_project.utils import nudges as nudging
from wallet_project.utils.nudges import lower_flag, nudge, set_sender

TOPIC = "ledger.transaction_pending"


@pytest.fixture(autouse=True)
def _topics(settings: Any) -> None:
    settings.NUDGES = {TOPIC: "compliance.screen_due", "ledger.other": "compliance.screen_due", "third": "ledger.clear"}


def test_a_nudge_waits_for_the_commit(db: None, nudges: list[str]) -> None:
    with transaction.atomic():
        nudge(TOPIC)
        assert nudges == []
    assert nudges == ["compliance.screen_due"]


def test_what_is_rolled_back_nudges_nobody(db: None, nudges: list[str]) -> None:
    with transaction.atomic():
        nudge(TOPIC)
        transaction.set_rollback(True)
    assert nudges == []


def test_nudges_coalesce_until_the_task_begins(db: None, nudges: list[str]) -> None:
    for _ in range(5):
        nudge(TOPIC)
    assert len(nudges) == 1
    lower_flag("compliance.screen_due")
    nudge(TOPIC)
    nudge(TOPIC)
    assert len(nudges) == 2


def test_two_topics_of_one_task_share_its_flag(db: None, nudges: list[str]) -> None:
    nudge(TOPIC)
    nudge("ledger.other")
    nudge("third")
    assert nudges == ["compliance.screen_due", "ledger.clear"]
    lower_flag(TOPIC)
    nudge("ledger.other")
    assert len(nudges) == 3


def test_a_flag_that_nobody_lowers_falls_by_itself(
    db: None, nudges: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nudging, "FLAG_SECONDS", 0.05)
    nudge(TOPIC)
    assert nudges == ["compliance.screen_due"]

    def sent_again() -> bool:
        nudge(TOPIC)
        return len(nudges) > 1

    # By this thread or by the timer of a moment: either may see that the flag has fallen, or both.
    assert wait_until(sent_again, seconds=30)


def test_a_dead_redis_costs_the_nudge_and_next_to_no_time(db: None, nudges: list[str], dead_redis: None) -> None:
    begin = time.monotonic()
    for _ in range(1000):
        nudge(TOPIC)
    lower_flag(TOPIC)
    assert nudges == []
    assert time.monotonic() - begin < 1


def test_what_comes_within_the_moment_is_nudged_for_at_its_end(
    db: None, nudges: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(nudging, "_send", asked.append)
    for _ in range(100):
        nudge(TOPIC)
    assert wait_until(lambda: len(asked) >= 2, seconds=5)
    # Redis was asked for the first, and once for all that came after it.
    assert asked == ["compliance.screen_due"] * 2


def test_a_task_that_has_begun_is_nudged_for_at_once(db: None, nudges: list[str]) -> None:
    for _ in range(3):
        nudge(TOPIC)
        lower_flag("compliance.screen_due")
    assert len(nudges) == 3


def test_a_nudge_opens_no_connection(db: None, nudges: list[str]) -> None:
    connection.close()
    nudge(TOPIC)
    assert (connection.connection, nudges) == (None, ["compliance.screen_due"])


@pytest.mark.parametrize(
    "failure", [kombu.exceptions.OperationalError("gone"), ConnectionRefusedError(), TimeoutError()]
)
def test_a_broker_that_fails_is_survived(db: None, failure: Exception) -> None:
    def fail(task: str) -> None:
        raise failure

    set_sender(fail)
    nudge(TOPIC)


def test_a_fault_of_ours_is_logged_and_does_not_look_like_a_failed_commit(
    db: None, caplog: pytest.LogCaptureFixture
) -> None:
    def bug(task: str) -> None:
        raise RuntimeError("a bug")

    set_sender(bug)
    with transaction.atomic():
        nudge(TOPIC)
    assert "a bug" in caplog.text
    caplog.clear()
    lower_flag(TOPIC)
    nudge(TOPIC)
    assert "a bug" in caplog.text


def test_a_topic_without_a_task_is_a_mistake(db: None) -> None:
    with pytest.raises(KeyError):
        nudge("ledger.misspelt")


def test_without_a_sender_the_sweeps_are_left_to_it(db: None) -> None:
    set_sender(None)
    nudge(TOPIC)


def test_publishing_to_a_broker_that_is_away_fails_at_once() -> None:
    """With the settings' own options: kombu's would go on trying for six seconds."""
    app = Celery("to nobody", broker="redis://127.0.0.1:1/0", set_as_current=False)
    app.conf.broker_transport_options = settings.CELERY_BROKER_TRANSPORT_OPTIONS
    begin = time.monotonic()
    with pytest.raises(nudging.BROKER_FAILURES):
        app.send_task("compliance.screen_due", retry=False, ignore_result=True)
    assert time.monotonic() - begin < 1
