"""What hand-written SQL can't do: as the application's role by its grants, and as the owner by the triggers."""

import psycopg
import pytest
from django.conf import settings
from psycopg import sql
from psycopg.errors import CheckViolation, ForeignKeyViolation, InsufficientPrivilege, UniqueViolation

from accounts.models import Account
from ledger import grants
from tests.support import money
from wallet_project.grants import apply_grants, listed

pytestmark = pytest.mark.django_db

MONEY_AND_LOGS = [
    "ledger_transaction",
    "ledger_entry",
    "ledger_statechange",
    "ledger_workitem",
    "ledger_escalation",
    "ledger_inboundevent",
    "ledger_railtransfer",
    "ledger_limit",
    "ledger_usage",
    "ledger_limitchange",
    "ledger_adjustment",
    "accounts_account",
    "accounts_customer",
    "accounts_profileversion",
    "accounts_idempotencyclaim",
    "accounts_statechange",
    "compliance_statechange",
    "compliance_decision",
    "compliance_casenote",
    "compliance_case",
    "compliance_kyccheck",
    "compliance_screening",
    "compliance_selfaudit",
]
LOGS = [
    "ledger_entry",
    "ledger_statechange",
    "ledger_limitchange",
    "accounts_statechange",
    "accounts_profileversion",
    "accounts_idempotencyclaim",
    "compliance_statechange",
    "compliance_decision",
    "compliance_casenote",
    "compliance_selfaudit",
]


def refused(connection: psycopg.Connection, statement: str, error: type[psycopg.Error], said: str = "") -> None:
    """The statement is, and leaves nothing behind."""
    try:
        connection.execute(statement)  # type: ignore[arg-type]
    except error as refusal:
        if said not in str(refusal):
            pytest.fail(f"refused otherwise: {statement}: {refusal}")
    else:
        pytest.fail(f"not refused: {statement}")


@pytest.fixture
def accounts(db: None) -> tuple[Account, Account]:
    """A payer with 700 and a payee with 300 cleared; the payer has another 50 reserved."""
    source, destination = money.new_account(1000), money.new_account()
    money.approve(money.transfer(source, destination, 300))
    money.clear()
    money.transfer(source, destination, 50)
    return source, destination


def test_the_application_can_neither_remove_rows_nor_switch_a_trigger_off(app_connection: psycopg.Connection) -> None:
    for table in MONEY_AND_LOGS:
        for command in (
            f"DELETE FROM {table}",
            f"TRUNCATE {table} CASCADE",
            f"ALTER TABLE {table} DISABLE TRIGGER ALL",
        ):
            refused(app_connection, command, InsufficientPrivilege)


def test_the_application_can_not_change_a_log(app_connection: psycopg.Connection) -> None:
    for table in LOGS:
        refused(app_connection, f"UPDATE {table} SET id = id", InsufficientPrivilege)


