"""The chain goes on in a restored copy: on a server whose transactions are numbered anew, too."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import DatabaseError, connections

from tests.chain.chains import head, offences, problems, seal_all, some_blocks
from tests.chain.conftest import Tamper
from tests.chain.test_seal import LOG
from tests.support import factories
from tests.support.processes import Way
from wallet_project.chain.sealing import seal
from wallet_project.embedded import ports, roles
from wallet_project.embedded.postgres import PostgresServer
from wallet_project.utils.verification import rows

pytestmark = [pytest.mark.django_db, pytest.mark.own_database, pytest.mark.thorough]
NEXT = "SELECT pg_current_xact_id()::text::bigint AS xid"


@pytest.fixture
def new_server() -> Iterator[PostgresServer]:
    """Another PostgreSQL, just made, with the roles and an empty database."""
    with Way("as we are").folder() as folder, ports.reserved() as port:
        server = PostgresServer(folder, port=port, throwaway=True)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def connected_to_server(server: PostgresServer) -> Iterator[None]:
    """Django's connections lead to it."""
    passwords = server.prepare_passwords()
    before: dict[str, dict[str, Any]] = {}
    connections.close_all()
    for alias, role in (("default", roles.APPLICATION), ("owner", roles.OWNER)):
        settings = connections.settings[alias]
        elsewhere = {"NAME": roles.DATABASE, "PORT": str(server.port), "PASSWORD": passwords[role]}
        before[alias] = {name: settings[name] for name in elsewhere}
        settings |= elsewhere
    try:
        yield
    finally:
        connections.close_all()
        for alias, settings in before.items():
            connections.settings[alias] |= settings


def test_it_goes_on_where_transactions_are_numbered_anew(
    superuser: psycopg.Connection, tmp_path: Path, new_server: PostgresServer
) -> None:
    superuser.execute("DO $$ BEGIN FOR i IN 1..4000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$")
    superuser.close()
    last = some_blocks(2)
    factories.make_account(funded=77)
    path = tmp_path / "wallet.dump"
    call_command("backup", str(path), stdout=io.StringIO())
    (before,) = rows("SELECT max(xact) AS xact FROM ledger_entry")

    with connected_to_server(new_server):
        said = io.StringIO()
        call_command("restore", str(path), stdout=said)
        assert "The chain goes on, in a new epoch." in said.getvalue()
        assert rows(NEXT)[0]["xid"] < before["xact"], "this server counts anew"
        factories.make_account(funded=88)
        (after,) = rows("SELECT min(xact) AS xact FROM ledger_entry WHERE xact > %(xact)s", before)
        assert after["xact"] > before["xact"]
        seal_all()
        assert not offences()
        # What was written before and not sealed yet is in a block now, and what was written here is, too.
        assert head() > last
        (counted,) = rows(
            "SELECT (SELECT count(*) FROM ledger_entry) AS there, sum(row_count) AS sealed FROM chain_section"
            " WHERE source_id IN (SELECT id FROM chain_source WHERE table_name = 'ledger_entry')"
        )
        assert counted["there"] == counted["sealed"]
        epochs = rows("SELECT number, reason FROM chain_epoch ORDER BY number")
        assert epochs == [
            {"number": 1, "reason": "first migrated"},
            {"number": 2, "reason": "restored wallet.dump"},
        ]
        call_command("resume_chain", stdout=said)
        assert said.getvalue().endswith("The chain goes on.\n")

        # And once more, to a server that is further on than the last.
        second = tmp_path / "second.dump"
        call_command("backup", str(second), stdout=io.StringIO())
    call_command("restore", str(second), "--force-clean", stdout=said)
    factories.make_account(funded=99)
    seal_all()
    assert not offences()
    assert [row["number"] for row in rows("SELECT number FROM chain_epoch ORDER BY number")] == [1, 2, 3]


def test_where_nobody_said_that_it_was_restored_nothing_is_sealed_and_that_is_seen(
    tamper: Tamper, app_connection: psycopg.Connection
) -> None:
    seal_all()
    tamper("UPDATE chain_epoch SET system_identifier = 1")
    app_connection.execute(LOG, [""])
    with pytest.raises(DatabaseError, match="resume_chain"):
        seal()
    assert problems() == {"the database came to another server, and nobody ran resume_chain"}
    call_command("resume_chain", stdout=io.StringIO())
    seal_all()
    assert not offences()


def test_a_restored_copy_goes_on_being_written_only_through_the_functions(
    tamper: Tamper, app_connection: psycopg.Connection, owner_connection: psycopg.Connection
) -> None:
    seal_all()
    tamper("UPDATE chain_epoch SET system_identifier = 1")
    owner_connection.execute("SELECT chain_resume('a test')")
    row = app_connection.execute(LOG, [""]).fetchone()
    assert row is not None
    (block,) = rows("SELECT to_xact FROM chain_block ORDER BY number DESC LIMIT 1")
    assert row[1] >= block["to_xact"]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        app_connection.execute("INSERT INTO ledger_statechange (xact) VALUES (1)")
