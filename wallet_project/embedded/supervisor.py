"""Starts the wallet's processes, keeps what they say, and leaves none behind.

Each leads a process group of its own, so that Ctrl-C at the terminal reaches the supervisor alone and whatever a
process started can be ended with it. If the supervisor is killed, the kernel ends them (see launch.py); what needs
longer than that is found and ended by the next start.
"""

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGKILL, SIGTERM
from typing import TextIO

from wallet_project.embedded import processes
from wallet_project.embedded.errors import EmbeddedError, ServerFailed
from wallet_project.embedded.private_files import read_json, write_json
from wallet_project.embedded.unprivileged import LAUNCH

_GRACE_SECONDS = 15.0
_COLORS = (36, 33, 32, 35, 34, 31)
#: A log that has grown larger becomes NAME.log.1, and the one before it is gone: days of serving, and no full disk.
LOG_BYTES = 10 * 1024 * 1024


@dataclass(frozen=True)
class ProcessSpec:
    """One process: `env` is all of its environment. With `quiet` its output goes to its log alone."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(repr=False)
    quiet: bool = False


class Supervisor:
    """Processes below `root`; logs go to `logs`/NAME.log, and with `echo` to the screen too, with their names."""

    def __init__(self, *, root: Path, logs: Path, register: Path, echo: TextIO | None = None) -> None:
        self._root = root
        self._logs = logs
        self._register = register
        self._echo = echo
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._readers: list[threading.Thread] = []
        self._screen = threading.Lock()

    def start(self, spec: ProcessSpec) -> None:
        self._logs.mkdir(parents=True, exist_ok=True)
        process = _spawn(spec.argv, env=spec.env, cwd=self._root, output=subprocess.PIPE)
        self._running[spec.name] = process
        self._note()
        color = _COLORS[len(self._readers) % len(_COLORS)]
        reader = threading.Thread(target=self._read, args=(spec, process, color), name=f"log-{spec.name}", daemon=True)
        reader.start()
        self._readers.append(reader)

    def log(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def dead(self) -> str | None:
        """The name of a process that has ended, None while all run."""
        return next((name for name, process in self._running.items() if process.poll() is not None), None)

    def check(self) -> None:
        """Raises ServerFailed, naming the log, if a process has ended."""
        name = self.dead()
        if name is None:
            return
        code = self._running[name].returncode
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        raise ServerFailed(f"{name} {how}. The end of {self.log(name)}:\n{processes.tail(self.log(name))}")

    def wait_for(self, what: str, condition: Callable[[], bool], *, seconds: float, stop: threading.Event) -> None:
        """Return when `condition` holds or `stop` is set; raises when a process ends or the time has passed."""
        deadline = time.monotonic() + seconds
        while not condition() and not stop.wait(0.05):
            self.check()
            if time.monotonic() > deadline:
                raise ServerFailed(f"{what} did not answer within {seconds:.0f} s. Look into {self._logs}.")

    def stop(self) -> None:
        """End all of them and whatever they started; return when they are gone."""
        for process in self._running.values():
            if process.poll() is None:
                process.send_signal(SIGTERM)
        deadline = time.monotonic() + _GRACE_SECONDS
        for process in self._running.values():
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            finally:
                processes.end_group(process.pid)
        for reader in self._readers:
            reader.join(2)
        self._running.clear()
        self._register.unlink(missing_ok=True)

    def end_leftovers(self) -> list[str]:
        """End the processes of a supervisor that was killed, if some are still there; their names."""
        found = []
        for name, (pid, started) in read_json(self._register).items():
            members = [member for member in processes.group(pid) if processes.works_in(member, self._root)]
            if processes.start_time(pid) == started and processes.works_in(pid, self._root):
                processes.end(pid, signals=[(SIGTERM, _GRACE_SECONDS), (SIGKILL, 5)], name=name)
                found.append(name)
            for member in members:
                processes.end(member, signals=[(SIGTERM, 1), (SIGKILL, 5)], name=name)
        self._register.unlink(missing_ok=True)
        return found

    def _note(self) -> None:
        write_json(
            self._register,
            {name: [process.pid, processes.start_time(process.pid)] for name, process in self._running.items()},
        )

    def _read(self, spec: ProcessSpec, process: subprocess.Popen[bytes], color: int) -> None:
        assert process.stdout is not None
        path = self.log(spec.name)
        roll(path, above=0)
        echo = None if spec.quiet else self._echo
        head = f"{spec.name:<8}| "
        if echo is not None and echo.isatty():
            head = f"\x1b[{color}m{head}\x1b[0m"
        with process.stdout, contextlib.ExitStack() as opened:
            log = opened.enter_context(path.open("wb", buffering=0))
            for line in process.stdout:
                if log.tell() > LOG_BYTES:
                    opened.close()
                    roll(path)
                    log = opened.enter_context(path.open("wb", buffering=0))
                log.write(line)
                if echo is not None:
                    with self._screen:
                        echo.write(head + line.decode(errors="replace"))
                        echo.flush()


def roll(log: Path, *, above: int | None = None) -> None:
    """Put a log with more than `above` bytes (LOG_BYTES) aside, in the place of the one put aside before."""
    if log.exists() and log.stat().st_size > (LOG_BYTES if above is None else above):
        log.replace(log.with_suffix(".log.1"))


def run_to_end(
    argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, stop: threading.Event, log: Path | None
) -> int:
    """Run one command and return its exit code. Its output goes to `log`, or to our own. When `stop` is set it is
    ended, and the code says by which signal."""
    if log is None:
        process = _spawn(argv, env=env, cwd=cwd, output=None)
    else:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            process = _spawn(argv, env=env, cwd=cwd, output=output.fileno())
    try:
        while process.poll() is None and not stop.wait(0.05):
            pass
        if process.poll() is None:
            process.terminate()
        return process.wait(_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        return 1
    finally:
        processes.end_group(process.pid)


def _spawn(argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, output: int | None) -> subprocess.Popen[bytes]:
    sys.stdout.flush()
    try:
        return subprocess.Popen(
            [sys.executable, "-I", str(LAUNCH), "--die-with", str(os.getpid()), *argv],
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT if output is not None else None,
            start_new_session=True,
        )
    except OSError as error:
        raise EmbeddedError(f"Could not start {argv[0]}: {error}") from error
