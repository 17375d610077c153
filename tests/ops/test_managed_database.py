"""A server on which nobody is a superuser: the roles are made as docs/database.md says, and every guard is tried there.

The tests of the guards are those of tests/ledger/test_guards.py; what is here is the database that they are run in.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from django.db import connections
from psycopg import sql

from tests.ledger.test_guards import *  # noqa: F403 - the tests themselves
from tests.support.database import Database, connected_to
from tests.support.servers import ROOT, TestServers
from wallet_project.embedded.postgres import ADMIN
from wallet_project.guards import GuardsCheck
from wallet_project.utils.verification import verify

pytestmark = [pytest.mark.django_db, pytest.mark.thorough]

PAGE = (ROOT / "docs" / "database.md").read_text()
#: The names that the page gives, and those here: roles are the server's, where the other tests have theirs.
NAMES = {
    "wallet_owner": f"house_{os.getpid()}",
    "wallet_app": f"guest_{os.getpid()}",
    "wallet_notary": f"witness_{os.getpid()}",
    "wallet": f"rented_{os.getpid()}",
}
LANDLORD = f"landlord_{os.getpid()}"
PASSWORDS = {"wallet_owner": "a password of your own", "wallet_app": "another one"}


@dataclass(frozen=True)
class Rented:
    """A migrated database, to be copied."""

    template: str
    dsn: Mapping[str, str]


def blocks() -> list[list[str]]:
    """The page's SQL, statement by statement, with the names of this run."""
    found = re.findall(r"```sql\n(.*?)```", PAGE, flags=re.DOTALL)
    renamed = [re.sub("|".join(map(r"\b{}\b".format, NAMES)), lambda match: NAMES[match[0]], each) for each in found]
    return [[line for line in block.splitlines() if line] for block in renamed]


def at(servers: TestServers, user: str, password: str, name: str) -> str:
    parts = urlsplit(servers.database_url(ADMIN, name))
    return parts._replace(netloc=f"{user}:{password}@{parts.hostname}:{parts.port}".replace(" ", "%20")).geturl()


@pytest.fixture(scope="module")
def rented(servers: TestServers) -> Iterator[Rented]:
    servers.wait_until_migrated()
    owner, app, name = NAMES["wallet_owner"], NAMES["wallet_app"], NAMES["wallet"]
    dsn = {
        role: at(servers, NAMES[role], PASSWORDS[role], name).replace(f"/{name}", "/{}")
        for role in ("wallet_owner", "wallet_app")
    }
    with psycopg.connect(servers.database_url(ADMIN, "postgres"), autocommit=True) as admin:
        admin.execute(
            sql.SQL("CREATE ROLE {} LOGIN NOSUPERUSER CREATEROLE CREATEDB PASSWORD 'rent'").format(
                sql.Identifier(LANDLORD)
            )
        )
        try:
            first, second = blocks()
            with psycopg.connect(at(servers, LANDLORD, "rent", "postgres"), autocommit=True) as landlord:
                for statement in first:
                    landlord.execute(statement)  # type: ignore[arg-type]
            with psycopg.connect(dsn["wallet_owner"].format(name), autocommit=True) as house:
                for statement in second:
                    house.execute(statement)  # type: ignore[arg-type]
            migrate(dsn, name)
            admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(sql.Identifier(name)))
            yield Rented(name, dsn)
        finally:
            admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
            for role in (app, owner, NAMES["wallet_notary"], LANDLORD):
                admin.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(role)))


def migrate(dsn: Mapping[str, str], name: str) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "migrate", "--no-input", "--verbosity", "0"],
        cwd=ROOT,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "wallet_project.settings",
            "DATABASE_URL": dsn["wallet_app"].format(name),
            "DATABASE_OWNER_URL": dsn["wallet_owner"].format(name),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture
def database(rented: Rented, servers: TestServers, settings: Any, redis_url: str) -> Iterator[Database]:
    """A copy of it, instead of the one that other tests have."""
    name = f"{rented.template}_copy"
    owner, app = NAMES["wallet_owner"], NAMES["wallet_app"]
    with psycopg.connect(servers.database_url(ADMIN, "postgres"), autocommit=True) as admin:
        for statement in (
            "CREATE DATABASE {name} OWNER {owner} TEMPLATE {template} STRATEGY file_copy",
            "REVOKE ALL ON DATABASE {name} FROM PUBLIC",
            "GRANT CONNECT ON DATABASE {name} TO {app}",
        ):
            names = {"name": name, "owner": owner, "app": app, "template": rented.template}
            admin.execute(sql.SQL(statement).format(**{key: sql.Identifier(value) for key, value in names.items()}))
        made = Database(
            name=name,
            app_dsn=rented.dsn["wallet_app"].format(name),
            owner_dsn=rented.dsn["wallet_owner"].format(name),
            admin_dsn=servers.database_url(ADMIN, name),
        )
        settings.WALLET_APP_ROLE = app
        before = {alias: dict(connections.settings[alias]) for alias in connections}
        for alias, role in (("default", "wallet_app"), ("owner", "wallet_owner")):
            connections.settings[alias].update(USER=NAMES[role], PASSWORD=PASSWORDS[role])
        try:
            with connected_to(made):
                yield made
        finally:
            for alias, values in before.items():
                connections.settings[alias].update(USER=values["USER"], PASSWORD=values["PASSWORD"])
            connections.close_all()
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def test_the_wallet_runs_as_the_pages_roles(
    app_connection: psycopg.Connection, owner_connection: psycopg.Connection
) -> None:
    for connection, role in ((app_connection, "wallet_app"), (owner_connection, "wallet_owner")):
        assert connection.execute(
            "SELECT current_user, rolsuper FROM pg_roles WHERE rolname = current_user"
        ).fetchone() == (
            NAMES[role],
            False,
        )


def test_all_guards_stand_and_nobody_may_do_more() -> None:
    (result,) = verify([GuardsCheck()], timeout_seconds=30)
    assert result.holds, result.offending


def test_the_administrator_is_left_without_a_way_in(rented: Rented, database: Database, servers: TestServers) -> None:
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(at(servers, LANDLORD, "rent", database.name)).close()
