"""`python -m wallet_project.embedded.run [--story] [--once] [--no-logs] [--data DIR]`: the whole wallet on one machine.

Starts PostgreSQL and Valkey unless DATABASE_URL and REDIS_URL name others, migrates, starts the processes and serves
on PORT (8000, or the next free one) until Ctrl-C or SIGTERM. With --story it tells the demo first; --once ends after
that, or, without a story, as soon as the wallet is well. Exit code 0 if all went as it should.
"""

import argparse
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import environ

from wallet_project.embedded import ports, processes, specs
from wallet_project.embedded.dotlocal import DotLocal
from wallet_project.embedded.errors import EmbeddedError, ServerFailed
from wallet_project.embedded.postgres import PostgresServer
from wallet_project.embedded.private_files import write_private
from wallet_project.embedded.supervisor import Supervisor, roll, run_to_end
from wallet_project.embedded.valkey import ValkeyServer

ROOT = Path(__file__).resolve().parents[2]
DEFAULT_PORT = 8000
STORY = (*specs.PYTHON, "-m", "wallet_project.demo")

_HEALTH_SECONDS = 60.0


class Wallet:
    """One run, from empty folder to exit code."""

    def __init__(self, options: argparse.Namespace, local: DotLocal, stop: threading.Event) -> None:
        self._options = options
        self._local = local
        self._stop = stop
        self._env: dict[str, str] = {}
        self._notary_url = ""
        self._ports = contextlib.ExitStack()
        self._servers: list[PostgresServer | ValkeyServer] = []
        self._supervisor = Supervisor(
            root=ROOT, logs=local.logs, register=local.processes, echo=sys.stdout if options.logs else None
        )

    def run(self) -> int:
        """The exit code. Raises EmbeddedError; whatever happens, nothing is left running."""
        try:
            for step in (self._start_servers, self._prepare_database, self._start_processes):
                step()
                if self._stop.is_set():
                    return 130
            code = self._tell_story() if self._options.story else 0
            if self._options.once or self._stop.is_set():
                return code
            self._serve()
            return code
        finally:
            self._end()

    def _start_servers(self) -> None:
        self._local.withdraw()  # What a killed run could not.
        if ended := self._supervisor.end_leftovers():
            print(f"Ended what a killed run had left: {', '.join(ended)}.")
        self._env = {"DEBUG": "on", **self._local.secrets(), **os.environ}
        for name in ("no_proxy", "NO_PROXY"):  # Nor does a proxy lead from one of our processes to the other.
            self._env[name] = ",".join(filter(None, [self._env.get(name), ports.LOOPBACK, "localhost"]))
        if not self._env.get("DATABASE_URL"):
            postgres = PostgresServer(self._local.folder / "postgres", log=self._local.logs / "postgres.log")
            self._start_server(postgres)
            self._env["DATABASE_URL"] = postgres.database_url
            self._env["DATABASE_OWNER_URL"] = postgres.owner_url
            self._notary_url = postgres.notary_url
            print(f"PostgreSQL  {ports.LOOPBACK}:{postgres.port}, data in {postgres.home}")
        if not self._env.get("REDIS_URL"):
            valkey = ValkeyServer(self._local.folder / "valkey", log=self._local.logs / "valkey.log")
            self._start_server(valkey)
            self._env["REDIS_URL"] = valkey.url()
            print(f"Valkey      {ports.LOOPBACK}:{valkey.port}, data in {valkey.home}")

    def _start_server(self, server: PostgresServer | ValkeyServer) -> None:
        roll(server.log)
        self._servers.append(server)
        server.start()

    def _prepare_database(self) -> None:
        self._choose_addresses()
        self._manage("migrate", "--no-input", log=self._local.logs / "migrate.log")
        # Only in a database of our own: these are logins that everybody at this screen is shown.
        if self._servers and isinstance(self._servers[0], PostgresServer) and not self._stop.is_set():
            write_private(self._local.logins, "")
            self._manage("create_demo_staff", log=self._local.logins)

    def _choose_addresses(self) -> None:
        env = self._env
        # Kept until the end: between here and the servers' start, others look for a free port too.
        self._port = self._ports.enter_context(ports.reserved(int(env.get("PORT") or DEFAULT_PORT)))
        self._base_url = f"http://{ports.LOOPBACK}:{self._port}"
        env.setdefault("PUBLIC_URL", self._base_url)
        wanted = int(env["SANDBOX_PORT"]) if env.get("SANDBOX_PORT") else None
        self._sandbox_port = self._ports.enter_context(ports.reserved(wanted))
        self._needs_sandbox = not (env.get("IDENTITY_URL") and env.get("BANK_URL"))
        sandbox_url = f"http://{ports.LOOPBACK}:{self._sandbox_port}"
        for name in ("IDENTITY_URL", "BANK_URL"):
            env[name] = env.get(name) or sandbox_url
        env["PROMETHEUS_MULTIPROC_DIR"] = str(self._local.fresh_metrics())

    def _manage(self, *command: str, log: Path) -> None:
        # Migrations may take their time; what serves requests may not.
        env = {**self._env, "STATEMENT_TIMEOUT": "600s"}
        del env["PROMETHEUS_MULTIPROC_DIR"]  # The counters are those of web and workers.
        argv = (*specs.PYTHON, "manage.py", *command)
        code = run_to_end(argv, env=env, cwd=ROOT, stop=self._stop, log=log)
        if code != 0 and not self._stop.is_set():
            raise ServerFailed(f"manage.py {command[0]} failed. The end of {log}:\n{processes.tail(log, 30)}")

    def _start_processes(self) -> None:
        # What serves and works has no use for the owner's rights, so it does not get them (docs/database.md). Empty
        # rather than absent: settings fill in what is absent from .local/env.
        env = {**self._env, "DATABASE_OWNER_URL": ""}
        self._publish()
        if self._needs_sandbox:
            data = self._local.folder / "sandbox"
            self._supervisor.start(specs.sandbox(env, port=self._sandbox_port, data=data))
            self._wait("The sandbox", lambda: ports.answers(self._sandbox_port))
        self._supervisor.start(specs.web(env, port=self._port))
        for worker in specs.workers(env):
            self._supervisor.start(worker)
        schedule = self._local.folder / "beat" / "schedule"
        schedule.parent.mkdir(exist_ok=True)
        self._supervisor.start(specs.beat(env, schedule=schedule))
        if self._notary_url:
            folder = self._local.folder / "notary"
            self._supervisor.start(specs.notary(env, database_url=self._notary_url, folder=folder))
        self._wait("The web server", lambda: ports.is_well(f"{self._base_url}/healthz"))
        self._supervisor.check()
        if not self._stop.is_set():
            self._publish(base_url=self._base_url)
            print(f"Logs        {self._local.logs}\nWallet      {self._base_url}  (/admin/, /api/docs)")

    def _publish(self, *, base_url: str | None = None) -> None:
        """`base_url` only when the wallet answers there, so that scripts may wait for it."""
        env = self._env
        services = {
            "database_url": env["DATABASE_URL"],
            "database_owner_url": env.get("DATABASE_OWNER_URL", ""),
            "redis_url": env["REDIS_URL"],
            "sandbox_url": env["BANK_URL"],
            "pid": os.getpid(),
        }
        names = ("DEBUG", "PUBLIC_URL", "DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL", "IDENTITY_URL", "BANK_URL")
        published = {name: env[name] for name in (*names, *self._local.secrets()) if name in env}
        self._local.publish(services={"base_url": base_url, **services} if base_url else services, env=published)

    def _wait(self, what: str, condition: Callable[[], bool]) -> None:
        self._supervisor.wait_for(what, condition, seconds=_HEALTH_SECONDS, stop=self._stop)

    def _tell_story(self) -> int:
        env = {**self._env, "BASE_URL": self._base_url}
        del env["PROMETHEUS_MULTIPROC_DIR"]
        ended = threading.Event()
        watch = threading.Thread(target=self._end_story_with_a_process, args=(ended,), daemon=True)
        watch.start()
        logins = ("--logins", str(self._local.logins)) if self._local.logins.exists() else ()
        code = run_to_end((*STORY, *logins), env=env, cwd=ROOT, stop=self._stop, log=None)
        ended.set()
        watch.join()
        self._check()
        if code != 0 and not self._stop.is_set():
            print(f"The story did not come out as told (exit code {code}).", file=sys.stderr)
        return 130 if self._stop.is_set() else code

    def _end_story_with_a_process(self, ended: threading.Event) -> None:
        while not ended.wait(0.2):
            if self._dead_server() or self._supervisor.dead():
                self._stop.set()
                return

    def _dead_server(self) -> PostgresServer | ValkeyServer | None:
        return next((server for server in self._servers if not (server.pid and processes.alive(server.pid))), None)

    def _check(self) -> None:
        """Raises ServerFailed, naming what has ended: a server first, as it takes the others with it."""
        if server := self._dead_server():
            name = "PostgreSQL" if isinstance(server, PostgresServer) else "Valkey"
            raise ServerFailed(f"{name} has ended. The end of {server.log}:\n{processes.tail(server.log)}")
        self._supervisor.check()

    def _serve(self) -> None:
        if not self._options.story and self._local.logins.exists():
            print(f"\nStaff, for {self._base_url}/admin/:\n{self._local.logins.read_text()}")
        print("Serving. Stop with Ctrl-C.", flush=True)
        while not self._stop.wait(0.2):
            self._check()

    def _end(self) -> None:
        print("Stopping.", flush=True)
        self._supervisor.stop()
        for server in reversed(self._servers):
            server.stop()
        self._ports.close()
        self._local.withdraw()


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="wallet_project.embedded.run", description=__doc__.split("\n\n")[1])
    parser.add_argument("--story", action="store_true", help="tell the demo story first")
    parser.add_argument("--once", action="store_true", help="stop after that")
    parser.add_argument(
        "--logs", action=argparse.BooleanOptionalAction, help="show on the screen what the processes say"
    )
    parser.add_argument("--data", type=Path, default=ROOT / ".local", help="where everything is kept (.local)")
    options = parser.parse_args(arguments)
    if options.logs is None:
        options.logs = not options.story
    return options


def main(arguments: list[str]) -> int:
    """The exit code: 0 after Ctrl-C or SIGTERM while serving, 130 when they came before that, 1 on any failure."""
    options = _options(arguments)
    stop = threading.Event()

    def ask_to_stop(signum: int, frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, ask_to_stop)
    environ.Env.read_env(ROOT / ".env")
    local = DotLocal(options.data.resolve())
    try:
        with local.locked():
            return Wallet(options, local, stop).run()
    except EmbeddedError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
