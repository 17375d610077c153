"""`python -m wallet_project.embedded.run`: the whole wallet, from an empty folder, and every way to end it."""

import argparse
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL, SIGTERM
from typing import Any

import pytest

from tests.support.processes import Running, Way, all_gone, descendants
from wallet_project.embedded import processes
from wallet_project.embedded.dotlocal import DotLocal
from wallet_project.embedded.errors import ServerFailed
from wallet_project.embedded.postgres import PostgresServer
from wallet_project.embedded.run import Wallet
from wallet_project.embedded.valkey import ValkeyServer

pytestmark = pytest.mark.thorough

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
