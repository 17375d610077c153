"""A rule tried on the past: what it would have caught, of whom, and what it could say nothing of."""

import io
import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.staff import PermissionMissing
from compliance.models import Backtest, RuleVersion, Screening, StateChange
from compliance.services import backtests, rules
from compliance.services.backtests import ask_for_backtest, run_backtests
from compliance.services.rules import Draft
from compliance.services.screening import screen_due
from tests.compliance.people import at_once, path_of, staff
from tests.ledger.flows import transfer
from tests.support.factories import make_account
from wallet_project.utils.context import system_actor

pytestmark = pytest.mark.django_db
BIG = Draft("amount >= 5000 && days_idle < 400", "{amount as money} is much.", "review")


@pytest.fixture
def version(db: None, owner_connection: Any) -> RuleVersion:
    """Four payments of two customers: 40, 60, 70 and 20,000 euros, of which the last was looked at; and one of 80 euros
    from a time when it was not known how long a customer had been idle, the day before."""
    ada, grace, payee = make_account(funded=3_000_000), make_account(funded=100_000), make_account()
    for source, amount in ((ada, 4_000), (ada, 6_000), (grace, 7_000), (ada, 2_000_000)):
        transfer(source, payee, amount)
    old = transfer(ada, payee, 8_000)
    assert screen_due(now=timezone.now()) == 5
    owner_connection.execute(
        "UPDATE compliance_screening SET facts = facts - 'days_idle' WHERE transaction_id = %s", [old.id]
    )
    return rules.create_rule(actor=staff(), name="big", description="What is much.", draft=BIG)


def period() -> dict[str, Any]:
    now = timezone.now()
    return {"since": now - timedelta(days=1), "until": now + timedelta(hours=1)}


def test_it_reports_what_it_would_have_caught(
    version: RuleVersion, nudges: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backtests, "CHUNK", 2)
    row = ask_for_backtest(actor=staff(), version_id=version.id, **period())
    assert "compliance.run_backtests" in nudges
    assert run_backtests(now=timezone.now()) == 1
    assert run_backtests(now=timezone.now()) == 0
    row.refresh_from_db()
    assert (row.status, row.replayed, row.next_at, row.lease_token) == ("done", 5, None, None)
    assert path_of(row.id, StateChange) == ["queued", "running", "done"]
    report = row.report
    examples = report.pop("examples")
    days = report.pop("busiest_days")
    assert sum(days.values()) == 2
    assert report == {
        "transactions": 5,
        "hits": 3,
        "hits_in_100": 60.0,
        "not_caught_then": 2,
        "in_review_then": 1,
        "rejected_then": 0,
        "rules_that_spoke_then": {"single_amount": 1, "new_account": 1, "first_payment": 1},
        "customers": 2,
        "amount_not_caught_then": {"EUR": 13_000},
        "extra_cases": 3,
        "extra_cases_a_day": 2.88,
        "errors": 1,
        "errors_by_reason": {'UNKNOWN: No value with name "days_idle" found in Activation': 1},
    }
    assert [(each["amount"], each["explanation"]) for each in examples] == [
        (6_000, "60.00 EUR is much."),
        (7_000, "70.00 EUR is much."),
    ]
    assert {each["screening"] for each in examples} <= {
        str(id_) for id_ in Screening.objects.values_list("id", flat=True)
    }
    assert not Screening.objects.exclude(shadow=None).exists()


def test_the_command_prints_the_same_and_names_what_it_can_not_find(version: RuleVersion) -> None:
    out, progress = io.StringIO(), io.StringIO()
    since = (timezone.now() - timedelta(days=1)).isoformat()
    for name in ("big", "big:1", str(version.id)):
        call_command("backtest_rule", name, "--from", since, "--to", "2100-01-01", stdout=out, stderr=progress)
    first = json.loads(out.getvalue().partition("\n}\n")[0] + "}")
    assert (first["hits"], first["errors"]) == (3, 1)
    assert "5 transactions replayed" in progress.getvalue()
    for name in ("bigger", "big:2", "big:x"):
        with pytest.raises(CommandError, match="no rule"):
            call_command("backtest_rule", name, "--from", since, "--to", "2100-01-01")
    with pytest.raises(CommandError, match="period"):
        call_command("backtest_rule", "big", "--from", "2100-01-02", "--to", "2100-01-01")
    assert Backtest.objects.count() == 3


def test_who_may_not_edit_rules_may_not_try_them(version: RuleVersion) -> None:
    with pytest.raises(PermissionMissing):
        ask_for_backtest(actor=staff("Auditor"), version_id=version.id, **period())


def test_a_worker_that_died_is_followed_by_another_and_a_late_one_changes_nothing(
    version: RuleVersion, owner_connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = ask_for_backtest(actor=system_actor(), version_id=version.id, **period())
    real = backtests.replay

    def overtaken(*arguments: Any, **named: Any) -> Any:
        """While this one sleeps its lease runs out, and another does the work."""
        monkeypatch.setattr(backtests, "replay", real)
        assert run_backtests(now=timezone.now()) == 0
        owner_connection.execute("UPDATE compliance_backtest SET next_at = now() - interval '1 second'")
        assert at_once(lambda: run_backtests(now=timezone.now())) == [1]
        return real(*arguments, **named)

    monkeypatch.setattr(backtests, "replay", overtaken)
    assert run_backtests(now=timezone.now()) == 1
    row.refresh_from_db()
    assert (row.status, row.attempts) == ("done", 2)
    assert path_of(row.id, StateChange) == ["queued", "running", "done"]

    again = ask_for_backtest(actor=system_actor(), version_id=version.id, **period())
    owner_connection.execute("UPDATE compliance_backtest SET attempts = 8 WHERE id = %s", [again.id])
    assert run_backtests(now=timezone.now()) == 0
    again.refresh_from_db()
    assert (again.status, again.error) == ("failed", "not done in 8 tries")
