"""The embedded PostgreSQL and Valkey: for every kind of user, and through every kind of end."""

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from signal import SIGINT, SIGKILL, SIGSTOP, SIGTERM
from typing import Any

import psycopg
import pytest
import redis

from tests.support.processes import Running, Way, all_gone, descendants, ways
from wallet_project.embedded import postgres, processes, unprivileged, valkey
from wallet_project.embedded.errors import CannotDropRoot, EmbeddedError
from wallet_project.embedded.postgres import PostgresServer
from wallet_project.embedded.valkey import ValkeyServer

pytestmark = pytest.mark.thorough

WAYS = [pytest.param(way, id=way.name) for way in ways()]


def _started(home: Path, way: Way) -> tuple[Running, dict[str, Any]]:
    running = Running("tests.embedded.serve", [str(home)], way)
    running.start()
    first = running.line()
    if not first.startswith("{"):
        pytest.fail(first + running.result()[1])
    return running, json.loads(first)


def _leave_something(where: dict[str, Any]) -> None:
    with psycopg.connect(where["owner"]) as connection:
        connection.execute("CREATE TABLE kept (note text)")
        connection.execute("INSERT INTO kept VALUES ('still here')")
    with redis.Redis.from_url(where["valkey"]) as client:
        client.set("kept", "still here")


def _is_still_there(where: dict[str, Any]) -> bool:
    with psycopg.connect(where["owner"]) as connection, redis.Redis.from_url(where["valkey"]) as client:
        row = connection.execute("SELECT note FROM kept").fetchone()
        return row == ("still here",) and client.get("kept") == b"still here"


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with Way("as we are").folder() as folder:
        yield folder


@pytest.mark.parametrize("way", WAYS)
def test_servers_start_and_end_and_keep_their_data(way: Way) -> None:
    with way.folder() as home:
        running, where = _started(home, way)
        _leave_something(where)
        pids = descendants(running.process.pid)
        assert pids >= set(where["pids"])
        assert running.end(SIGINT) == (0, "")
        assert all_gone(pids)

        again, where = _started(home, way)
        assert _is_still_there(where)
        again.end(SIGTERM)
        assert all_gone(set(where["pids"]))


@pytest.mark.parametrize("way", WAYS)
def test_servers_of_a_killed_supervisor_are_taken_over(way: Way) -> None:
    with way.folder() as home:
        running, where = _started(home, way)
        _leave_something(where)
        running.end(SIGKILL)

        again, taken_over = _started(home, way)
        assert taken_over == where
        assert _is_still_there(taken_over)
        assert again.end(SIGTERM) == (0, "")
        assert all_gone(set(where["pids"]))


@pytest.mark.parametrize("way", WAYS)
def test_servers_that_were_killed_too_come_back_with_their_data(way: Way) -> None:
    with way.folder() as home:
        running, where = _started(home, way)
        _leave_something(where)
        # Valkey writes its file once a second, PostgreSQL before it answers a commit.
        with redis.Redis.from_url(where["valkey"]) as client:
            client.execute_command("WAITAOF", 1, 0, 5000)
        running.end(SIGKILL)
        for pid in where["pids"]:
            os.kill(pid, SIGKILL)
        assert all_gone(set(where["pids"]))

        again, where = _started(home, way)
        assert _is_still_there(where)
        again.end(SIGTERM)


def test_a_pid_file_that_names_somebody_else_by_now_does_not_matter(home: Path) -> None:
    server = PostgresServer(home)
    server.start()
    assert server.pid is not None
    pid_file = server.cluster / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    os.kill(server.pid, SIGKILL)
    server.stop()
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")

    again = PostgresServer(home)
    again.start()
    assert again.pid not in (None, os.getpid())
    again.stop()


def test_a_server_that_does_not_answer_is_replaced(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "_ANSWER_SECONDS", 0.1)
    monkeypatch.setattr(postgres, "_END_SIGNALS", [(SIGTERM, 0.1), (SIGKILL, 5)])
    monkeypatch.setattr(valkey, "_ANSWER_SECONDS", 0.1)
    monkeypatch.setattr(valkey, "_END_SIGNALS", [(SIGTERM, 0.1), (SIGKILL, 5)])
    for kind in (PostgresServer, ValkeyServer):
        stuck = kind(home / kind.__name__)
        stuck.start()
        assert stuck.pid is not None
        os.kill(stuck.pid, SIGSTOP)

        replacement = kind(home / kind.__name__)
        replacement.start()
        assert replacement.pid not in (None, stuck.pid)
        assert not processes.alive(stuck.pid)
        stuck.stop()
        replacement.stop()


def test_the_next_free_port_is_taken(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as somebody_elses:
        taken = somebody_elses.getsockname()[1]
        for module, kind in ((postgres, PostgresServer), (valkey, ValkeyServer)):
            monkeypatch.setattr(module, "DEFAULT_PORT", taken)
            server = kind(home / kind.__name__)
            server.start()
            assert taken < server.port < taken + 100
            server.stop()


def test_secrets_are_only_for_their_owner(home: Path) -> None:
    server = PostgresServer(home / "postgres")
    server.prepare_passwords()
    cache = ValkeyServer(home / "valkey")
    cache.start()
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(port=cache.port).ping()
    cache.stop()
    for path in (home / "postgres" / "passwords.json", home / "valkey" / "valkey.json"):
        assert path.stat().st_mode & 0o777 == 0o600


def test_data_without_their_passwords_are_not_touched(home: Path) -> None:
    (home / "cluster").mkdir()
    with pytest.raises(EmbeddedError, match=r"passwords\.json is missing"):
        PostgresServer(home).start()


def test_data_of_another_major_version_are_not_touched(home: Path) -> None:
    server = PostgresServer(home)
    server.prepare_passwords()
    server.cluster.mkdir()
    (server.cluster / "PG_VERSION").write_text("9.6\n")
    with pytest.raises(EmbeddedError, match=r"PostgreSQL 9\.6"):
        server.start()


def test_root_without_anybody_to_become_is_told_what_to_do(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(unprivileged, "_works", lambda *arguments: False)
    with pytest.raises(CannotDropRoot, match="run this as a plain user"):
        unprivileged.choose(postgres.default_bin_dir() / "postgres", home)
