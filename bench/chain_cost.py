"""What the chain costs a payment: `python -m bench.chain_cost [ROUNDS]`.

Copies of one database side by side on a throwaway server: without the chain's column, with the column, with an index on
it too (B-tree as it is, and BRIN beside it). Rounds alternate between them; in each, payments are posted one call at a
time, approved and cleared in batches. Processor time is the database backend's own, which other work on the machine
disturbs least. Sealing is measured apart, as it happens apart.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from wallet_project.embedded import ports, roles
from wallet_project.embedded.postgres import ADMIN, PostgresServer
from wallet_project.utils.ids import uuid7

ROOT = Path(__file__).resolve().parent.parent
PAYMENTS = 300
BATCH = 200
ACCOUNTS = 200
TABLES = ("ledger_transaction", "ledger_entry", "ledger_statechange")
VARIANTS = {
    "without": [],
    "column": [f"DROP INDEX {table}_by_xact" for table in TABLES],
    "btree": [],
    "brin": [f"DROP INDEX {table}_by_xact; CREATE INDEX ON {table} USING brin (xact)" for table in TABLES],
}
SYSTEM = "00000000-0000-7000-8000-000000000001"


class Bench:
    """One copy of the database, and what its rounds took."""

    def __init__(self, server: PostgresServer, name: str, changes: list[str]) -> None:
        self.name = name
        # Not one that had the column and lost it: its rows would go on making room for it.
        _migrate(server, sealed=name != "without")
        with psycopg.connect(server.admin_url, autocommit=True) as admin:
            roles.create_database(admin, name, template=roles.DATABASE)
        with psycopg.connect(server.url(ADMIN, name), autocommit=True) as admin:
            for change in changes:
                admin.execute(change)
            self.accounts = _open_accounts(admin)
        self.admin_url = server.url(ADMIN, name)
        self.connection = psycopg.connect(server.url(roles.APPLICATION, name), autocommit=True)
        self.posting: list[float] = []
        self.clearing: list[float] = []
        self.wall: list[float] = []

    def round(self, *, counts: bool) -> None:
        with psycopg.connect(self.admin_url, autocommit=True) as admin:
            admin.execute("VACUUM ANALYZE")  # A throwaway server has nobody who does.
        began = time.perf_counter()
        units = [uuid7() for _ in range(PAYMENTS)]
        posting = self._processor_time(lambda: [self._post(number, unit) for number, unit in enumerate(units)])
        self.connection.execute("SELECT ledger_approve(%s, NULL)", [units])
        clearing = self._processor_time(self._clear)
        if counts:
            self.posting.append(posting / PAYMENTS * 1e6)
            self.clearing.append(clearing / PAYMENTS * 1e6)
            self.wall.append((time.perf_counter() - began) / PAYMENTS * 1e6)

    def seal(self) -> tuple[float, int]:
        """Microseconds of processor time for a row, and how many rows there were."""
        rows = 0

        def work() -> None:
            nonlocal rows
            more = True
            while more:
                found = self.connection.execute("SELECT row_count, more FROM chain_seal(2000)").fetchone()
                rows, more = rows + (found[0] if found else 0), bool(found and found[1])

        return self._processor_time(work) * 1e6 / max(rows, 1), rows

    def _post(self, number: int, unit: UUID) -> None:
        debit, credit = self.accounts[number % ACCOUNTS], self.accounts[(number * 7 + 1) % ACCOUNTS]
        leg = {"id": str(unit), "kind": "transfer", "debit": debit, "credit": credit, "amount": 1, "currency": "EUR"}
        self.connection.execute(
            "SELECT * FROM ledger_post_pending(%s, NULL, %s, 'transfer', %s, %s, %s, %s)",
            [SYSTEM, unit.hex, bytes(32), unit, Jsonb([leg]), unit.hex],
        )

    def _clear(self) -> None:
        while self.connection.execute("SELECT * FROM ledger_clear(%s, NULL, %s, '')", [BATCH, SYSTEM]).fetchall():
            pass

    def _processor_time(self, work: Callable[[], object]) -> float:
        before = _ticks(self.connection.info.backend_pid)
        work()
        return (_ticks(self.connection.info.backend_pid) - before) / 1e9


def _ticks(pid: int) -> int:
    """Nanoseconds on a processor."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])


def _open_accounts(admin: psycopg.Connection) -> list[str]:
    """Customers' accounts with money, without customers: nothing here asks for those."""
    admin.execute("SET session_replication_role = replica")
    rows = admin.execute(
        "INSERT INTO accounts_account (id, kind, purpose, customer_id, currency, label, status, status_reason, cleared,"
        " reserved, last_sequence) SELECT gen_random_uuid(), 'customer', '', gen_random_uuid(), 'EUR', '', 'open', '',"
        " 1000000000, 0, 0 FROM generate_series(1, %s) RETURNING id",
        [ACCOUNTS],
    ).fetchall()
    admin.execute("SET session_replication_role = origin")
    return [str(row[0]) for row in rows]


def _migrate(server: PostgresServer, *, sealed: bool) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "DEBUG": "on",
        "DJANGO_SETTINGS_MODULE": "wallet_project.settings",
        "READ_ENV_FILES": "off",
        "DATABASE_URL": server.database_url,
        "DATABASE_OWNER_URL": server.owner_url,
        "REDIS_URL": "redis://127.0.0.1:9",
    }
    program = (
        "import django; from django.conf import settings; from django.core.management import call_command as call\n"
    )
    program += "django.setup()\n" + ("" if sealed else "settings.SEALED = []\n") + "call('migrate', verbosity=0)"
    command = [sys.executable, "-c", program]
    subprocess.run(command, cwd=ROOT, env=environment, check=True)  # noqa: S603 - our own


def main(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder, ports.reserved() as port:
        Path(folder).chmod(0o755)
        server = PostgresServer(Path(folder), port=port, throwaway=True)
        server.start()
        try:
            benches = [Bench(server, name, changes) for name, changes in VARIANTS.items()]
            for number in range(rounds + 1):
                # The first round only warms up; each begins with another one.
                for at in range(len(benches)):
                    benches[(number + at) % len(benches)].round(counts=number > 0)
            _report(benches)
            for bench in benches:
                bench.connection.close()
        finally:
            server.stop()


def _report(benches: list[Bench]) -> None:
    base = benches[0]
    sys.stdout.write("microseconds of processor time for a payment (median), and times `without`:\n")
    for bench in benches:
        line = f"{bench.name:<8}"
        for name in ("posting", "clearing", "wall"):
            mine, others = getattr(bench, name), getattr(base, name)
            # Rounds of one number were side by side in time.
            ratio = statistics.median(one / other for one, other in zip(mine, others, strict=True))
            line += f"  {name} {statistics.median(mine):7.1f} ({ratio:.3f})"
        sys.stdout.write(line + "\n")
    (sealed,) = [bench for bench in benches if bench.name == "btree"]
    each, rows = sealed.seal()
    sys.stdout.write(f"sealing: {each:.1f} microseconds a row, of {rows} rows\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