BY_HAND = [
    "UPDATE accounts_account SET cleared = cleared + 1",
    "UPDATE accounts_account SET reserved = 0",
    "UPDATE accounts_account SET last_sequence = 0",
    "UPDATE accounts_account SET debits = 0",
    "UPDATE accounts_account SET sent = 0",
    "UPDATE accounts_account SET customer_id = NULL",
    "UPDATE accounts_account SET currency = 'USD'",
    "UPDATE ledger_transaction SET status = 'cleared'",
    "UPDATE ledger_transaction SET amount = 1",
    "UPDATE ledger_transaction SET approved_at = now()",
    "UPDATE ledger_transaction SET captured_amount = 1, captured_at = now()",
    "UPDATE ledger_transaction SET expires_at = now() + interval '1 year'",
    "UPDATE ledger_workitem SET stage = 'clearing'",
    "INSERT INTO ledger_limit (owner_id, scope, direction, currency, per_day) "
    "SELECT id, 'account', 'out', 'EUR', 1000000 FROM accounts_account",
    "UPDATE ledger_limit SET per_day = per_day * 2",
    "UPDATE ledger_usage SET amount = 0",
    "INSERT INTO ledger_usage (owner_id, direction, currency, day, amount) "
    "SELECT id, 'out', 'EUR', now(), 0 FROM accounts_account",
    "INSERT INTO ledger_limitchange (owner_id, scope, direction, currency, actor_id, reason, request_id) "
    "SELECT id, 'account', 'out', 'EUR', id, 'nobody asked', '' FROM accounts_account",
    "UPDATE ledger_adjustment SET amount = amount * 10",
    "UPDATE ledger_adjustment SET maker_id = checker_id",
    "UPDATE ledger_adjustment SET credit_account_id = debit_account_id",
    "SELECT ledger_give_back('{}', '{}')",
    "SELECT ledger_over_limit('{}', now())",
    "INSERT INTO ledger_entry (transaction_id, account_id, direction, amount, balance_after, sequence) "
    "SELECT transaction_id, account_id, direction, amount, balance_after, sequence + 1000 FROM ledger_entry",
    "INSERT INTO ledger_transaction SELECT * FROM ledger_transaction",
    "INSERT INTO ledger_workitem SELECT * FROM ledger_workitem",
    "SET session_replication_role = replica",
    "SET ROLE wallet_owner",
    "CREATE TABLE mine (x int)",
    "DROP TRIGGER transaction_is_immutable ON ledger_transaction",
    "ALTER FUNCTION ledger_clear SET search_path = public",
    "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
    "ALTER TABLE accounts_account DROP CONSTRAINT account_available_not_negative",
    "UPDATE auth_permission SET codename = 'everything'",
]


def test_the_application_can_not_write_money_by_hand(
    app_connection: psycopg.Connection, accounts: tuple[Account, Account]
) -> None:
    for statement in BY_HAND:
        refused(app_connection, statement, InsufficientPrivilege)
    # A GRANT by somebody who may not is a warning to PostgreSQL; what counts is that nothing came of it.
    app_connection.execute("GRANT UPDATE ON accounts_account TO wallet_app")
    refused(app_connection, "UPDATE accounts_account SET cleared = 0", InsufficientPrivilege)


def test_an_account_can_not_be_born_with_money_or_open(app_connection: psycopg.Connection) -> None:
    customer = money.new_customer()
    insert = (
        "INSERT INTO accounts_account (id, kind, purpose, customer_id, currency, label, status, status_reason, "
        "cleared, reserved, last_sequence) VALUES (gen_random_uuid(), 'customer', '', %s, 'EUR', '', %s, '', %s, 0, 0)"
    )
    for status, cleared in (("requested", 5), ("open", 0)):
        with pytest.raises(CheckViolation, match="starts empty"):
            app_connection.execute(insert, [customer.id, status, cleared])
    app_connection.execute(insert, [customer.id, "requested", 0])


