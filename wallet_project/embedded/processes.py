"""Facts about processes, from /proc, and how to end them for certain."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from wallet_project.embedded.errors import EmbeddedError


def alive(pid: int) -> bool:
    """Whether `pid` runs; one that has ended and waits to be collected does not."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return fields[0] not in {"Z", "X"}


def start_time(pid: int) -> int | None:
    """When it started, in clock ticks since boot: together with the pid it names one process for ever."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except (FileNotFoundError, ProcessLookupError):
        return None


def program_name(pid: int) -> str:
    """The name of the file that it runs (its first 15 characters); empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def works_in(pid: int, folder: Path) -> bool:
    """Whether `folder` is its working directory. Servers stay in their data folder, so this tells whose they are
    even when a pid file is stale, its number was given to somebody else, or the folder was renamed."""
    try:
        return os.path.samefile(f"/proc/{pid}/cwd", folder)
    except OSError:
        return False


def find(program: str, folder: Path) -> Iterator[int]:
    """The pids of all running `program`s (the file's name) that work in `folder`."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or not works_in(pid := int(entry.name), folder):
            continue
        if program_name(pid) == program and alive(pid):
            yield pid


def group(leader: int) -> list[int]:
    """The pids in the process group that `leader` leads, or led: its number isn't given away while it has members."""
    members = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[2]) == leader and fields[0] not in {"Z", "X"}:
                members.append(int(entry.name))
    return members


def wait_until(condition: Callable[[], bool], *, seconds: float, every: float = 0.02) -> bool:
    """Poll until `condition` holds; False when `seconds` have passed."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(every)
    return True


def end(pid: int, *, signals: list[tuple[signal.Signals, float]], name: str) -> None:
    """Send each signal in turn, waiting so many seconds after each, until `pid` is gone. For processes that are not
    our children as well. Raises EmbeddedError when it outlives them all."""
    started = start_time(pid)
    for number, seconds in signals:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        except PermissionError as error:
            raise EmbeddedError(f"{name} (pid {pid}) belongs to another user; stop it with: kill {pid}") from error
        if wait_until(lambda: not alive(pid) or start_time(pid) != started, seconds=seconds):
            return
    raise EmbeddedError(f"{name} (pid {pid}) does not end; stop it with: kill -9 {pid}")


def end_group(pid: int) -> None:
    """Kill whatever is left of the process group that `pid` led."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return  # Nobody left, or the number belongs to somebody else by now.


def tail(path: Path, lines: int = 20) -> str:
    """The end of a log, for a message."""
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return "(no log)"
