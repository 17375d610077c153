"""The self-audit: what it finds gets a human, once; it repairs nothing, and one that does not come is noticed."""

from io import StringIO
from typing import Any

import psycopg
import pytest
from celery.schedules import crontab
from django.conf import settings as configured
from django.core.management import call_command
from django.db import transaction
from django.utils import timezone

from accounts.models import Account
from accounts.staff import PermissionMissing
from compliance.models import Case, SelfAudit
from compliance.selectors import audited_checks, last_complete_audit
from compliance.services import case_queue, self_audit
from compliance.tasks import audit_books
from ledger import steps as ledger
from ledger.models import Escalation
from tests.compliance.people import at_once, staff
from tests.support import money
from tests.support.pipeline import verify
from wallet_project.celery import app
from wallet_project.sandbox.embedding import RunningSandbox
from wallet_project.utils.context import system_actor

pytestmark = pytest.mark.django_db


@pytest.fixture
def account(sandbox: RunningSandbox) -> Account:
    """An account, and a bank whose book is as empty as ours."""
    return money.new_account()


@pytest.fixture
def cent(account: Account, owner_connection: psycopg.Connection) -> Account:
    """An account that was given a cent by hand."""
    owner_connection.execute("UPDATE accounts_account SET cleared = cleared + 1 WHERE id = %s", [account.id])
    return account


def audit() -> SelfAudit:
    return self_audit.self_audit(actor=system_actor(), now=timezone.now())


def failing(done: SelfAudit) -> set[str]:
    return {result["check"] for result in done.results if not result["holds"]}


def open_findings() -> set[str]:
    return set(Escalation.objects.filter(kind="audit_finding", status="open").values_list("subject_id", flat=True))


def metric(reader: Any) -> dict[tuple[str, ...], float]:
    return dict(reader())


def test_books_that_are_right_are_said_to_be(account: Account) -> None:
    done = audit()
    assert done.complete
    assert (done.failing, open_findings()) == (0, set())
    checks = [(result["app"], result["check"]) for result in done.results]
    assert {name for _, name in checks} >= {"I1", "I2", "I3", "I4", "I5", "I6", "I9"}
    assert len(set(checks)) == len(checks), "a finding is told apart by app and name"
    assert metric(audited_checks) == {("holds",): len(checks), ("failing",): 0, ("unread",): 0}


def test_a_finding_gets_a_human_and_is_not_repaired(cent: Account) -> None:
    done = audit()
    done.refresh_from_db()
    assert failing(done) == {"I1", "I2"}
    assert open_findings() == {"ledger:I1", "ledger:I2"}
    assert metric(audited_checks)[("failing",)] == 2
    cent.refresh_from_db()
    assert cent.cleared == 1
    case_queue.open_cases(now=timezone.now())
    case = Case.objects.get(escalation__subject_id="ledger:I2")
    assert case.priority == "high"
    assert case.reason == ("The self-audit found the books to be wrong. I2: stored balances differ from the rows (1)")
    (result,) = [result for result in done.results if result["check"] == "I2"]
    assert result["offending"][0]["account_id"] == str(cent.id)


def test_a_finding_is_escalated_once_while_it_is_open_and_again_afterwards(cent: Account) -> None:
    audit()
    audit()
    assert Escalation.objects.filter(kind="audit_finding").count() == 2
    with transaction.atomic():
        ledger.resolve_escalation(
            escalation_id=Escalation.objects.get(subject_id="ledger:I1").id,
            action="acknowledge",
            actor=system_actor(),
            reason="seen",
            now=timezone.now(),
        )
    audit()
    assert open_findings() == {"ledger:I1", "ledger:I2"}
    assert Escalation.objects.filter(kind="audit_finding").count() == 3


def test_four_at_once_escalate_as_one(cent: Account) -> None:
    results = at_once(*[audit] * 4)
    assert [sorted(failing(done)) for done in results] == [["I1", "I2"]] * 4
    assert Escalation.objects.filter(kind="audit_finding").count() == 2


