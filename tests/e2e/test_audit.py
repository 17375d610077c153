"""The self-audit in its lane: one that dies is no audit, and the next one is whole."""

import subprocess

import pytest

from tests.e2e.town import SECONDS, Town, kill
from tests.support.servers import ROOT
from wallet_project.embedded import processes, specs

AUDITS = "SELECT count(*) FROM compliance_selfaudit"


def ask(town: Town) -> None:
    """As beat does at night."""
    call = (*specs.CELERY, "call", "compliance.self_audit")
    done = subprocess.run(call, cwd=ROOT, env=town.env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.thorough
def test_an_audit_that_dies_leaves_no_row_and_the_next_one_is_whole(town: Town) -> None:
    with town.worker() as doomed, town.stuck_at("compliance_selfaudit") as stuck:
        ask(town)
        stuck.wait_for_somebody()
        kill(doomed)
        stuck.end_their_sessions()
    assert town.value(AUDITS) == 0
    with town.worker():
        ask(town)
        assert processes.wait_until(lambda: town.value(AUDITS) == 1, seconds=SECONDS)
    assert town.value("SELECT complete AND failing = 0 FROM compliance_selfaudit")
