"""`verify_ledger --since-last`: what came after a clean self-audit is verified without reading what was before it."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from io import StringIO

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.models import Account
from compliance.models import SelfAudit
from compliance.services.self_audit import self_audit
from tests.chain.chains import seal_all
from tests.ledger import flows
from tests.ledger.test_verification import unguarded
from tests.support.factories import fund, make_account
from wallet_project.sandbox.embedding import RunningSandbox
from wallet_project.utils.context import system_actor

pytestmark = [pytest.mark.django_db, pytest.mark.thorough]


def audited() -> SelfAudit:
    """Of all that is sealed by now: it is dated so that clocks that differ a little do not matter."""
    seal_all()
    return self_audit(actor=system_actor(), now=timezone.now() + timedelta(minutes=2))


def verify_since() -> str:
    said = StringIO()
    call_command("verify_ledger", since_last=True, stdout=said)
    return said.getvalue()


@pytest.fixture
def account(sandbox: RunningSandbox) -> Account:
    """With a line before the audit and one after it."""
    made = make_account()
    flows.fund_over_the_bank(made, 5_000, sandbox)
    done = audited()
    assert done.complete
    assert not done.failing
    fund(made, 700)
    return made


@pytest.fixture
def change(account: Account, owner_connection: psycopg.Connection) -> Iterator[Callable[[str], None]]:
    with unguarded(owner_connection) as owner:
        yield lambda sql: owner.execute(sql, {"account": account.id}) and None


def found() -> str:
    said = StringIO()
    with pytest.raises(SystemExit):
        call_command("verify_ledger", since_last=True, without=["Guards"], stdout=said)
    return said.getvalue()


def test_what_came_since_a_clean_audit_verifies_and_no_more_is_read(account: Account) -> None:
    said = verify_since()

    assert "new_entries 2," in said
    assert "new_keys" in said
    assert "invariants hold" in said


def test_without_a_clean_audit_there_is_nothing_to_begin_from() -> None:
    make_account()
    with pytest.raises(CommandError, match="self-audit"):
        verify_since()


def test_an_audit_that_found_something_is_nothing_to_begin_from(
    sandbox: RunningSandbox, owner_connection: psycopg.Connection
) -> None:
    made = make_account()
    owner_connection.execute("UPDATE accounts_account SET cleared = cleared + 1 WHERE id = %s", [made.id])
    assert audited().failing

    with pytest.raises(CommandError, match="self-audit"):
        verify_since()


@pytest.mark.parametrize(
    ("sql", "problem"),
    [
        (
            "UPDATE ledger_entry SET amount = amount + 1 WHERE account_id = %(account)s AND sequence = 2",
            "entries of a transaction do not sum to zero",
        ),
        (
            "UPDATE ledger_entry SET balance_after = balance_after + 1 WHERE account_id = %(account)s AND sequence = 2",
            "a line does not follow the one before",
        ),
        (
            "UPDATE ledger_entry SET sequence = 3 WHERE account_id = %(account)s AND sequence = 2",
            "a line does not follow the one before",
        ),
        (
            "UPDATE accounts_account SET cleared = cleared + 1 WHERE id = %(account)s",
            "balances of a currency do not sum to zero",
        ),
        (
            "UPDATE accounts_account SET last_sequence = 5 WHERE id = %(account)s",
            "what an account holds is not what its last line says",
        ),
        ("UPDATE accounts_account SET reserved = 1 WHERE id = %(account)s", "what is reserved is not what is pending"),
        (
            "DELETE FROM accounts_idempotencyclaim WHERE result_id = (SELECT transaction_id FROM ledger_entry"
            " WHERE account_id = %(account)s AND sequence = 2)",
            "a transaction without exactly one key of its initiator's",
        ),
        (
            "UPDATE ledger_transaction SET initiator_id = gen_random_uuid() WHERE id = ("
            "SELECT transaction_id FROM ledger_entry WHERE account_id = %(account)s AND sequence = 2)",
            "a transaction of nobody's, or of an account that is not there or has another currency",
        ),
        (
            "UPDATE accounts_idempotencyclaim SET principal_id = gen_random_uuid() WHERE result_id = ("
            "SELECT transaction_id FROM ledger_entry WHERE account_id = %(account)s AND sequence = 2)",
            "a key of nobody's",
        ),
        (
            "UPDATE accounts_idempotencyclaim SET result_id = gen_random_uuid() WHERE result_id = ("
            "SELECT transaction_id FROM ledger_entry WHERE account_id = %(account)s AND sequence = 2)",
            "a key has made nothing",
        ),
        (
            "UPDATE ledger_statechange SET from_state = 'failed' WHERE to_state = 'cleared' AND subject_id = ("
            "SELECT transaction_id FROM ledger_entry WHERE account_id = %(account)s AND sequence = 2)",
            "an illegal change of state, or one that does not follow the last",
        ),
        (
            "UPDATE ledger_transaction SET status = 'pending', cleared_at = NULL WHERE id = ("
            "SELECT transaction_id FROM ledger_entry WHERE account_id = %(account)s AND sequence = 2)",
            "the log does not end where the row stands",
        ),
        (
            "UPDATE ledger_transaction SET amount = amount + 1 WHERE id = ("
            "SELECT transaction_id FROM ledger_entry WHERE account_id = %(account)s AND sequence = 2)",
            "an entry that is not as its transaction says",
        ),
        (
            "UPDATE ledger_entry SET transaction_id = gen_random_uuid() "
            "WHERE account_id = %(account)s AND sequence = 2",
            "an entry that is not as its transaction says",
        ),
        (
            "DELETE FROM ledger_entry WHERE account_id = %(account)s AND sequence = 2",
            "a transaction with the wrong number of entries",
        ),
        (
            "INSERT INTO ledger_pending (debit_account_id, transaction_id, credit_account_id, payee_sees) "
            "SELECT debit_account_id, id, credit_account_id, false FROM ledger_transaction WHERE id = ("
            "SELECT transaction_id FROM ledger_entry WHERE account_id = %(account)s AND sequence = 2)",
            "what is listed as pending is not what is",
        ),
        (
            "UPDATE ledger_transaction SET status = 'pending', cleared_at = NULL WHERE id = ("
            "SELECT transaction_id FROM ledger_entry WHERE account_id = %(account)s AND sequence = 2)",
            "what is listed as pending is not what is",
        ),
    ],
)
def test_what_was_changed_behind_the_triggers_since_is_found(
    change: Callable[[str], None], sql: str, problem: str
) -> None:
    change(sql)
    assert problem in found()


def test_a_new_row_that_is_not_as_it_was_sealed_is_found(change: Callable[[str], None]) -> None:
    seal_all()
    change(
        "UPDATE ledger_entry SET created_at = created_at - interval '1 day'"
        " WHERE account_id = %(account)s AND sequence = 2"
    )
    assert "a row is not as it was sealed" in found()


def test_an_old_row_is_left_to_the_audit_of_all_rows(change: Callable[[str], None]) -> None:
    change(
        "UPDATE ledger_entry SET created_at = created_at - interval '1 day'"
        " WHERE account_id = %(account)s AND sequence = 1"
    )

    call_command("verify_ledger", since_last=True, without=["Guards"], stdout=StringIO())
    said = StringIO()
    with pytest.raises(SystemExit):
        call_command("verify_ledger", no_bank=True, without=["Guards"], stdout=said)
    assert "a row is not as it was sealed" in said.getvalue()
