"""What the owner of the tables changes by hand is found: the database is compared with what the migrations make."""

from collections.abc import Iterator, Mapping
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.support.database import Database
from wallet_project.guards import GuardsCheck, installed
from wallet_project.utils.verification import verify

pytestmark = pytest.mark.django_db


def found() -> list[Mapping[str, Any]]:
    (result,) = verify([GuardsCheck()], timeout_seconds=30)
    assert not result.unread, result.unread
    return list(result.offending)


def problems() -> set[str]:
    return {row["problem"] for row in found()}


def test_a_migrated_database_has_its_guards_and_no_other() -> None:
    assert found() == []
    guards = installed()
    assert len(guards.functions) >= 15
    assert len(guards.triggers) >= 40
    assert len(guards.constraints) >= 20
    assert len(guards.references) >= 15


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("ALTER TABLE ledger_entry DISABLE TRIGGER ledger_entry_keeps_its_rows", "a trigger is switched off"),
        ("ALTER TABLE ledger_entry ENABLE REPLICA TRIGGER entries_balance", "a trigger is switched off"),
        ("DROP TRIGGER transaction_is_immutable ON ledger_transaction", "a trigger is missing"),
        (
            "CREATE OR REPLACE TRIGGER transaction_is_immutable BEFORE UPDATE ON ledger_transaction "
            "FOR EACH ROW WHEN (false) EXECUTE FUNCTION transaction_is_immutable()",
            "a trigger is not as its migration made it",
        ),
        (
            "CREATE OR REPLACE TRIGGER ledger_entry_keeps_its_rows BEFORE DELETE ON ledger_entry "
            "FOR EACH ROW EXECUTE FUNCTION refuse_change()",
            "a trigger is not as its migration made it",
        ),
        (
            "CREATE OR REPLACE TRIGGER ledger_transaction_status_is_legal BEFORE UPDATE OF status "
            "ON ledger_transaction FOR EACH ROW EXECUTE FUNCTION check_state('status', '>pending', 'cleared>pending')",
            "a trigger is not as its migration made it",
        ),
        (
            "CREATE TRIGGER another BEFORE INSERT ON ledger_entry FOR EACH ROW EXECUTE FUNCTION refuse_change()",
            "a trigger that no migration made",
        ),
        (
            "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql "
            "SET search_path = pg_catalog, public, pg_temp AS 'BEGIN RETURN NULL; END'",
            "a function is not as its migration made it",
        ),
        ("ALTER FUNCTION ledger_clear SET search_path = public", "a function is not as its migration made it"),
        ("ALTER FUNCTION ledger_clear SECURITY INVOKER", "a function is not as its migration made it"),
        ("CREATE FUNCTION give_me(uuid) RETURNS int LANGUAGE sql AS 'SELECT 1'", "a function that no migration made"),
        (
            "CREATE FUNCTION ledger_park(int) RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "a function that no migration made",
        ),
        ("DROP FUNCTION ledger_park(uuid[], text)", "a function is missing"),
        (
            "ALTER TABLE accounts_account DROP CONSTRAINT account_available_not_negative",
            "a constraint is missing, or not enforced",
        ),
        (
            "ALTER TABLE ledger_transaction DROP CONSTRAINT transaction_amount_in_range",
            "a constraint is missing, or not enforced",
        ),
        ("DROP INDEX escalation_open_once_per_subject", "a constraint is missing, or not enforced"),
        ("GRANT UPDATE ON accounts_account TO wallet_app", "somebody may do what is not listed"),
        ("GRANT UPDATE (cleared) ON accounts_account TO wallet_app", "somebody may do what is not listed"),
        ("GRANT DELETE ON ledger_entry TO PUBLIC", "somebody may do what is not listed"),
        ("GRANT SELECT ON accounts_profileversion TO wallet_notary", "somebody may do what is not listed"),
        ("GRANT EXECUTE ON FUNCTION ledger_clear TO PUBLIC", "somebody may do what is not listed"),
        ("ALTER TABLE ledger_escalation OWNER TO wallet_app", "a role of the wallet's is more than that"),
    ],
)
def test_what_was_changed_by_hand_is_found(admin_dsn: str, statement: str, problem: str) -> None:
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        admin.execute(statement)  # type: ignore[arg-type]
    assert problem in problems()


def test_a_foreign_key_that_was_dropped_is_found(owner_connection: psycopg.Connection) -> None:
    (name,) = owner_connection.execute(
        "SELECT conname FROM pg_constraint WHERE contype = 'f' AND conrelid = 'ledger_transaction'::regclass "
        "AND confrelid = 'ledger_transaction'::regclass"
    ).fetchone() or ("",)
    owner_connection.execute(sql.SQL("ALTER TABLE ledger_transaction DROP CONSTRAINT {}").format(sql.Identifier(name)))
    assert found() == [
        {
            "problem": "a foreign key is missing, or not enforced",
            "table": "ledger_transaction",
            "column": "reverses_id",
        }
    ]


@pytest.fixture
def stranger(database: Database) -> Iterator[tuple[psycopg.Connection, str]]:
    """The server's roles are all databases' own: this one goes away again."""
    name = f"stranger_of_{database.name}"
    with psycopg.connect(database.admin_dsn, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(name)))
        try:
            yield admin, name
        finally:
            admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def test_somebody_who_became_the_owners_is_found(stranger: tuple[psycopg.Connection, str]) -> None:
    admin, name = stranger
    # In a database of its own the owner may be another: membership is the server's, and other tests look at it too.
    owner = f"{name}_house"
    admin.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(owner)))
    try:
        admin.execute(sql.SQL("ALTER TABLE ledger_escalation OWNER TO {}").format(sql.Identifier(owner)))
        admin.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(owner), sql.Identifier(name)))
        assert {"problem": "somebody can become one of the wallet's roles", "member": name, "of": owner} in found()
    finally:
        admin.execute(sql.SQL("DROP OWNED BY {} CASCADE").format(sql.Identifier(owner)))
        admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(owner)))
