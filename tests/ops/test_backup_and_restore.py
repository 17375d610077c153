"""`manage.py backup` and `restore` with PostgreSQL's own programs: the copy is the wallet, guards included."""

import io
import re
import stat
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from psycopg import sql

from tests.support import factories
from tests.support.database import Database, connected_to
from wallet_project.management import postgres_programs

pytestmark = [pytest.mark.own_database, pytest.mark.thorough]

EmptyDatabase = Callable[[], AbstractContextManager[Database]]

#: All that keeps the rows right, as PostgreSQL describes it; names and definitions, no oids.
GUARDS = {
    "triggers": """
        SELECT tgrelid::regclass::text, tgenabled, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal""",
    "constraints": """
        SELECT conrelid::regclass::text, conname, convalidated, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace""",
    "indexes": "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'",
    "functions": """
        SELECT pg_get_functiondef(oid), proowner::regrole::text, prosecdef, proconfig::text,
               ARRAY(SELECT acl::text FROM unnest(proacl) acl ORDER BY 1)
        FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prokind = 'f'""",
    "tables": """
        SELECT relname, relkind, relowner::regrole::text, reloptions::text,
               ARRAY(SELECT acl::text FROM unnest(relacl) acl ORDER BY 1)
        FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v', 'S')""",
    "columns": """
        SELECT attrelid::regclass::text, attname, ARRAY(SELECT acl::text FROM unnest(attacl) acl ORDER BY 1)
        FROM pg_attribute WHERE attacl IS NOT NULL AND attrelid::regclass::text !~ '^pg_'""",
}


#: PostgreSQL writes the casts and brackets of an expression differently after it has read its own definition again.
_NOTATION = re.compile(r"::[a-z ]+(\[\])?|[()]")


def guards(dsn: str) -> dict[str, list[str]]:
    with psycopg.connect(dsn) as connection:
        return {
            what: sorted(_NOTATION.sub("", repr(row)) for row in connection.execute(query))
            for what, query in GUARDS.items()
        }


