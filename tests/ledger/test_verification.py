"""`verify_ledger` finds what is wrong: each invariant is broken by hand, as the owner, with the triggers off."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import StringIO
from typing import Any, cast

import psycopg
import pytest
from django.core.management import call_command
from django.utils import timezone

from accounts.models import Account
from ledger.models import Entry, RailTransfer
from ledger.rails import BankBook, configured_rail
from ledger.reconciliation import BankBookCheck
from tests.ledger import flows
from tests.support import money
from tests.support.factories import make_account
from tests.support.pipeline import deliver, run_until, verify
from wallet_project.sandbox.embedding import RunningSandbox

pytestmark = pytest.mark.django_db

TABLES = (
    "accounts_account",
    "accounts_idempotencyclaim",
    "ledger_transaction",
    "ledger_entry",
    "ledger_railtransfer",
    "ledger_statechange",
    "ledger_escalation",
    "ledger_workitem",
    "ledger_inboundevent",
)


@contextmanager
def unguarded(owner: psycopg.Connection) -> Iterator[psycopg.Connection]:
    for table in TABLES:
        owner.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    owner.execute("ALTER TABLE accounts_account DROP CONSTRAINT account_cleared_not_negative")
    owner.execute("ALTER TABLE accounts_account DROP CONSTRAINT account_available_not_negative")
    yield owner
    for table in TABLES:
        owner.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


@pytest.fixture
def break_by_hand(owner_connection: psycopg.Connection) -> Iterator[Callable[..., None]]:
    with unguarded(owner_connection) as owner:
        yield lambda sql, *values: owner.execute(sql, values)


@pytest.fixture
def account(sandbox: RunningSandbox) -> Account:
    """With a cleared deposit of 5,000, a pending transfer of 1,000 and a refused one."""
    made = make_account()
    flows.fund_over_the_bank(made, 5_000, sandbox)
    flows.transfer(made, make_account(), 1_000)
    verify()
    return made


def findings(*arguments: str) -> str:
    """What the command prints; it must exit with 1. That the guards are off, these tests know."""
    printed = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("verify_ledger", "--without", "Guards", *arguments, stdout=printed)
    assert ended.value.code == 1
    return printed.getvalue()


def broken(printed: str) -> set[str]:
    return {line.split()[0] for line in printed.splitlines() if "BROKEN" in line}


def test_it_prints_each_check_with_its_figures_and_exits_with_0(account: Account) -> None:
    printed = StringIO()
    call_command("verify_ledger", stdout=printed)
    text = printed.getvalue()
    for name in ("I1", "I2", "I3", "I4", "I5", "I6", "I9"):
        assert f"\n{name} " in "\n" + text
    assert "entries 2, transactions 1" in text
    assert "EUR ours 5000 + in flight 0 = bank 5000" in text
    without = StringIO()
    call_command("verify_ledger", "--no-bank", stdout=without)
    assert "I9" not in without.getvalue()


def test_i1_an_entry_too_much(account: Account, break_by_hand: Callable[..., None]) -> None:
    break_by_hand("UPDATE ledger_entry SET amount = amount + 1 WHERE account_id = %s", account.id)
    text = findings("--no-bank")
    assert {"I1", "I2"} <= broken(text)
    assert str(Entry.objects.get(account=account).transaction_id) in text


def test_i1_a_currency_that_does_not_add_up(account: Account, break_by_hand: Callable[..., None]) -> None:
    break_by_hand("UPDATE accounts_account SET cleared = cleared + 1 WHERE id = %s", account.id)
    text = findings("--no-bank")
    assert {"I1", "I2"} <= broken(text)
    assert '"currency": "EUR"' in text


@pytest.mark.parametrize(
    "change",
    [
        "reserved = reserved - 1",
        "last_sequence = last_sequence + 1",
        "cleared = cleared - 1",
        "debits = debits + 1",
        "sent = sent + 1",
    ],
)
def test_i2_a_stored_balance_that_the_rows_do_not_say(
    account: Account, break_by_hand: Callable[..., None], change: str
) -> None:
    break_by_hand(f"UPDATE accounts_account SET {change} WHERE id = %s", account.id)
    text = findings("--no-bank")
    assert "I2" in broken(text)
    assert str(account.id) in text


@pytest.mark.parametrize("change", ["debits_before = debits_before + 1", "sent_before = sent_before + 1"])
def test_i2_a_payment_that_says_otherwise_what_was_before_it(
    account: Account, break_by_hand: Callable[..., None], change: str
) -> None:
    money.transfer(account, money.new_account(), 1)
    break_by_hand(
        f"UPDATE ledger_transaction SET {change} WHERE debit_account_id = %s AND debits_before = 0", account.id
    )
    assert broken(findings("--no-bank")) == {"I2"}


def test_i2_a_gap_in_the_lines(account: Account, break_by_hand: Callable[..., None]) -> None:
    break_by_hand("UPDATE ledger_entry SET sequence = 2 WHERE account_id = %s", account.id)
    break_by_hand("UPDATE accounts_account SET last_sequence = 2 WHERE id = %s", account.id)
    assert broken(findings("--no-bank")) == {"I2"}


def test_i2_a_running_balance_that_does_not_run(account: Account, break_by_hand: Callable[..., None]) -> None:
    break_by_hand("UPDATE ledger_entry SET balance_after = 4999 WHERE account_id = %s", account.id)
    assert broken(findings("--no-bank")) == {"I2"}


def test_i3_a_balance_below_zero(account: Account, break_by_hand: Callable[..., None]) -> None:
    break_by_hand("UPDATE accounts_account SET cleared = -1, reserved = 0 WHERE id = %s", account.id)
    assert "I3" in broken(findings("--no-bank"))


def test_i3_a_balance_that_was_below_zero(account: Account, break_by_hand: Callable[..., None]) -> None:
    break_by_hand("UPDATE ledger_entry SET balance_after = -1 WHERE account_id = %s", account.id)
    assert "I3" in broken(findings("--no-bank"))


def test_i4_a_key_without_a_transaction(account: Account, break_by_hand: Callable[..., None]) -> None:
    break_by_hand(
        "INSERT INTO accounts_idempotencyclaim (principal_id, key, operation, request_hash, result_id) "
        "SELECT id, 'lost', 'transfer', '\\x00', gen_random_uuid() FROM accounts_principal LIMIT 1"
    )
    assert broken(findings("--no-bank")) == {"I4"}


def test_i4_a_transaction_that_nobody_asked_for(account: Account, break_by_hand: Callable[..., None]) -> None:
    break_by_hand("DELETE FROM accounts_idempotencyclaim WHERE operation = 'transfer'")
    assert broken(findings("--no-bank")) == {"I4"}


def test_i4_a_transaction_under_somebody_elses_key(account: Account, break_by_hand: Callable[..., None]) -> None:
    break_by_hand(
        "UPDATE accounts_idempotencyclaim SET principal_id = '00000000-0000-7000-8000-000000000001' "
        "WHERE operation = 'transfer'"
    )
    assert broken(findings("--no-bank")) == {"I4"}


def test_i4_what_refers_to_nothing(account: Account, break_by_hand: Callable[..., None]) -> None:
    nobody = "gen_random_uuid()"
    break_by_hand(f"UPDATE accounts_idempotencyclaim SET principal_id = {nobody} WHERE operation = 'transfer'")
    said = findings("--no-bank")
    assert "a key of nobody's" in said
    assert "a transaction of nobody's" not in said
    for column, wrong in (
        ("initiator_id", nobody),
        ("debit_account_id", nobody),
        ("credit_account_id", nobody),
        ("currency", "'USD'"),
    ):
        break_by_hand(
            f"UPDATE ledger_transaction SET {column} = {wrong}, reference = {column}::text WHERE kind = 'transfer'"
        )
        assert "a transaction of nobody's, or of an account that is not there or has another" in findings("--no-bank")
        was = {"currency": "'EUR'"}.get(column, "reference::uuid")
        break_by_hand(f"UPDATE ledger_transaction SET {column} = {was}, reference = '' WHERE kind = 'transfer'")
        assert "a transaction of nobody's" not in findings("--no-bank")


def test_i5_a_state_that_the_log_does_not_know(account: Account, break_by_hand: Callable[..., None]) -> None:
    break_by_hand("DELETE FROM ledger_statechange WHERE machine = 'transaction' AND to_state = 'cleared'")
    assert broken(findings("--no-bank")) == {"I5"}


def test_i5_a_path_that_is_not_legal(account: Account, break_by_hand: Callable[..., None]) -> None:
    break_by_hand(
        "INSERT INTO ledger_statechange (machine, subject_id, from_state, to_state, actor_id, reason, request_id) "
        "SELECT 'transaction', id, 'cleared', 'pending', initiator_id, '', '' FROM ledger_transaction "
        "WHERE status = 'cleared'"
    )
    assert "I5" in broken(findings("--no-bank"))


def test_i5_a_list_of_what_is_pending_that_says_otherwise(account: Account, break_by_hand: Callable[..., None]) -> None:
    for wrong, right in (
        ("debit_account_id = gen_random_uuid()", "debit_account_id = t.debit_account_id"),
        ("credit_account_id = p.debit_account_id", "credit_account_id = t.credit_account_id"),
        ("payee_sees = true", "payee_sees = false"),
    ):
        break_by_hand(f"UPDATE ledger_pending p SET {wrong}")
        assert "what is listed as pending is not what is" in findings("--no-bank"), wrong
        break_by_hand(f"UPDATE ledger_pending p SET {right} FROM ledger_transaction t WHERE t.id = p.transaction_id")
    verify("--no-bank")
    break_by_hand(
        "INSERT INTO ledger_pending (debit_account_id, transaction_id, credit_account_id, payee_sees) "
        "SELECT debit_account_id, id, credit_account_id, kind = 'deposit' FROM ledger_transaction "
        "WHERE status = 'cleared'"
    )
    # Nothing works on it, either.
    assert broken(findings("--no-bank")) == {"I5", "I6"}
    break_by_hand("DELETE FROM ledger_pending")
    assert broken(findings("--no-bank")) == {"I5", "I6"}


@pytest.mark.parametrize("app", ["accounts", "ledger", "compliance"])
def test_i5_a_row_that_no_log_knows_of(app: str, account: Account, break_by_hand: Callable[..., None]) -> None:
    break_by_hand(f"ALTER TABLE {app}_statechange DISABLE TRIGGER USER")
    break_by_hand(f"DELETE FROM {app}_statechange")
    assert "I5" in broken(findings("--no-bank"))


def test_i5_a_cleared_transaction_without_entries(account: Account, break_by_hand: Callable[..., None]) -> None:
    break_by_hand("DELETE FROM ledger_entry")
    break_by_hand("UPDATE accounts_account SET cleared = 0, reserved = 0, last_sequence = 0")
    assert {"I5", "I2"} <= broken(findings("--no-bank"))


def test_i5_entries_of_no_transaction(account: Account, break_by_hand: Callable[..., None]) -> None:
    break_by_hand("UPDATE ledger_entry SET transaction_id = '01990000-0000-7000-8000-000000000009'")
    text = findings("--no-bank")
    assert "I5" in broken(text)
    assert "an entry that is not as its transaction says" in text


def test_i6_a_pending_transaction_without_work(account: Account, break_by_hand: Callable[..., None]) -> None:
    break_by_hand("DELETE FROM ledger_workitem")
    assert "I6" in broken(findings("--no-bank"))


@pytest.mark.parametrize(
    "change",
    [
        "next_at = NULL",
        "next_at = now() - interval '1 day'",
        "stage = 'parked', next_at = NULL",
        "stage = 'settling', next_at = NULL",
        "unit_id = gen_random_uuid()",
    ],
)
def test_i6_a_unit_that_waits_for_nobody(account: Account, break_by_hand: Callable[..., None], change: str) -> None:
    break_by_hand(f"UPDATE ledger_workitem SET {change}")
    assert "I6" in broken(findings("--no-bank"))


def test_i6_a_bank_transfer_that_nobody_asks_about(
    account: Account, sandbox: RunningSandbox, break_by_hand: Callable[..., None]
) -> None:
    made = flows.deposit(account, 10, reference="SBX-SILENT")
    run_until(lambda: RailTransfer.objects.filter(transaction=made.id, status="submitted").exists())
    verify("--without", "Guards")
    break_by_hand("UPDATE ledger_railtransfer SET next_at = NULL")
    assert "I6" in broken(findings())


def test_i6_a_message_that_nobody_acts_on(account: Account, break_by_hand: Callable[..., None]) -> None:
    break_by_hand(
        "INSERT INTO ledger_inboundevent (event_id, kind, payload, next_at, attempts, last_error) "
        "VALUES ('e', 'credit.received', '{}', NULL, 8, '')"
    )
    assert broken(findings("--no-bank")) == {"I6"}


def test_i9_a_cent_that_the_bank_does_not_have(
    account: Account, sandbox: RunningSandbox, break_by_hand: Callable[..., None]
) -> None:
    sandbox.book.run("UPDATE movement SET amount = amount - 1")
    text = findings()
    assert broken(text) == {"I9"}
    assert RailTransfer.objects.get().key in text


def test_i9_a_balance_that_its_movements_do_not_make_up(account: Account, sandbox: RunningSandbox) -> None:
    class OneCentMore:
        def book(self, currency: str) -> BankBook:
            book = configured_rail().book(currency)
            return replace(book, balance=book.balance + 1) if currency == "EUR" else book

    check = BankBookCheck(rail=cast(Any, OneCentMore))
    check.before()
    check.read()
    found = {"problem": "the sums differ", "currency": "EUR", "ours": 5_000, "in_flight": 0, "bank": 5_001}
    assert check.result().offending == [found]


def test_i9_a_payment_that_the_bank_has_made_without_us(account: Account, sandbox: RunningSandbox) -> None:
    sandbox.bank.credit({"amount": 3, "currency": "EUR", "reference": "who"})
    verify()
    sandbox.book.run("UPDATE movement SET booked_at = '2020-01-01T00:00:00+00:00' WHERE reference = 'who'")
    assert broken(findings()) == {"I9"}


def test_i9_a_second_credit_under_a_reference_that_we_have_posted_is_in_flight(
    account: Account, sandbox: RunningSandbox
) -> None:
    from ledger.models import InboundEvent

    sandbox.bank.credit({"amount": 30, "currency": "EUR", "reference": "rent"})
    run_until(lambda: InboundEvent.objects.filter(processed_at__isnull=False).exists(), sandbox=sandbox)
    verify()
    sandbox.bank.credit({"amount": 40, "currency": "EUR", "reference": "rent"})
    verify()
    deliver(sandbox)
    assert InboundEvent.objects.filter(processed_at=None).count() == 1
    verify()
    sandbox.book.run("UPDATE movement SET amount = 29 WHERE amount = 30")
    sandbox.book.run("UPDATE movement SET booked_at = '2020-01-01T00:00:00+00:00' WHERE reference = 'rent'")
    InboundEvent.objects.filter(processed_at=None).update(processed_at=timezone.now(), next_at=None)
    assert broken(findings()) == {"I9"}


def test_i9_what_the_bank_has_done_and_we_have_not_posted_is_in_flight(
    account: Account, sandbox: RunningSandbox
) -> None:
    from random import Random

    from django.utils import timezone

    from ledger.services.rails import dispatch_rails

    made = flows.withdraw(account, 400, name="SBX-SETTLE")
    flows.approve(made)
    dispatch_rails(rail=configured_rail(), now=timezone.now(), rng=Random(1))
    printed = StringIO()
    call_command("verify_ledger", stdout=printed)
    assert "EUR ours 5000 + in flight -400 = bank 4600" in printed.getvalue()


def test_it_writes_nothing_and_reads_one_snapshot(account: Account, app_dsn: str) -> None:
    from ledger.verification import checks
    from wallet_project.utils.verification import Result
    from wallet_project.utils.verification import verify as run

    class Meanwhile:
        name, title = "X", "somebody writes while the checks are read"

        def before(self) -> None:
            """Nothing to ask."""

        def read(self) -> None:
            from django.db import connection

            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT current_setting('transaction_isolation'), current_setting('transaction_read_only')"
                )
                assert cursor.fetchone() == ("repeatable read", "on")
            with psycopg.connect(app_dsn, autocommit=True) as other:
                other.execute("UPDATE ledger_inboundevent SET attempts = 0")

        def result(self) -> Result:
            return Result(self.name, self.title)

    every: list[Any] = [Meanwhile(), *checks()]
    assert all(result.holds for result in run(every, timeout_seconds=30))