def test_what_can_not_be_read_holds_up_nothing_else(cent: Account, settings: Any) -> None:
    before = metric(last_complete_audit)
    settings.BANK_URL = "http://127.0.0.1:9"
    done = audit()
    assert not done.complete
    assert failing(done) == {"I1", "I2", "I9"}
    assert open_findings() == {"ledger:I1", "ledger:I2"}, "that the bank is silent is no finding"
    assert metric(audited_checks)[("unread",)] == 1
    assert metric(last_complete_audit) == before, "an audit that could not read everything is not a complete one"


def test_a_query_that_takes_too_long_is_cut_off_alone(account: Account, settings: Any) -> None:
    settings.LEDGER_CHECKS = ["tests.compliance.test_self_audit.endless", *configured.LEDGER_CHECKS]
    settings.SELF_AUDIT_QUERY_SECONDS = 1
    done = audit()
    assert failing(done) == {"Endless"}
    assert "statement timeout" in done.results[0]["unread"]


def endless() -> Any:
    from wallet_project.utils.verification import SqlCheck

    return [SqlCheck("Endless", "it ends", figures="SELECT 1 AS one FROM pg_sleep(60)", offences={})]


def test_the_last_complete_audit_is_known_also_before_the_first(account: Account) -> None:
    installed = metric(last_complete_audit)[()]
    assert timezone.now().timestamp() - 86_400 < installed < timezone.now().timestamp()
    done = audit()
    assert metric(last_complete_audit)[()] == pytest.approx(done.began_at.timestamp(), abs=0.001)


def test_it_runs_every_night_in_a_lane_of_its_own() -> None:
    entry = configured.CELERY_BEAT_SCHEDULE["compliance.self_audit"]
    assert isinstance(entry["schedule"], crontab)
    assert entry["schedule"].hour == {configured.SELF_AUDIT_HOUR}
    assert app.amqp.router.route({}, "compliance.self_audit")["queue"].name == "audit"
    # Before the broker would hand it to a second worker as well.
    assert audit_books.time_limit < configured.CELERY_BROKER_TRANSPORT_OPTIONS["visibility_timeout"]


def test_the_task_and_the_command_do_the_same(cent: Account) -> None:
    audit_books()
    assert SelfAudit.objects.get().failing == 2
    printed = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("self_audit", stdout=printed)
    assert ended.value.code == 1
    assert "I2      BROKEN" in printed.getvalue()
    assert SelfAudit.objects.count() == 2


def test_the_command_says_when_not_all_could_be_read(account: Account, settings: Any) -> None:
    settings.BANK_URL = "http://127.0.0.1:9"
    with pytest.raises(SystemExit) as ended:
        call_command("self_audit", stdout=StringIO())
    assert ended.value.code == 2


def test_an_open_finding_does_not_break_the_books_by_itself(cent: Account, owner_connection: Any) -> None:
    audit()
    owner_connection.execute("UPDATE accounts_account SET cleared = 0 WHERE id = %s", [cent.id])
    case_queue.open_cases(now=timezone.now())
    verify()
    assert audit().failing == 0


def test_who_may_not_ask_for_one_is_refused_by_the_service(account: Account) -> None:
    with pytest.raises(PermissionMissing):
        self_audit.ask_for_audit(actor=staff("Officer"))


def test_what_was_found_stays_as_it_was_written(
    account: Account, app_connection: psycopg.Connection, owner_connection: psycopg.Connection
) -> None:
    audit()
    for command in ("UPDATE compliance_selfaudit SET failing = 0", "DELETE FROM compliance_selfaudit"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            app_connection.execute(command)  # type: ignore[arg-type]
        with pytest.raises(psycopg.errors.CheckViolation):
            owner_connection.execute(command)  # type: ignore[arg-type]
