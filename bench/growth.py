"""The wallet after years: the same transfers beside ten thousand entries and beside five million.

Filling the large one takes minutes, and so does reading all of it, so this one is measured when it is asked for.
"""

import subprocess
import sys
from typing import Final

import psycopg

from bench.servers import ROOT, Servers
from bench.town import Person
from wallet_project.embedded import roles
from wallet_project.embedded.postgres import ADMIN

#: As many accounts in both, so that it is the entries alone that differ.
ACCOUNTS: Final = 2_000
SIZES: Final = {"small": 10_000, "large": 5_000_000}


def prepare(servers: Servers) -> dict[str, list[Person]]:
    """Make and fill both databases, beside the wallet's; their people by database."""
    people = {}
    for name, entries in SIZES.items():
        with psycopg.connect(servers.postgres.admin_url, autocommit=True) as admin:
            roles.create_database(admin, name)
        with psycopg.connect(servers.postgres.url(ADMIN, name), autocommit=True) as admin:
            roles.close_schema(admin)
        environment = {
            **servers.environment,
            "DEBUG": "on",  # The command refuses production's settings.
            "STATEMENT_TIMEOUT": "0",
            "DATABASE_URL": servers.postgres.url(roles.APPLICATION, name),
            "DATABASE_OWNER_URL": servers.postgres.url(roles.OWNER, name),
        }
        sys.stdout.write(f"filling a database with {entries} entries\n")
        sys.stdout.flush()
        for command in (
            ["migrate", "--verbosity", "0"],
            ["generate_load", "--accounts", str(ACCOUNTS), "--entries", str(entries)],
        ):
            subprocess.run([sys.executable, "manage.py", *command], cwd=ROOT, env=environment, check=True)  # noqa: S603
        with psycopg.connect(servers.postgres.url(roles.APPLICATION, name)) as connection:
            people[name] = _people(connection)
    return people


def _people(connection: psycopg.Connection) -> list[Person]:
    rows = connection.execute(
        "SELECT p.id, c.id, array_agg(a.id ORDER BY a.id) FROM accounts_account a"
        " JOIN accounts_customer c ON c.id = a.customer_id JOIN accounts_principal p ON p.user_id = c.user_id"
        " WHERE a.currency = 'EUR' AND a.status = 'open' GROUP BY p.id, c.id ORDER BY c.id"
    ).fetchall()
    return [Person(str(one), str(two), "", tuple(str(account) for account in owned)) for one, two, owned in rows]
