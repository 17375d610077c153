"""Clearing in batches: what one unit can't do must not keep the others from it."""

import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, transaction

from accounts.models import Account
from accounts.steps import lock_account
from ledger import steps, tasks
from ledger.models import Entry, Escalation, RailTransfer, WorkItem
from ledger.resolutions import OnlyTheBankEndsIt, possible_resolutions
from ledger.services import clearing
from tests.compliance.people import at_once
from tests.ledger import flows
from tests.ledger.test_escalations import resolve
from tests.ledger.test_races import until_somebody_waits
from tests.ledger.test_verification_movements import set_limit
from tests.support.factories import forget_nudges, make_account
from tests.support.pipeline import run_until, run_until_idle, verify
from wallet_project.sandbox.embedding import RunningSandbox
from wallet_project.utils.context import system_actor
from wallet_project.utils.nudges import lower_flag
from wallet_project.utils.transitions import move

pytestmark = pytest.mark.django_db

_WRITTEN_BY_WHO_WAITS = """
SELECT DISTINCT c.relname FROM pg_stat_activity a JOIN pg_locks l USING (pid) JOIN pg_class c ON c.oid = l.relation
WHERE a.datname = current_database() AND a.usename = 'wallet_app' AND a.wait_event_type = 'Lock'
AND l.mode = 'RowExclusiveLock'"""


def approved_transfers(count: int, amount: int = 10) -> tuple[list, object, object]:
    source, destination = make_account(funded=10_000), make_account()
    made = [flows.transfer(source, destination, amount) for _ in range(count)]
    flows.approve(*made)
    return made, source, destination


def poison(connection: psycopg.Connection, unit: object) -> None:
    """Make the unit one that posting refuses, which no use case can: it waits for clearing without an approval."""
    connection.execute("UPDATE ledger_workitem SET stage = 'clearing', next_at = now() WHERE unit_id = %s", [unit])


@pytest.mark.parametrize("position", [0, 3, 6])
def test_a_poisoned_unit_is_set_aside_and_the_others_clear(owner_connection: psycopg.Connection, position: int) -> None:
    source, destination = make_account(funded=10_000), make_account()
    made = [flows.transfer(source, destination, 10) for _ in range(position)]
    flows.approve(*made)
    bad = flows.transfer(source, destination, 10)
    poison(owner_connection, bad.id)
    later = [flows.transfer(source, destination, 10) for _ in range(6 - position)]
    flows.approve(*later)
    assert clearing.clear_due() == 7
    assert [flows.status(view) for view in (*made, *later)] == ["cleared"] * 6
    assert (flows.status(bad), WorkItem.objects.get().stage) == ("pending", "parked")
    escalation = Escalation.objects.get()
    assert (escalation.kind, escalation.transaction_id) == ("poisoned_unit", bad.id)
    assert (escalation.subject_type, escalation.subject_id) == ("transaction", str(bad.id))
    assert clearing.clear_due() == 0
    assert flows.balances(source) == (9_940, 9_930)
    verify("--no-bank")
    resolve(escalation, "retry")
    run_until_idle()
    assert flows.status(bad) == "cleared", "it went back to where its rows say it stands: to be screened"
    assert flows.balances(source) == (9_930, 9_930)
    verify("--no-bank")


def test_a_poisoned_unit_can_be_failed_by_a_human(owner_connection: psycopg.Connection) -> None:
    source, destination = make_account(funded=100), make_account()
    bad = flows.transfer(source, destination, 10)
    poison(owner_connection, bad.id)
    clearing.clear_due()
    resolve(Escalation.objects.get(), "fail")
    assert flows.status(bad) == "failed: not_permitted"
    assert flows.balances(source) == (100, 100)
    verify("--no-bank")


def test_a_passing_failure_undoes_the_batch_and_blames_nobody(owner_connection: psycopg.Connection) -> None:
    made, source, _ = approved_transfers(3)
    owner_connection.execute("BEGIN")
    owner_connection.execute("SELECT FROM accounts_account WHERE id = %s FOR UPDATE", [source.id])
    with pytest.raises(OperationalError):
        clearing.clear_due()
    tasks.clear_due()
    owner_connection.execute("ROLLBACK")
    assert not Escalation.objects.exists()
    assert WorkItem.objects.filter(stage="clearing").count() == 3
    assert clearing.clear_due() == 3
    assert [flows.status(view) for view in made] == ["cleared"] * 3
    verify("--no-bank")


