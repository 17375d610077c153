"""The throwaway PostgreSQL and Valkey of one test run.

`python -m tests.support.servers HOME` starts them, migrates the template database, and takes everything away again
when its standard input ends. So the servers go when the run goes, however it goes: the kernel closes the pipe of a
pytest that was killed as well. It works while pytest collects; whoever needs a database waits for it.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from wallet_project.embedded import ports, processes
from wallet_project.embedded.postgres import ADMIN, PostgresServer
from wallet_project.embedded.roles import APPLICATION, DATABASE, OWNER
from wallet_project.embedded.valkey import ValkeyServer

ROOT = Path(__file__).resolve().parents[2]
_READY_SECONDS = 120.0
_PLENTY_BYTES = 4 * 2**30


@dataclass(frozen=True)
class TestServers:
    """Where they are. `home` also holds their logs, until the run ends."""

    __test__ = False

    home: str
    pid: int
    port: int
    passwords: dict[str, str]
    valkey: str

    def database_url(self, role: str, name: str) -> str:
        return f"postgresql://{role}:{self.passwords[role]}@{ports.LOOPBACK}:{self.port}/{name}"

    def redis_url(self, number: int) -> str:
        return f"{self.valkey.rpartition('/')[0]}/{number}"

    def wait_until_migrated(self) -> None:
        """Return once the template database may be copied. Raises RuntimeError with what went wrong."""
        ready, failed = Path(self.home, "ready"), Path(self.home, "failed")
        processes.wait_until(
            lambda: ready.exists() or failed.exists() or not processes.alive(self.pid), seconds=_READY_SECONDS
        )
        if not ready.exists():
            reason = failed.read_text() if failed.exists() else "They did not come up in time."
            raise RuntimeError(f"The test run's servers could not be prepared.\n{reason}")

    @classmethod
    def read(cls, home: str) -> Self:
        return cls(**json.loads(Path(home, "servers.json").read_text()))


def _quickest_folder() -> str | None:
    """Memory, where copying a database takes half as long, if there is plenty; None for the usual folder."""
    memory = Path("/dev/shm")
    if os.environ.get("TMPDIR") or not os.access(memory, os.W_OK | os.X_OK):
        return None
    found = re.search(r"MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text())
    available = int(found[1]) * 1024 if found else 0
    return str(memory) if min(available, shutil.disk_usage(memory).free) > _PLENTY_BYTES else None


class ServersProcess:
    """The process that keeps them, seen from the pytest that started it."""

    def __init__(self) -> None:
        home = Path(tempfile.mkdtemp(prefix="wallet-tests-", dir=_quickest_folder()))
        # PostgreSQL runs as another user when we are root, who has to get to its own folder in here.
        home.chmod(0o711)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.servers", str(home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            # Ctrl-C is pytest's: it tears down what uses the servers before it lets them go.
            start_new_session=True,
            text=True,
        )
        assert self._process.stdout is not None
        if not self._process.stdout.readline():
            raise RuntimeError("The test run's servers could not be started; their message stands above.")
        self.servers = TestServers.read(str(home))

    def stop(self) -> None:
        self._process.communicate()


#: What the wallet's settings read in a test run, beside where the servers are. All that matters is here, whatever the
#: developer's .env says.
SETTINGS = {
    "SECRET_KEY": "the-key-of-a-test-run-" + "0" * 40,
    "DEBUG": "off",
    "ALLOW_HTTP": "on",
    "ALLOWED_HOSTS": "localhost,127.0.0.1,testserver",
    "PUBLIC_URL": "http://testserver",
    "EMAIL_URL": "memorymail://",
    "EMAIL_VERIFICATION": "optional",
    # Nobody listens there; a test that needs an outside world starts a sandbox and overrides these.
    "IDENTITY_URL": "http://127.0.0.1:9",
    "IDENTITY_API_KEY": "test-identity-key",
    "IDENTITY_WEBHOOK_SECRET": "whsec_" + "aWRlbnRpdHkt" * 3,
    "BANK_URL": "http://127.0.0.1:9",
    "BANK_API_KEY": "test-bank-key",
    "BANK_WEBHOOK_SECRET": "whsec_" + "YmFua2Jhbmst" * 3,
    "LOG_FORMAT": "console",
    "SCREENING_LIMITS": "{}",
    "STATEMENT_TIMEOUT": "5s",
    "LEASE_SECONDS": "60",
    "METRICS_TOKEN": "",
}
#: With these, a process finds the servers; without them it has none.
ADDRESSES = ("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL")


def environment(servers: TestServers, *, database: str, redis_number: int) -> dict[str, str]:
    """The environment for a wallet on `database` and Valkey's database `redis_number`."""
    return {
        **SETTINGS,
        "DATABASE_URL": servers.database_url(APPLICATION, database),
        "DATABASE_OWNER_URL": servers.database_url(OWNER, database),
        "REDIS_URL": servers.redis_url(redis_number),
        "DOCUMENTS_DIR": str(Path(servers.home, "documents")),
    }


def _migrate(servers: TestServers, postgres: PostgresServer) -> None:
    os.environ.update(environment(servers, database=DATABASE, redis_number=0))
    os.environ["DJANGO_SETTINGS_MODULE"] = "wallet_project.settings"

    import django
    import psycopg
    from django.core.management import call_command
    from django.db import connections

    django.setup()

    from wallet_project.chain.sealing import seal_all

    connections.settings["owner"]["OPTIONS"]["connect_timeout"] = 30
    call_command("migrate", verbosity=0, interactive=False)
    # What migrations logged would otherwise be late for its seal in each copy that is made ten minutes from now.
    seal_all()
    connections.close_all()
    with psycopg.connect(postgres.url(ADMIN), autocommit=True) as connection:
        connection.execute("ANALYZE")
    with psycopg.connect(postgres.admin_url, autocommit=True) as connection:
        # A database that somebody is connected to can't be copied.
        connection.execute(f"ALTER DATABASE {DATABASE} ALLOW_CONNECTIONS false")


def _prepare(home: Path, postgres: PostgresServer, valkey: ValkeyServer) -> None:
    valkey.start()
    passwords = postgres.prepare_passwords()
    servers = TestServers(home=str(home), pid=os.getpid(), port=postgres.port, passwords=passwords, valkey=valkey.url())
    (home / "servers.json").write_text(json.dumps(asdict(servers)))
    sys.stdout.write("started\n")
    sys.stdout.flush()
    try:
        postgres.start()
        _migrate(servers, postgres)
    except Exception:
        # Written for those who wait, who report it; this process goes on until it is told to end.
        (home / "failed").write_text(traceback.format_exc())
    else:
        (home / "ready").touch()


def _watch(stop: threading.Event) -> None:
    sys.stdin.read()
    stop.set()


def main(home: Path) -> None:
    stop = threading.Event()
    # Checked between steps, each of which takes a second or two: an exception out of nowhere may be lost, or leave a
    # server that nobody knows of.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda signum, frame: stop.set())
    threading.Thread(target=_watch, args=(stop,), daemon=True).start()
    bin_dir = Path(os.environ["TEST_POSTGRES_BIN"]) if os.environ.get("TEST_POSTGRES_BIN") else None
    with ports.reserved() as postgres_port, ports.reserved() as valkey_port:
        postgres = PostgresServer(home / "postgres", port=postgres_port, throwaway=True, bin_dir=bin_dir)
        valkey = ValkeyServer(home / "valkey", port=valkey_port, throwaway=True)
        try:
            _prepare(home, postgres, valkey)
            stop.wait()
        finally:
            postgres.stop()
            valkey.stop()
            shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
