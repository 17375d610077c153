"""A worker that is killed between the bank's call and our commit: there is one payment, by our derived key."""

import os
import signal
import subprocess
import sys
from random import Random

import pytest
from django.db import connections
from django.utils import timezone

from ledger.models import RailTransfer
from ledger.rails import configured_rail
from ledger.services.rails import dispatch_rails
from tests.ledger import flows
from tests.support.factories import make_account
from tests.support.pipeline import deliver, hurry, run_until, verify
from tests.support.servers import ROOT
from wallet_project.sandbox.embedding import RunningSandbox

pytestmark = pytest.mark.django_db


def be_killed(sandbox: RunningSandbox, when: str) -> None:
    """Let a worker in a process of its own take what is due, and die on the way."""
    connections.close_all()
    done = subprocess.run(
        [sys.executable, "-m", "tests.ledger.dies_on_the_way", when],
        cwd=ROOT,
        env={**os.environ, **sandbox.wallet_settings(), "DJANGO_SETTINGS_MODULE": "wallet_project.settings"},
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


def payments_of(sandbox: RunningSandbox, key: str) -> int:
    found = sandbox.book.row("SELECT count(*) AS n FROM movement WHERE reference = ?", key)
    assert found is not None
    return int(found["n"])


@pytest.mark.parametrize(("when", "at_the_bank"), [("before", 5_000), ("after", 3_000)])
def test_a_killed_worker_s_payout_is_made_once(sandbox: RunningSandbox, when: str, at_the_bank: int) -> None:
    account = make_account()
    flows.fund_over_the_bank(account, 5_000, sandbox)
    made = flows.withdraw(account, 2_000, name="SBX-SETTLE")
    flows.approve(made)
    be_killed(sandbox, when)
    row = RailTransfer.objects.get(transaction=made.id)
    assert (row.status, row.attempts, flows.status(made)) == ("submitted", 1, "pending")
    assert sandbox.book.balance("EUR") == at_the_bank
    verify()
    assert dispatch_rails(rail=configured_rail(), now=timezone.now(), rng=Random(1)) == 0, "its lease still holds"
    hurry()
    run_until(flows.is_status(made, "cleared"), sandbox=sandbox, ledger_only=True)
    assert payments_of(sandbox, row.key) == 1
    assert flows.balances(account) == (3_000, 3_000)
    verify()


def test_the_bank_s_callback_overtakes_the_dead_worker_s_lease(sandbox: RunningSandbox) -> None:
    account = make_account()
    flows.fund_over_the_bank(account, 5_000, sandbox)
    made = flows.withdraw(account, 2_000, name="SBX-MANUAL")
    flows.approve(made)
    be_killed(sandbox, "after")
    row = RailTransfer.objects.get(transaction=made.id)
    sandbox.bank.decide(row.key, "settled")
    assert deliver(sandbox)[-1] == 200
    flows.settle_everything()
    assert flows.status(made) == "cleared"
    hurry()
    flows.settle_everything()
    assert payments_of(sandbox, row.key) == 1
    assert flows.balances(account) == (3_000, 3_000)
    verify()
