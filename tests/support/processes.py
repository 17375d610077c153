"""Processes that a test starts and looks after."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.servers import ADDRESSES, ROOT, SETTINGS
from wallet_project.embedded import processes

END_SECONDS = 20.0


@dataclass(frozen=True)
class Way:
    """As whom, and below what kind of folder, something is run."""

    name: str
    user: str | None = None
    folder_mode: int = 0o755

    @property
    def identity(self) -> dict[str, Any]:
        if self.user is None:
            return {}
        account = pwd.getpwnam(self.user)
        return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """A folder to keep things below; its parent is what `folder_mode` opens or closes."""
        parent = Path(tempfile.mkdtemp(prefix="wallet-embedded-"))
        try:
            made = parent / "checkout"
            made.mkdir()
            if self.user is not None:
                os.chown(made, self.identity["user"], self.identity["group"])
            parent.chmod(self.folder_mode)
            yield made
        finally:
            _end_all_below(parent)
            shutil.rmtree(parent)


def _end_all_below(folder: Path) -> None:
    """What a test that failed half-way has left: servers that are meant to outlive a killed supervisor."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            if folder in Path(os.readlink(entry / "cwd")).parents:
                os.kill(int(entry.name), signal.SIGKILL)


def ways() -> list[Way]:
    """Those that can be tried by whoever runs the tests: a plain user can't be anybody else."""
    if os.geteuid() != 0:
        return [Way("plain user")]
    found = [Way("root")]
    if _succeeds(["unshare", "--user", "true"]):
        found.append(Way("root below a folder that only root may enter", folder_mode=0o700))
    plain = Way("plain user", user="nobody")
    if _succeeds([sys.executable, "-c", "import wallet_project, psycopg"], cwd=ROOT, **plain.identity):
        found.append(plain)
    return found


def _succeeds(command: list[str], **options: Any) -> bool:
    try:
        return subprocess.run(command, capture_output=True, **options).returncode == 0
    except OSError:
        return False


@dataclass
class Running:
    """A Python module, running."""

    module: str
    arguments: list[str]
    way: Way = field(default_factory=lambda: Way("as we are"))
    env: dict[str, str] = field(default_factory=dict)

    def start(self) -> None:
        # Nothing of the test run's own settings and servers, which are not to be touched.
        own = {*SETTINGS, *ADDRESSES}
        inherited = {name: value for name, value in os.environ.items() if name not in own}
        self.process = subprocess.Popen(
            [sys.executable, "-B", "-m", self.module, *self.arguments],
            cwd=ROOT,
            env={**inherited, **self.env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
            **self.way.identity,
        )

    def line(self) -> str:
        assert self.process.stdout is not None
        return str(self.process.stdout.readline())

    def end(self, number: int) -> tuple[int, str]:
        """Send a signal; the exit code, and what it said since the last line that was read."""
        self.process.send_signal(number)
        return self.result()

    def result(self, seconds: float = END_SECONDS * 3) -> tuple[int, str]:
        said, _ = self.process.communicate(timeout=seconds)
        return self.process.returncode, said


def descendants(pid: int) -> set[int]:
    """All processes that `pid` started, directly and not, and that still have their parents."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        for child in children.get(waiting.pop(), []):
            found.add(child)
            waiting.append(child)
    return found


def all_gone(pids: set[int], seconds: float = END_SECONDS) -> bool:
    return processes.wait_until(lambda: not any(processes.alive(pid) for pid in pids), seconds=seconds)
