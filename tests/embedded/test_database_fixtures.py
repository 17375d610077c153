"""The tests' own footing: each has a fresh database with real commits, and nobody else's."""

import json
import os
import re
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
import redis
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session
from django.db import connection, connections, transaction
from django.test import Client
from psycopg import sql
from pytest_django import DjangoAssertNumQueries

from tests.support.database import NO_DATABASE, Database, Databases, superuser
from tests.support.factories import make_account
from wallet_project.embedded.roles import APPLICATION, OWNER


def _current_database(alias: str = "default") -> str:
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT current_database()")
        return str(cursor.fetchone()[0])


@pytest.mark.parametrize("run", [1, 2])
def test_each_test_starts_from_the_migrated_template(run: int, db: None) -> None:
    with connections["owner"].cursor() as cursor:
        cursor.execute("CREATE TABLE left_behind (id int)")  # Fails in the second run if the first one's is there.
    assert ContentType.objects.exists()


@pytest.mark.django_db
def test_the_mark_gives_a_database_too(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(1):
        assert _current_database() != NO_DATABASE


@pytest.mark.django_db(transaction=True, databases=["default", "owner"])
def test_the_mark_with_options_gives_the_same() -> None:
    assert _current_database("default") == _current_database("owner") != NO_DATABASE


def test_commits_are_real_and_their_hooks_run(db: None, app_connection: psycopg.Connection) -> None:
    called: list[bool] = []
    with transaction.atomic(durable=True):
        Session.objects.create(session_key="seen elsewhere", expire_date=datetime(2030, 1, 1, tzinfo=UTC))
        transaction.on_commit(lambda: called.append(True))
    assert called == [True]
    row = app_connection.execute("SELECT count(*) FROM django_session").fetchone()
    assert row == (1,)


_MESS = """
    SET session_replication_role = replica;
    UPDATE accounts_account SET cleared = 5; DELETE FROM auth_permission; DELETE FROM ledger_transaction;
    INSERT INTO django_session VALUES ('left behind', '', now())
"""


def test_what_a_test_has_written_changed_and_removed_is_put_back(databases: Databases) -> None:
    with databases.lent() as made, psycopg.connect(made.admin_dsn, autocommit=True) as admin:
        admin.execute(_MESS)
    with databases.lent() as again, databases.copy() as fresh:
        assert again == made, "it was not put back but made anew"
        assert contents(again) == contents(fresh)


@pytest.mark.parametrize(
    "change",
    ["ALTER TABLE ledger_entry DISABLE TRIGGER USER", "DROP TRIGGER entries_balance ON ledger_entry", "ANALYZE"],
)
def test_a_database_that_is_no_longer_the_same_is_not_used_again(databases: Databases, change: str) -> None:
    with databases.lent() as made, psycopg.connect(made.owner_dsn, autocommit=True) as owner:
        owner.execute(change)
    with databases.lent() as other:
        assert other != made


@pytest.mark.parametrize("run", [1, 2])
def test_each_test_starts_with_the_settings_of_a_new_session(run: int, db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone() == ("2s",)
        cursor.execute("SET lock_timeout = '7s'")


def test_what_is_written_again_is_what_the_use_cases_wrote(databases: Databases, db: None) -> None:
    by = superuser()
    assert by is not None
    began = by.next_number()
    make_account()  # The process's first, perhaps.
    first, then = by.rows_since(began), by.next_number()
    make_account()
    assert shape(by.rows_since(then)) == shape(first)
    assert {table: len(rows) for table, rows in first.items()}["accounts_statechange"] > 3


#: What the database numbers and times.
_ITS_OWN = {"xact", "at", "created_at", "date_joined", "next_at", "changed_at"}


def shape(written: dict[str, list[dict[str, Any]]]) -> str:
    """The rows without what the database numbers and times, and with ids and keys by when they are first met."""
    kept = {
        table: [{name: value for name, value in row.items() if name not in _ITS_OWN}
                | ({"id": None} if isinstance(row.get("id"), int) else {}) for row in rows]
        for table, rows in written.items()
    }  # fmt: skip
    met: dict[str, str] = {}
    return re.sub(
        r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}",
        lambda found: met.setdefault(found[0], f"#{len(met)}"),
        json.dumps(kept, sort_keys=True),
    )


def contents(database: Database) -> dict[str, list[Any]]:
    """All rows of all tables."""
    with psycopg.connect(database.admin_dsn) as admin:
        tables = admin.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
        )
        return {
            name: admin.execute(sql.SQL("SELECT t::text FROM {} t ORDER BY 1").format(sql.Identifier(name))).fetchall()
            for (name,) in tables.fetchall()
        }


def test_threads_use_the_same_database(db: None) -> None:
    seen: list[str] = []

    def look() -> None:
        seen.append(_current_database())
        connection.close()

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [_current_database()] * 3


def test_processes_find_the_same_database(database: Database) -> None:
    assert os.environ["DATABASE_URL"] == database.app_dsn
    assert os.environ["DATABASE_OWNER_URL"] == database.owner_dsn


def test_a_connection_left_open_does_not_keep_the_database(db: None, app_dsn: str) -> None:
    psycopg.connect(app_dsn)  # Not closed, not even when the fixture drops the database.


def test_without_asking_there_is_no_database() -> None:
    with pytest.raises(RuntimeError, match="Database access not allowed"):
        ContentType.objects.exists()


def test_the_two_roles_connect_and_only_the_owner_makes_tables(
    app_connection: psycopg.Connection, owner_connection: psycopg.Connection
) -> None:
    assert app_connection.execute("SELECT current_user").fetchone() == (APPLICATION,)
    assert owner_connection.execute("SELECT current_user").fetchone() == (OWNER,)
    owner_connection.execute("CREATE TABLE mine (id int)")
    for statement in ("CREATE TABLE theirs (id int)", "CREATE TEMPORARY TABLE theirs (id int)"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            app_connection.execute(statement)


def test_an_empty_database_has_its_roles_and_nothing_else(
    empty_database: Callable[[], AbstractContextManager[Database]],
) -> None:
    with empty_database() as made, psycopg.connect(made.owner_dsn) as owner:
        tables = owner.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
        assert tables == (0,)
        owner.execute("CREATE TABLE mine (id int)")


@pytest.mark.parametrize("run", [1, 2])
def test_each_test_starts_with_an_empty_valkey(run: int, redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.keys() == []
        client.set("left", "behind")


def test_the_client_reaches_the_wallet(db: None, client: Client) -> None:
    assert client.get("/healthz").status_code == 200
