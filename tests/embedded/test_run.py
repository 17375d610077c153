"""`python -m wallet_project.embedded.run`: the whole wallet, from an empty folder, and every way to end it."""

import argparse
import json
import os
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL, SIGTERM
from typing import Any

import psycopg
import pytest

from tests.support.processes import Running, Way, all_gone, descendants
from wallet_project.embedded import ports, processes
from wallet_project.embedded.dotlocal import DotLocal
from wallet_project.embedded.errors import ServerFailed
from wallet_project.embedded.postgres import PostgresServer
from wallet_project.embedded.run import Wallet
from wallet_project.embedded.valkey import ValkeyServer

START_SECONDS = 90.0


@dataclass
class WalletRun:
    """One start of it, with its data in `folder`."""

    folder: Path

    def start(self, *options: str) -> None:
        self._running = Running("wallet_project.embedded.run", ["--data", str(self.folder), "--no-logs", *options])
        self._running.start()
        self.pid = self._running.process.pid

    def serves(self) -> dict[str, Any]:
        """Where it is, once it says so; fails with what it said instead."""
        path = self.folder / "services.json"

        def published() -> bool:
            ended = self._running.process.poll() is not None
            return ended or (path.exists() and json.loads(path.read_text()).get("pid") == self.pid and self._has_url())

        assert processes.wait_until(published, seconds=START_SECONDS, every=0.1)
        if self._running.process.poll() is not None:
            pytest.fail(self._running.result()[1])
        return self.services()

    def services(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "services.json").read_text())
        return found

    def _has_url(self) -> bool:
        return "base_url" in self.services()

    def end(self, number: int) -> tuple[int, str]:
        return self._running.end(number)

    def result(self) -> tuple[int, str]:
        return self._running.result()


@pytest.fixture
def folder() -> Iterator[Path]:
    with Way("as we are").folder() as made:
        yield made


def test_it_serves_starts_again_after_it_was_killed_and_ends_with_its_first_process_that_dies(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One wallet for all of it: to start one takes longer than what is asked of it."""
    with ports.reserved() as taken:
        monkeypatch.setenv("PORT", str(taken))
        run = WalletRun(folder)
        run.start()
        services = run.serves()
    assert services["base_url"] != f"http://127.0.0.1:{taken}"  # Somebody else's: the next free one.
    _serves_and_keeps_its_secrets(folder, services)
    _refuses_a_second(folder, services, run.pid)
    with psycopg.connect(services["database_owner_url"]) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
    started = descendants(run.pid)
    assert len(started) > 6
    run.end(SIGKILL)

    again = WalletRun(folder)
    again.start()
    with psycopg.connect(again.serves()["database_owner_url"]) as connection:
        assert connection.execute("SELECT one FROM kept").fetchone() == (1,)
    # The servers of the first are the second's now.
    started |= descendants(again.pid)
    worker, _ = json.loads((folder / "processes.json").read_text())["worker"]
    os.kill(worker, SIGKILL)
    code, said = again.result()
    assert code == 1
    assert "worker was killed by signal 9" in said
    assert "worker.log" in said
    assert all_gone(started, seconds=1)
    assert {"base_url", "pid"}.isdisjoint(again.services())
    assert not (folder / "env").exists()


def _serves_and_keeps_its_secrets(folder: Path, services: dict[str, Any]) -> None:
    with urllib.request.urlopen(services["base_url"] + "/healthz") as response:
        assert response.status == 200
    for name in ("services.json", "env", "secrets.json", "logins"):
        assert (folder / name).stat().st_mode & 0o777 == 0o600
    heads = folder / "notary" / "heads"
    assert processes.wait_until(lambda: (heads / "notary.prom").exists(), seconds=START_SECONDS)
    assert "wallet_notary_refusing 0" in (heads / "notary.prom").read_text()
    for path in (folder / "notary" / "key.pem", *heads.iterdir()):
        assert path.stat().st_mode & 0o777 == 0o600


def _refuses_a_second(folder: Path, services: dict[str, Any], pid: int) -> None:
    second = WalletRun(folder)
    second.start()
    code, said = second.result()
    assert code == 1
    assert f"already running from this folder: {services['base_url']} (pid {pid})" in said


@pytest.mark.parametrize("name", ["PostgreSQL", "Valkey"])
def test_a_server_that_dies_is_named(folder: Path, name: str) -> None:
    options = argparse.Namespace(logs=False, once=False, story=False)
    local = DotLocal(folder)
    with local.locked():
        wallet = Wallet(options, local, threading.Event())
        local.logs.mkdir()
        log = local.logs / f"{name.lower()}.log"
        made = {"PostgreSQL": PostgresServer, "Valkey": ValkeyServer}[name]
        server = made(folder / name.lower(), throwaway=True, log=log)
        wallet._start_server(server)
        wallet._check()
        assert server.pid is not None
        os.kill(server.pid, SIGKILL)
        server.stop()
        with pytest.raises(ServerFailed, match=rf"{name} has ended\. The end of"):
            wallet._check()


def test_it_can_be_stopped_while_it_starts(folder: Path) -> None:
    run = WalletRun(folder)
    run.start()
    assert processes.wait_until(lambda: (folder / "log" / "migrate.log").exists(), seconds=START_SECONDS)
    started = descendants(run.pid)
    code, _ = run.end(SIGTERM)
    assert code == 130
    assert all_gone(started, seconds=1)


def test_a_start_that_fails_says_why(folder: Path) -> None:
    (folder / "postgres" / "cluster").mkdir(parents=True)
    run = WalletRun(folder)
    run.start("--once")
    code, said = run.result()
    assert code == 1
    assert "passwords.json is missing" in said
    assert "Traceback" not in said