def rows(dsn: str) -> dict[str, list[Any]]:
    """Every row of every table, and where every sequence stands."""
    found: dict[str, list[Any]] = {}
    with psycopg.connect(dsn) as connection:
        for (table,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall():
            query = sql.SQL("SELECT t::text FROM {} t ORDER BY 1").format(sql.Identifier(table))
            found[table] = connection.execute(query).fetchall()
        found["sequences"] = sorted(
            connection.execute(
                "SELECT sequencename, last_value FROM pg_sequences WHERE schemaname = 'public'"
            ).fetchall()
        )
    return found


def restore(path: Path, *options: str) -> str:
    said = io.StringIO()
    call_command("restore", str(path), *options, stdout=said)
    return said.getvalue()


@pytest.fixture
def backup(db: None, tmp_path: Path) -> Path:
    """Of a wallet with money in it."""
    customer = factories.make_customer()
    factories.make_account(customer, funded=12_500)
    factories.make_account(customer, "USD", funded=1)
    path = tmp_path / "wallet.dump"
    call_command("backup", str(path), stdout=io.StringIO())
    return path


def test_a_restored_copy_verifies_and_has_the_same_rows_and_guards(
    backup: Path, database: Database, empty_database: EmptyDatabase
) -> None:
    with empty_database() as copy:
        with connected_to(copy):
            said = restore(backup)
        assert "invariants hold" in said
        assert rows(copy.owner_dsn) == rows(database.owner_dsn)
        assert rows(copy.owner_dsn)["ledger_entry"]
        expected = guards(database.owner_dsn)
        assert guards(copy.owner_dsn) == expected
        assert all(expected.values())
        assert all("wallet_owner" in function for function in expected["functions"])


def test_the_application_can_no_more_write_money_in_the_copy_than_before(
    backup: Path, empty_database: EmptyDatabase
) -> None:
    with empty_database() as copy:
        with connected_to(copy):
            restore(backup)
        with psycopg.connect(copy.app_dsn, autocommit=True) as connection:
            for statement in (
                "UPDATE accounts_account SET cleared = 1",
                "DELETE FROM ledger_entry",
                "TRUNCATE ledger_statechange",
                "ALTER TABLE ledger_entry DISABLE TRIGGER ALL",
            ):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(statement)
        with psycopg.connect(copy.owner_dsn, autocommit=True) as connection, pytest.raises(psycopg.Error):
            connection.execute("UPDATE ledger_entry SET amount = amount + 1")


def test_what_is_in_the_database_stays_unless_it_is_said_that_it_may_go(
    backup: Path, database: Database, empty_database: EmptyDatabase
) -> None:
    before = rows(database.owner_dsn)
    factories.make_account(funded=77)
    with pytest.raises(CommandError, match="is not empty"):
        restore(backup)
    assert rows(database.owner_dsn) != before

    said = restore(backup, "--force-clean")
    connections.close_all()
    assert "invariants hold" in said
    assert rows(database.owner_dsn) == before


def test_a_database_in_use_is_not_cleaned(backup: Path, database: Database) -> None:
    before = rows(database.owner_dsn)
    with psycopg.connect(database.app_dsn), pytest.raises(CommandError, match="1 other connections are open"):
        restore(backup, "--force-clean")
    assert rows(database.owner_dsn) == before


def test_a_broken_backup_is_noticed_before_anything_is_deleted(backup: Path, database: Database) -> None:
    before = rows(database.owner_dsn)
    backup.write_bytes(backup.read_bytes()[: backup.stat().st_size // 2])
    with pytest.raises(CommandError, match="pg_restore failed"):
        restore(backup, "--force-clean")
    assert rows(database.owner_dsn) == before


def test_a_copy_in_which_money_is_wrong_does_not_verify(
    db: None, tmp_path: Path, admin_dsn: str, empty_database: EmptyDatabase
) -> None:
    account = factories.make_account(funded=12_500)
    with psycopg.connect(admin_dsn, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("UPDATE accounts_account SET cleared = 12501 WHERE id = %s", [account.id])
    path = tmp_path / "wallet.dump"
    call_command("backup", str(path), stdout=io.StringIO())
    with empty_database() as copy, connected_to(copy), pytest.raises(SystemExit) as end:
        restore(path)
    assert end.value.code == 1


def test_a_backup_is_for_its_maker_alone_and_never_replaces_another_by_accident(backup: Path, tmp_path: Path) -> None:
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    before = backup.read_bytes()
    with pytest.raises(CommandError, match="is there already"):
        call_command("backup", str(backup), stdout=io.StringIO())
    assert backup.read_bytes() == before
    call_command("backup", str(backup), "--overwrite", stdout=io.StringIO())
    assert [path.name for path in tmp_path.iterdir()] == ["wallet.dump"]


def test_a_backup_that_fails_leaves_nothing_behind(db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connections["owner"].settings_dict["OPTIONS"], "sslmode", "require")
    with pytest.raises(Exception, match="SSL"):
        call_command("backup", str(tmp_path / "wallet.dump"), stdout=io.StringIO())
    assert list(tmp_path.iterdir()) == []


def _program(folder: Path, name: str, major: int) -> Path:
    program = folder / str(major) / "bin" / name
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) {major}.1'\n")
    program.chmod(0o755)
    return program


@pytest.mark.parametrize(
    ("name", "there", "server", "chosen"),
    [
        ("pg_dump", [15, 16, 18], 16, 16),
        ("pg_dump", [14, 17, 18], 16, 17),
        ("pg_dump", [14], 15, None),
        ("pg_restore", [15, 18], 15, 15),
        # It would begin with `SET transaction_timeout`, which 15 and 16 do not know.
        ("pg_restore", [17, 18], 15, None),
        ("pg_restore", [18], 17, 18),
    ],
)
def test_the_programs_are_those_that_fit_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, there: list[int], server: int, chosen: int | None
) -> None:
    programs = {major: _program(tmp_path, name, major) for major in there}
    monkeypatch.setattr(postgres_programs, "_candidates", lambda _name: iter(programs.values()))
    if chosen is None:
        with pytest.raises(CommandError, match=f"No {name} for PostgreSQL {server}"):
            postgres_programs.find(name, server_major=server)
    else:
        assert postgres_programs.find(name, server_major=server) == programs[chosen]
