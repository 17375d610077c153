"""The bench's own PostgreSQL and Valkey, durable as in production, and the wallet's processes beside them."""

import json
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Final, LiteralString

import psycopg

from wallet_project.embedded import ports, processes, roles, specs
from wallet_project.embedded.postgres import ADMIN, PostgresServer, default_bin_dir
from wallet_project.embedded.supervisor import Supervisor
from wallet_project.embedded.valkey import ValkeyServer

ROOT: Final = Path(__file__).resolve().parent.parent
TPCB: Final = "tpcb"
TPCB_SCALE: Final = 50
_TPS: Final = re.compile(r"^tps = ([0-9.]+)", re.MULTILINE)
_START_SECONDS: Final = 60.0
#: Where rows are updated and deleted.
_LEFT_DEAD: Final = "ledger_transaction, ledger_workitem, accounts_account"


@dataclass
class Servers:
    """`environment` is the wallet's, for this process and for those it starts."""

    folder: Path
    postgres: PostgresServer
    environment: dict[str, str]

    def tpcb(self, seconds: float) -> float:
        """Transactions per second of pgbench's own script, the reference."""
        arguments = ["-M", "prepared", "-c", "8", "-j", "2", "-n", "-T", str(max(round(seconds), 1)), TPCB]
        done = self._pgbench(*arguments)
        found = _TPS.search(done)
        assert found is not None, done
        return float(found[1])

    def prepare(self) -> None:
        """The wallet's tables, and pgbench's."""
        with psycopg.connect(self.postgres.admin_url, autocommit=True) as admin:
            admin.execute(f"CREATE DATABASE {TPCB}")
        command = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
        with ThreadPoolExecutor(1) as aside:
            tables = aside.submit(self._pgbench, "-i", "-q", "-s", str(TPCB_SCALE), TPCB)
            subprocess.run(command, cwd=ROOT, env={**self.environment, "STATEMENT_TIMEOUT": "600s"}, check=True)  # noqa: S603
            tables.result()

    def settle(self) -> None:
        """Begin a round with clean tables that the planner knows, pgbench's five million rows among them."""
        for database in (roles.DATABASE, TPCB):
            self._run(database, "VACUUM (ANALYZE, SKIP_LOCKED)")

    def sweep(self, database: str = roles.DATABASE) -> None:
        """Begin a slice with clean tables: what the last one left dead is not this one's to sweep up."""
        self._run(database, f"VACUUM (SKIP_LOCKED) {_LEFT_DEAD}")

    def _run(self, database: str, statement: LiteralString) -> None:
        with psycopg.connect(self.postgres.url(ADMIN, database), autocommit=True) as admin:
            admin.execute(statement)

    def checkpoint(self) -> None:
        with psycopg.connect(self.postgres.admin_url, autocommit=True) as admin:
            admin.execute("CHECKPOINT")

    def version(self) -> str:
        with psycopg.connect(self.postgres.admin_url) as admin:
            row = admin.execute("SHOW server_version").fetchone()
        assert row is not None
        return str(row[0])

    def _pgbench(self, *arguments: str) -> str:
        environment = {
            "PATH": os.environ["PATH"],
            "PGHOST": ports.LOOPBACK,
            "PGPORT": str(self.postgres.port),
            "PGUSER": ADMIN,
            "PGPASSWORD": self.postgres.prepare_passwords()[ADMIN],
        }
        program = str(default_bin_dir() / "pgbench")
        done = subprocess.run(  # noqa: S603 - our own server's program
            [program, *arguments], env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise RuntimeError(f"pgbench failed:\n{done.stderr}")
        return done.stdout


@contextmanager
def running(folder: Path) -> Iterator[Servers]:
    """Both servers with their data below `folder`, until the block ends. fsync and synchronous_commit are on."""
    with ports.reserved() as postgres_port, ports.reserved() as valkey_port:
        postgres = PostgresServer(folder / "postgres", port=postgres_port)
        valkey = ValkeyServer(folder / "valkey", port=valkey_port)
        try:
            postgres.start()
            valkey.start()
            yield Servers(folder, postgres, _environment(folder, postgres, valkey))
        finally:
            valkey.stop()
            postgres.stop()


class Wallet:
    """The wallet's processes, as `make run` starts them, without what talks to the outside."""

    def __init__(self, servers: Servers, database: str = roles.DATABASE) -> None:
        self._servers = servers
        self._database = database
        self._web = self._supervisor("web")
        self._workers = self._supervisor("workers")
        self.base_url = ""

    @contextmanager
    def web(self) -> Iterator[str]:
        """Its address."""
        try:
            with ports.reserved() as port:
                self.base_url = f"http://{ports.LOOPBACK}:{port}"
                self._web.start(specs.web(self._environment(), port=port))
                self._wait("The web server", lambda: ports.is_well(f"{self.base_url}/healthz"))
                yield self.base_url
                self._web.check()
                self._workers.check()
        finally:
            self._workers.stop()
            self._web.stop()

    def start_workers(self) -> None:
        """The worker that screens and clears, and beat; they end with the web server, or with `end_workers`."""
        self._workers.start(specs.worker(self._environment(), queues=("celery",)))
        self._workers.start(specs.beat(self._environment(), schedule=self._servers.folder / "beat"))

    def end_workers(self) -> None:
        self._workers.check()
        self._workers.stop()

    def web_mb(self) -> float:
        return self._largest_mb("web", "web")

    def worker_mb(self) -> float:
        return self._largest_mb("workers", "worker")

    def _supervisor(self, name: str) -> Supervisor:
        return Supervisor(root=ROOT, logs=self._servers.folder / "log", register=self._register(name))

    def _register(self, name: str) -> Path:
        return self._servers.folder / f"{name}.json"

    def _largest_mb(self, supervisor: str, name: str) -> float:
        """Resident memory of the largest of the processes that one of this name has become."""
        register = json.loads(self._register(supervisor).read_text())
        return max(_resident_mb(pid) for pid in processes.group(register[name][0]))

    def _environment(self) -> dict[str, str]:
        metrics = self._servers.folder / "metrics"
        metrics.mkdir(exist_ok=True)
        own = {
            "DATABASE_URL": self._servers.postgres.url(roles.APPLICATION, self._database),
            "DATABASE_OWNER_URL": "",
            "PROMETHEUS_MULTIPROC_DIR": str(metrics),
        }
        return {**self._servers.environment, **own}

    def _wait(self, what: str, condition: Callable[[], bool]) -> None:
        self._web.wait_for(what, condition, seconds=_START_SECONDS, stop=Event())


def _environment(folder: Path, postgres: PostgresServer, valkey: ValkeyServer) -> dict[str, str]:
    nowhere = f"http://{ports.LOOPBACK}:9"
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "DJANGO_SETTINGS_MODULE": "wallet_project.settings",
        "READ_ENV_FILES": "off",
        "DEBUG": "off",
        "ALLOW_HTTP": "on",
        "SECRET_KEY": secrets.token_urlsafe(50),
        "DATABASE_URL": postgres.database_url,
        "DATABASE_OWNER_URL": postgres.owner_url,
        "REDIS_URL": valkey.url(),
        # Transfers need no bank and no identity provider; nobody listens there.
        **{f"{name}_URL": nowhere for name in ("IDENTITY", "BANK")},
        **{f"{name}_API_KEY": "bench" for name in ("IDENTITY", "BANK")},
        **{f"{name}_WEBHOOK_SECRET": "whsec_" + "YmVuY2gtYmVu" * 3 for name in ("IDENTITY", "BANK")},
        # The same rules and throttles, with room for a year of customers in a minute.
        "SCREENING_LIMITS": '{"EUR": {"debits_per_hour": 1000000000}}',
        "THROTTLE_RATES": '{"user": "1000000000/min"}',
        "LOG_FORMAT": "json",
        # A task's log line is not a figure, a request's is written as in production.
        "PYTHONUNBUFFERED": "1",
    }


def _resident_mb(pid: int) -> float:
    found = re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0
