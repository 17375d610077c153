"""The background work without its processes: tests call what the tasks call, until nothing is left to do."""

import threading
import time
from collections.abc import Callable
from typing import Any

from django.core.management import call_command
from django.db import connection
from django.db.models import Model
from django.db.models.functions import Now
from django.test import Client

import compliance.models
import compliance.tasks
import ledger.models
import ledger.tasks
from wallet_project.sandbox.embedding import RunningSandbox

TASKS = (
    compliance.tasks.process_identity_events,
    compliance.tasks.run_checks,
    compliance.tasks.screen_due,
    compliance.tasks.screen_payers,
    ledger.tasks.process_bank_events,
    ledger.tasks.dispatch_rails,
    ledger.tasks.expire_due,
    ledger.tasks.resume_thawed,
    ledger.tasks.clear_due,
    compliance.tasks.open_cases,
)
_LEDGER_TASKS = tuple(task for task in TASKS if task.name.startswith("ledger."))
_WAITING: tuple[type[Model], ...] = (
    ledger.models.RailTransfer,
    ledger.models.InboundEvent,
    compliance.models.InboundEvent,
    compliance.models.KycCheck,
)
# Whatever a task does leaves a trace in one of these.
_TRACES = """
    SELECT (SELECT max(id) FROM accounts_statechange), (SELECT max(id) FROM ledger_statechange),
           (SELECT max(id) FROM compliance_statechange), (SELECT sum(attempts) FROM ledger_railtransfer),
           (SELECT sum(attempts) + count(processed_at) FROM ledger_inboundevent),
           (SELECT sum(attempts) + count(processed_at) FROM compliance_inboundevent),
           (SELECT sum(attempts) FROM compliance_kyccheck), (SELECT count(*) FROM ledger_workitem)"""


def run_until_idle(*, ledger_only: bool = False) -> None:
    """Run every task that is due, and what becomes due by that, until nothing moves any more."""
    before = None
    while (now := _traces()) != before:
        before = now
        for task in _LEDGER_TASKS if ledger_only else TASKS:
            task()


def run_until(
    condition: Callable[[], Any],
    *,
    sandbox: RunningSandbox | None = None,
    ledger_only: bool = False,
    seconds: float = 20,
) -> Any:
    """The first truthy value of `condition`, with the background at work meanwhile: no try waits for its time, and
    what the sandbox has to tell is delivered. Fails the test when it does not happen in time."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while True:
        run_until_idle(ledger_only=ledger_only)
        if value := condition():
            return value
        assert time.monotonic() < deadline, "what was waited for did not happen"
        pause.wait(0.01)
        if sandbox is not None:
            deliver(sandbox)
        hurry()


def hurry() -> None:
    """What waits for another try is due now."""
    for model in _WAITING:
        model._default_manager.filter(next_at__isnull=False).update(next_at=Now())


def deliver(sandbox: RunningSandbox, service: str = "bank") -> list[int]:
    """Hand every callback so far to the wallet's webhook, as often as this is called; the statuses that came back."""
    client = Client()
    return [
        client.post(
            f"/webhooks/{service}", data=callback.body, content_type="application/json", headers=callback.headers
        ).status_code
        for callback in sandbox.callbacks(service)
    ]


def verify(*arguments: str) -> None:
    """Fails the test when an invariant does not hold; with `--no-bank` where the test made money without a bank.

    Whether the database's guards are those of the migrations is for the tests of the guards alone: a third of the time.
    """
    call_command("verify_ledger", "--without", "Guards", *arguments)


def _traces() -> Any:
    with connection.cursor() as cursor:
        cursor.execute(_TRACES)
        return cursor.fetchone()
