"""The supervisor on processes of the simplest kind."""

import io
import json
import os
import sys
import threading
from pathlib import Path
from signal import SIGKILL

import pytest

from tests.support.processes import Running, all_gone, descendants
from wallet_project.embedded import processes, supervisor
from wallet_project.embedded.errors import ServerFailed
from wallet_project.embedded.private_files import write_json
from wallet_project.embedded.supervisor import ProcessSpec, Supervisor, run_to_end

pytestmark = pytest.mark.thorough

FOR_EVER = "import signal; print('ready', flush=True); signal.pause()"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + FOR_EVER
PARENT = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {STUBBORN!r}]); " + FOR_EVER


def _spec(name: str, code: str) -> ProcessSpec:
    return ProcessSpec(name, (sys.executable, "-u", "-c", code), dict(os.environ))


@pytest.fixture
def screen() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def supervised(tmp_path: Path, screen: io.StringIO) -> Supervisor:
    return Supervisor(root=tmp_path, logs=tmp_path / "log", register=tmp_path / "processes.json", echo=screen)


def _says(supervised: Supervisor, name: str, text: str) -> None:
    """Return once `name` has written `text`."""
    log = supervised.log(name)
    assert processes.wait_until(lambda: log.exists() and text in log.read_text(), seconds=20)


def test_what_a_process_says_is_kept_and_shown_with_its_name(supervised: Supervisor, screen: io.StringIO) -> None:
    supervised.start(_spec("talker", "import sys; print('one'); print('two', file=sys.stderr)"))
    assert processes.wait_until(lambda: supervised.dead() == "talker", seconds=20)
    supervised.stop()
    assert supervised.log("talker").read_text() == "one\ntwo\n"
    assert screen.getvalue() == "talker  | one\ntalker  | two\n"


def test_a_process_that_dies_is_reported_with_its_log(supervised: Supervisor) -> None:
    supervised.start(_spec("steady", FOR_EVER))
    supervised.start(_spec("broken", "raise SystemExit('no luck today')"))
    assert processes.wait_until(lambda: supervised.dead() == "broken", seconds=20)
    _says(supervised, "broken", "no luck today")
    with pytest.raises(ServerFailed, match=r"(?s)broken ended with exit code 1.*broken\.log.*no luck today"):
        supervised.check()
    supervised.stop()


def test_a_log_does_not_grow_for_ever(
    supervised: Supervisor, screen: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "LOG_BYTES", 1000)
    supervised.start(_spec("talker", "for number in range(1000): print(f'line {number}')"))
    assert processes.wait_until(lambda: supervised.dead() == "talker", seconds=20)
    supervised.stop()
    log = supervised.log("talker")
    before = log.with_suffix(".log.1")
    assert (before.read_text() + log.read_text()).endswith("line 998\nline 999\n")
    assert 0 < log.stat().st_size <= 1010
    assert 1000 < before.stat().st_size <= 1010
    assert screen.getvalue().count("line") == 1000


def test_waiting_ends_as_soon_as_a_process_has_died(supervised: Supervisor) -> None:
    supervised.start(_spec("broken", "raise SystemExit(3)"))
    with pytest.raises(ServerFailed, match="exit code 3"):
        supervised.wait_for("It", lambda: False, seconds=20, stop=threading.Event())
    supervised.stop()


def test_stopping_leaves_nothing_behind_not_even_what_will_not_go(
    supervised: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "_GRACE_SECONDS", 0.2)
    before = descendants(os.getpid())
    for name, code in {"plain": FOR_EVER, "stubborn": STUBBORN, "parent": PARENT}.items():
        supervised.start(_spec(name, code))
        _says(supervised, name, "ready")
    _says(supervised, "parent", "ready\nready")
    started = descendants(os.getpid()) - before
    assert len(started) == 4
    supervised.stop()
    assert all_gone(started)


def test_processes_end_with_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    running = Running("tests.embedded.supervise", [str(tmp_path), "plain", FOR_EVER])
    running.start()
    assert running.line() == "started\n"
    started = descendants(running.process.pid)
    assert len(started) == 1
    running.end(SIGKILL)
    assert all_gone(started)


def test_what_outlives_a_killed_supervisor_is_ended_by_the_next(
    tmp_path: Path, supervised: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "_GRACE_SECONDS", 0.2)
    running = Running("tests.embedded.supervise", [str(tmp_path), "stubborn", STUBBORN])
    running.start()
    assert running.line() == "started\n"
    started = descendants(running.process.pid)
    running.process.kill()
    running.process.wait()

    assert supervised.end_leftovers() == ["stubborn"]
    assert all_gone(started, seconds=1)
    assert supervised.end_leftovers() == []
    running.result()


def test_a_pid_that_was_given_to_somebody_else_is_left_alone(tmp_path: Path, supervised: Supervisor) -> None:
    supervised.start(_spec("bystander", FOR_EVER))
    register = tmp_path / "processes.json"
    pid, started = json.loads(register.read_text())["bystander"]
    elsewhere = Supervisor(root=tmp_path / "log", logs=tmp_path, register=tmp_path / "other.json")
    for listed in ([pid, started], [pid, started - 1]):
        write_json(tmp_path / "other.json", {"ours": listed})
        assert elsewhere.end_leftovers() == []
    assert processes.alive(pid)
    supervised.stop()


def test_a_command_gives_its_exit_code_and_ends_when_asked(tmp_path: Path) -> None:
    stop = threading.Event()
    env = dict(os.environ)
    command = [sys.executable, "-c", "print('done'); raise SystemExit(7)"]
    assert run_to_end(command, env=env, cwd=tmp_path, stop=stop, log=tmp_path / "log") == 7
    assert (tmp_path / "log").read_text() == "done\n"
    stop.set()
    command = [sys.executable, "-c", FOR_EVER]
    assert run_to_end(command, env=env, cwd=tmp_path, stop=stop, log=tmp_path / "log") < 0