def test_not_even_the_owner_changes_a_log(
    owner_connection: psycopg.Connection, accounts: tuple[Account, Account]
) -> None:
    for table in LOGS:
        if table in ("accounts_profileversion", "ledger_limitchange") or table.startswith("compliance"):
            refused(owner_connection, f"TRUNCATE {table} CASCADE", CheckViolation, "TRUNCATE")
            continue
        for command in (f"UPDATE {table} SET id = id", f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE"):
            refused(owner_connection, command, CheckViolation, "is refused")


#: And the guard that says so.
WHAT_THE_OWNER_TRIES = [
    # cleared >= 0 follows from the other two as well; the first by name is reported.
    ("UPDATE accounts_account SET cleared = -1 WHERE id = %(payee)s", "account_available_not_negative"),
    ("UPDATE accounts_account SET reserved = -1 WHERE id = %(payee)s", "account_reserved_not_negative"),
    ("UPDATE accounts_account SET reserved = 301 WHERE id = %(payee)s", "account_available_not_negative"),
    ("UPDATE accounts_account SET reserved = 1 WHERE kind = 'system'", "account_of_the_wallet_reserves_nothing"),
    ("UPDATE ledger_transaction SET amount = amount + 1", "transaction_is_immutable"),
    ("UPDATE ledger_transaction SET reference = 'x'", "transaction_is_immutable"),
    (
        "UPDATE ledger_transaction SET captured_amount = 1 WHERE status = 'cleared'",
        "transaction_is_immutable",
    ),
    (
        "UPDATE ledger_transaction SET approved_at = now() + interval '1 h' WHERE status = 'cleared'",
        "transaction_is_immutable",
    ),
    (
        "UPDATE ledger_transaction SET status = 'pending' WHERE status = 'cleared'",
        "ledger_transaction_status_is_legal",
    ),
    (
        "UPDATE ledger_transaction SET status = 'cleared', approved_at = now(), cleared_at = now() "
        "WHERE status = 'pending'",
        "cleared_has_entries",
    ),
    ("UPDATE ledger_transaction SET status = 'failed' WHERE status = 'pending'", "transaction_failure_says_why"),
    (
        "INSERT INTO ledger_entry (transaction_id, account_id, direction, amount, balance_after, sequence) "
        "SELECT id, debit_account_id, 'debit', amount, 0, 99 FROM ledger_transaction WHERE status = 'pending'",
        "entries_balance",
    ),
    (
        "INSERT INTO ledger_entry (transaction_id, account_id, direction, amount, balance_after, sequence) "
        "SELECT id, debit_account_id, 'debit', amount, 0, 99 FROM ledger_transaction WHERE status = 'pending' "
        "UNION ALL SELECT id, credit_account_id, 'credit', amount + 1, 0, 99 FROM ledger_transaction "
        "WHERE status = 'pending'",
        "entries_balance",
    ),
    (
        "INSERT INTO ledger_entry (transaction_id, account_id, direction, amount, balance_after, sequence) "
        "SELECT id, credit_account_id, 'debit', amount, 0, 99 FROM ledger_transaction WHERE status = 'pending' "
        "UNION ALL SELECT id, debit_account_id, 'credit', amount, 0, 99 FROM ledger_transaction "
        "WHERE status = 'pending'",
        "entries_balance",
    ),
    ("DELETE FROM accounts_account", "accounts_account_keeps_its_rows"),
    ("UPDATE accounts_account SET currency = 'USD' WHERE id = %(payee)s", "account_keeps_its_currency"),
    ("UPDATE accounts_account SET id = gen_random_uuid() WHERE id = %(payee)s", "account_keeps_its_currency"),
    ("UPDATE accounts_principal SET id = gen_random_uuid()", "principal_keeps_its_id"),
    ("DELETE FROM ledger_transaction", "ledger_transaction_keeps_its_rows"),
    ("TRUNCATE ledger_transaction CASCADE", "ledger_transaction_is_not_emptied"),
]


def test_the_owner_is_stopped_by_constraints_and_triggers(
    owner_connection: psycopg.Connection, accounts: tuple[Account, Account]
) -> None:
    for statement, guard in WHAT_THE_OWNER_TRIES:
        with pytest.raises(CheckViolation) as refusal:
            owner_connection.execute(statement, {"payee": accounts[1].id})  # type: ignore[arg-type]
        assert refusal.value.diag.constraint_name == guard, statement


def test_a_number_in_an_account_is_given_once(
    owner_connection: psycopg.Connection, accounts: tuple[Account, Account]
) -> None:
    with pytest.raises(UniqueViolation):
        owner_connection.execute(
            "INSERT INTO ledger_entry (transaction_id, account_id, direction, amount, balance_after, sequence) "
            "SELECT id, debit_account_id, 'debit', amount, 0, 1 FROM ledger_transaction WHERE status = 'pending' "
            "UNION ALL SELECT id, credit_account_id, 'credit', amount, 0, 1 FROM ledger_transaction "
            "WHERE status = 'pending'"
        )


def test_a_transactions_accounts_have_its_currency(
    owner_connection: psycopg.Connection, accounts: tuple[Account, Account]
) -> None:
    with pytest.raises(ForeignKeyViolation):
        owner_connection.execute(
            "INSERT INTO ledger_transaction (id, kind, status, debit_account_id, credit_account_id, amount, currency, "
            "initiator_id, reference, metadata, failure) SELECT gen_random_uuid(), kind, 'pending', debit_account_id, "
            "credit_account_id, amount, 'USD', initiator_id, '', '{}', '' FROM ledger_transaction LIMIT 1"
        )


def test_the_functions_that_move_money_are_closed_to_the_public(owner_connection: psycopg.Connection) -> None:
    rows = owner_connection.execute(
        "SELECT proname, prosecdef, proconfig, has_function_privilege('public', oid, 'EXECUTE'), provolatile <> 'v' "
        "FROM pg_proc "
        "WHERE pronamespace = 'public'::regnamespace AND proname LIKE 'ledger%'"
    ).fetchall()
    assert len(rows) >= 10
    for name, definer, config, public, only_reads in rows:
        assert not public, name
        # What only other functions call, as their owner, needs no more rights than it is given.
        assert definer or only_reads or name not in grants.FUNCTIONS, name
        # What has its caller's rights and only reads may go without, to be inlined; how to plan is nobody's right.
        settings = [setting for setting in config or [] if not setting.startswith(("enable_", "plan_cache_mode="))]
        assert settings == ["search_path=pg_catalog, public, pg_temp"] or (only_reads and not definer), name


def test_what_a_trigger_runs_looks_nowhere_else_for_its_names(owner_connection: psycopg.Connection) -> None:
    """Whoever writes the row chooses the search path, and what he put into a schema of his own would be found first."""
    settings_of = dict(
        owner_connection.execute(
            "SELECT p.oid::regprocedure::text, p.proconfig FROM pg_proc p "
            "WHERE p.pronamespace = 'public'::regnamespace AND p.prorettype = 'trigger'::regtype"
        ).fetchall()
    )
    assert "account_starts_empty()" in settings_of
    path = "search_path=pg_catalog, public, pg_temp"
    assert [name for name, settings in settings_of.items() if path not in (settings or [])] == []


def test_a_stale_account_object_never_undoes_a_posting(accounts: tuple[Account, Account]) -> None:
    source, _ = accounts
    stale = Account.objects.get(id=source.id)
    money.fund(source, 10)
    stale.label = "holiday"
    stale.save()
    assert money.balances(source) == (710, 660)


def test_grants_are_complete_after_a_second_migrate(app_connection: psycopg.Connection) -> None:
    """Every table that is writable at all is written by name in a grants.py, or belongs to a library."""
    writable = {
        row[0]
        for row in app_connection.execute(
            "SELECT DISTINCT table_name FROM information_schema.column_privileges "
            "WHERE grantee = current_user AND privilege_type <> 'SELECT' "
            "UNION SELECT table_name FROM information_schema.table_privileges "
            "WHERE grantee = current_user AND privilege_type <> 'SELECT'"
        ).fetchall()
    }
    tables, _ = listed()
    assert writable == {table for privileges_by_table in tables for table in privileges_by_table}


def test_what_was_once_granted_by_hand_is_taken_back(
    app_connection: psycopg.Connection, owner_connection: psycopg.Connection, admin_dsn: str
) -> None:
    owner_connection.execute("CREATE FUNCTION of_an_older_version() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    application = sql.Identifier(str(settings.WALLET_APP_ROLE))
    owner_connection.execute(sql.SQL("GRANT EXECUTE ON FUNCTION of_an_older_version TO {}").format(application))
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        # What every database had before PostgreSQL 15, and those that were upgraded from it still have.
        admin.execute("GRANT CREATE ON SCHEMA public TO PUBLIC")
    apply_grants(using="owner")
    with pytest.raises(InsufficientPrivilege):
        app_connection.execute("SELECT of_an_older_version()")
    with pytest.raises(InsufficientPrivilege):
        app_connection.execute("CREATE FUNCTION ledger_transactions_of(uuid) RETURNS int LANGUAGE sql AS 'SELECT 1'")
    assert app_connection.execute("SELECT count(*) FROM ledger_claim('screening', 1, '1 s')").fetchone() == (0,)
