"""The wallet as it runs: web, workers and outside world in processes of their own, and ways to hurt them."""

import io
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from tests.support.database import Database
from tests.support.servers import ROOT
from wallet_project.demo.customer import Customer
from wallet_project.demo.screen import Screen
from wallet_project.embedded import processes, specs
from wallet_project.embedded.supervisor import ProcessSpec
from wallet_project.embedded.valkey import ValkeyServer
from wallet_project.sandbox.embedding import RunningSandbox

SECONDS = 30.0
#: Long enough for a batch on a busy machine, short enough for a test to outlive it.
LEASE_SECONDS = 3


@dataclass
class Town:
    """What every test of this folder shares; each brings its own customers and workers."""

    base_url: str
    database: Database
    valkey: ValkeyServer
    sandbox: RunningSandbox
    folder: Path
    env: Mapping[str, str]
    _started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, spec: ProcessSpec) -> subprocess.Popen[bytes]:
        """It leads a process group, and says what it has to say in NAME-NUMBER.log."""
        log = self.folder / f"{spec.name}-{len(self._started)}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                spec.argv,
                env=dict(spec.env),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._started.append(process)
        return process

    @contextmanager
    def worker(self, *, sweeps: bool = False) -> Iterator[subprocess.Popen[bytes]]:
        """A Celery worker; with `sweeps` beat is in it, otherwise nudges alone tell it that there is work."""
        spec = specs.worker(self.env)
        schedule = str(self.folder / f"schedule-{len(self._started)}")
        beat = ("--beat", "--schedule", schedule) if sweeps else ()
        process = self.start(ProcessSpec("worker", (*spec.argv, *beat), spec.env))
        try:
            yield process
        finally:
            kill(process)

    def customer(self, name: str) -> Customer:
        """Signed up, identified by the sandbox, with an open account in euros."""
        customer = Customer(name, base_url=self.base_url, screen=Screen(io.StringIO()))
        customer.sign_up()
        profile = {
            "first_name": name,
            "last_name": "Example",
            "date_of_birth": "1990-12-10",
            "country": "DE",
            "address": "Example Street 1, 10115 Berlin",
            "document_type": "passport",
            "document_number": "C01X00T47",
        }
        customer.put("/me/profile", profile, expect={})
        customer.account = customer.post("/accounts", {"currency": "EUR", "label": ""}, expect={})["id"]
        customer.wait_for(f"/accounts/{customer.account}", expect={"status": "open"}, meanwhile={})
        return customer

    def value(self, query: str, *values: object) -> Any:
        """The one value that a query gives, read as the owner of the tables."""
        with psycopg.connect(self.database.owner_dsn, autocommit=True) as connection:
            row = connection.execute(query, values).fetchone()
        return row[0] if row else None

    @contextmanager
    def stuck_at(self, table: str) -> Iterator["Stuck"]:
        """Whoever wants to write `table` meanwhile is held up there, in the middle of what it does."""
        dsn = self.database.admin_dsn
        with psycopg.connect(dsn) as holder, psycopg.connect(dsn, autocommit=True) as watcher:
            holder.execute(sql.SQL("LOCK TABLE {} IN SHARE MODE").format(sql.Identifier(table)))
            yield Stuck(watcher)

    def verify(self) -> None:
        """Fails the test when an invariant does not hold; the bank's book is one of them."""
        done = subprocess.run(
            (*specs.PYTHON, "manage.py", "verify_ledger"), cwd=ROOT, env=self.env, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def end(self) -> None:
        for process in self._started:
            kill(process)


@dataclass
class Stuck:
    """Those who are held up."""

    watcher: psycopg.Connection

    def wait_for_somebody(self) -> None:
        """Return as soon as somebody is held up."""
        assert processes.wait_until(lambda: bool(self._waiting()), seconds=SECONDS), "nobody came by"

    def end_their_sessions(self) -> None:
        """As the server does when it finds that the process at the other end is gone; it may take its time for that."""
        for pid in self._waiting():
            self.watcher.execute("SELECT pg_terminate_backend(%s)", [pid])

    def _waiting(self) -> list[int]:
        rows = self.watcher.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return [pid for (pid,) in rows]


def kill(process: subprocess.Popen[bytes]) -> None:
    """As the kernel does when memory runs out: no last word, no clean-up; the children too."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