def test_the_poisoned_unit_is_found_in_whatever_order_units_are_due(owner_connection: psycopg.Connection) -> None:
    """A batch is halved by its units, not by how many they are: the one asked for first may be the last that is due."""
    source, destination = make_account(funded=10_000), make_account()
    bad = flows.transfer(source, destination, 10)
    poison(owner_connection, bad.id)
    made = [flows.transfer(source, destination, 10) for _ in range(3)]
    flows.approve(*made)
    for minutes, unit in enumerate((bad, *made)):
        owner_connection.execute(
            "UPDATE ledger_workitem SET next_at = now() - %s * interval '1 minute' WHERE unit_id = %s",
            [minutes, unit.id],
        )
    assert clearing.clear_due() == 4
    assert [flows.status(view) for view in made] == ["cleared"] * 3
    assert Escalation.objects.get().transaction_id == bad.id
    assert WorkItem.objects.get().stage == "parked"
    verify("--no-bank")


def test_a_passing_failure_of_a_unit_on_its_own_is_not_blamed_on_it(owner_connection: psycopg.Connection) -> None:
    """The batch was refused for what it holds; when its last unit is tried alone, somebody else has the lock."""
    (made,), source, _ = approved_transfers(1)
    owner_connection.execute("CREATE SEQUENCE tries")
    owner_connection.execute(
        """CREATE FUNCTION refuse_and_then_time_out() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
           SET search_path = public AS $$
           BEGIN
               CASE nextval('tries')
                   WHEN 1 THEN RAISE check_violation;
                   WHEN 2 THEN RAISE lock_not_available;
                   ELSE RETURN NEW;
               END CASE;
           END $$"""
    )
    owner_connection.execute(
        "CREATE TRIGGER refuses_and_then_times_out BEFORE INSERT ON ledger_entry FOR EACH STATEMENT "
        "EXECUTE FUNCTION refuse_and_then_time_out()"
    )
    with pytest.raises(OperationalError):
        clearing.clear_due()
    assert not Escalation.objects.exists()
    assert (WorkItem.objects.get().stage, flows.status(made)) == ("clearing", "pending")
    assert clearing.clear_due() == 1
    assert (flows.status(made), flows.balances(source)) == ("cleared", (9_990, 9_990))
    owner_connection.execute("DROP FUNCTION refuse_and_then_time_out CASCADE")
    owner_connection.execute("DROP SEQUENCE tries")
    verify("--no-bank")


def test_a_full_batch_asks_for_another(nudges: list[str]) -> None:
    approved_transfers(5)
    lower_flag("ledger.clear_due")
    nudges.clear()
    assert clearing.clear_due(limit=3) == 3
    assert nudges == ["ledger.clear_due"]
    assert clearing.clear_due(limit=3) == 2
    assert nudges == ["ledger.clear_due"]


def test_an_approval_wakes_the_clearing_and_what_talks_to_banks_once(nudges: list[str]) -> None:
    made = flows.transfer(make_account(funded=100), make_account(), 10)
    for approved, heard in ({made.id}, ["ledger.clear_due", "ledger.dispatch_rails"]), (set(), []):
        forget_nudges(nudges)
        with transaction.atomic():
            assert steps.approve([made.id]) == approved
        assert nudges == heard


def test_a_task_lowers_the_flag_first_and_works_until_nothing_is_due(nudges: list[str]) -> None:
    _, source, destination = approved_transfers(7)
    assert nudges.count("ledger.clear_due") == 1, "the flag is up: the nudges were one"
    tasks.clear_due()
    flows.approve(flows.transfer(source, destination, 10))
    assert nudges.count("ledger.clear_due") == 2
    assert Entry.objects.filter(account=destination.id).count() == 7


def test_a_merchant_whom_everybody_pays_gets_lines_without_a_gap() -> None:
    merchant = make_account()
    payers = [make_account(funded=100) for _ in range(4)]
    made = [flows.transfer(payer, merchant, 5) for payer in payers for _ in range(4)]
    flows.approve(*made)
    clearing.clear_due()
    lines = Entry.objects.filter(account=merchant.id).order_by("sequence")
    assert [line.balance_after for line in lines] == [5 * n for n in range(1, 17)]
    verify("--no-bank")


def test_a_poisoned_deposit_that_is_failed_leaves_its_money_in_suspense(
    sandbox: RunningSandbox, owner_connection: psycopg.Connection
) -> None:
    account = make_account()
    made = flows.deposit(account, 900, reference="SBX-SETTLE")
    flows.approve(made)
    owner_connection.execute(
        "ALTER TABLE accounts_account ADD CONSTRAINT poison CHECK (cleared < 900 OR purpose = 'suspense') NOT VALID"
    )
    run_until_idle(ledger_only=True)
    assert Escalation.objects.get().kind == "poisoned_unit"
    verify()
    resolve(Escalation.objects.get(), "fail")
    assert flows.status(made) == "failed: not_permitted"
    assert Account.objects.get(purpose="suspense", currency="EUR").cleared == 900
    assert Escalation.objects.get(status="open").kind == "unmatched_money"
    verify()


def test_a_poisoned_withdrawal_that_the_bank_has_paid_can_only_be_tried_again(
    sandbox: RunningSandbox, owner_connection: psycopg.Connection
) -> None:
    account = make_account()
    flows.fund_over_the_bank(account, 5_000, sandbox)
    made = flows.withdraw(account, 900)
    flows.approve(made)
    owner_connection.execute("ALTER TABLE accounts_account ADD CONSTRAINT poison CHECK (cleared <> 4100) NOT VALID")
    run_until(lambda: Escalation.objects.exists(), sandbox=sandbox, ledger_only=True)
    escalation = Escalation.objects.get()
    assert (escalation.kind, RailTransfer.objects.get(transaction=made.id).status) == ("poisoned_unit", "confirmed")
    assert possible_resolutions(escalation) == ("retry",)
    with pytest.raises(OnlyTheBankEndsIt):
        resolve(escalation, "fail")
    owner_connection.execute("ALTER TABLE accounts_account DROP CONSTRAINT poison")
    resolve(escalation, "retry")
    run_until_idle(ledger_only=True)
    assert flows.status(made) == "cleared"
    assert flows.balances(account) == (4_100, 4_100)
    verify()


def _freeze(payer: Account, _payee: Account) -> None:
    move(lock_account(payer.id), "freeze", actor=system_actor(), reason="a test")


def _limit(_payer: Account, payee: Account) -> None:
    set_limit(payee, "in", per_day=20)


@pytest.mark.parametrize(("changes", "becomes"), [(_freeze, "pending"), (_limit, "failed: receiver_limit")])
def test_what_changes_while_a_batch_waits_for_its_accounts_is_respected(
    changes: Callable[[Account, Account], None], becomes: str, admin_dsn: str
) -> None:
    made, source, _ = approved_transfers(3)
    payer, payee = make_account(funded=100), make_account()
    refused = flows.transfer(payer, payee, 30)
    flows.approve(refused)
    changing = threading.Event()

    def change() -> list[Any]:
        with transaction.atomic():
            changes(payer, payee)
            changing.set()
            until_somebody_waits(admin_dsn)
            with psycopg.connect(admin_dsn) as admin:
                return admin.execute(_WRITTEN_BY_WHO_WAITS).fetchall()

    def clear() -> int:
        assert changing.wait(10)
        return clearing.clear_due()

    written, cleared = at_once(change, clear)
    assert ("ledger_statechange",) in written, "what needs no account is written before accounts are locked"
    assert ("ledger_entry",) not in written
    assert cleared == 4
    assert [flows.status(view) for view in made] == ["cleared"] * 3
    assert flows.status(refused) == becomes
    assert flows.balances(source) == (9_970, 9_970)
    assert flows.balances(payee) == (0, 0)
    verify("--no-bank")


def test_no_index_of_transactions_stands_on_what_clearing_writes(owner_connection: psycopg.Connection) -> None:
    """Else each new version of a row is entered in all of them, which was a quarter of clearing."""
    found = owner_connection.execute(
        "SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = 'ledger_transaction'::regclass "
        r"AND pg_get_indexdef(indexrelid) ~ '\m(status|cleared_at)\M'"
    )
    assert found.fetchall() == []
