"""What a newcomer types first: `make demo` from an empty data folder, on servers and processes of its own."""

import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.processes import Way, all_gone, descendants
from tests.support.servers import ROOT
from wallet_project.embedded import ports, processes
from wallet_project.embedded.private_files import read_json
from wallet_project.sandbox.embedding import fresh_config, running_sandbox

SECONDS = 240.0
#: Of this run's environment; nothing of its servers reaches the demo, which starts its own.
KEPT = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH") if name in os.environ}


@dataclass
class Demo:
    """One that serves, after its story."""

    process: subprocess.Popen[str]
    folder: Path
    said: str

    @property
    def base_url(self) -> str:
        return str(read_json(self.folder / "services.json")["base_url"])

    def environment(self) -> dict[str, str]:
        """What its own processes know, as `manage.py` beside it does."""
        lines = (self.folder / "env").read_text().splitlines()
        return {**KEPT, "READ_ENV_FILES": "off", **dict(line.split("=", 1) for line in lines)}


def start(folder: Path, *options: str, port: int | None = None) -> subprocess.Popen[str]:
    """`port`: the one that it is told to serve on; it is somebody else's, so that it takes another."""
    return subprocess.Popen(
        [sys.executable, "-m", "wallet_project.embedded.run", "--story", "--data", str(folder), *options],
        cwd=ROOT,
        env={**KEPT, "READ_ENV_FILES": "off", **({"PORT": str(port)} if port else {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        text=True,
    )


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    """The only one of this file until its last test, which kills it: it takes longer to start than to be asked."""
    with Way("as we are").folder() as folder, ports.reserved() as taken:
        first = start(folder, port=taken)
        try:
            yield Demo(first, folder, _said_before_serving(first))
        finally:
            # By its own way, where the last test was not run: killed, it would leave all that it has started behind.
            first.terminate()
            first.communicate()


def _said_before_serving(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    said = ""
    while "Serving." not in said:
        line = process.stdout.readline()
        assert line, f"it ended:\n{said}"
        said += line
    return said


def test_the_story_is_told_and_it_serves(demo: Demo) -> None:
    assert re.search(r"All \d+ invariants hold\.", demo.said)
    assert demo.said.count("@wallet.example") == 4
    assert f"{demo.base_url}/admin/compliance/case/" in demo.said
    assert "\x1b" not in demo.said, "colours are for a terminal"
    with urllib.request.urlopen(f"{demo.base_url}/healthz") as response:
        assert response.status == 200


def test_what_it_keeps_is_only_for_its_owner_and_the_notary_signs(demo: Demo) -> None:
    heads = demo.folder / "notary" / "heads"
    assert processes.wait_until(lambda: (heads / "notary.prom").exists(), seconds=SECONDS)
    assert "wallet_notary_refusing 0" in (heads / "notary.prom").read_text()
    names = ("services.json", "env", "secrets.json", "logins", "notary/key.pem")
    for path in (*(demo.folder / name for name in names), *heads.iterdir()):
        assert path.stat().st_mode & 0o777 == 0o600, path


def test_a_second_one_from_the_same_folder_is_refused(demo: Demo) -> None:
    second = start(demo.folder)
    said, _ = second.communicate(timeout=SECONDS)
    assert second.returncode == 1
    assert f"already running from this folder: {demo.base_url} (pid {demo.process.pid})" in said


@pytest.mark.thorough
def test_a_story_that_comes_out_otherwise_says_what_was_expected(demo: Demo, tmp_path: Path) -> None:
    # A bank that knows nothing of what the wallet's own bank moved.
    with running_sandbox(fresh_config(tmp_path)) as other:
        bank = ("--bank-url", other.url, "--bank-key", other.config.bank_api_key)
        told = tell(demo, *bank)
    assert told.returncode == 1
    assert "movements at the bank, in cents: expected [400000, 350000, -50000], got []" in told.stdout
    assert "Traceback" not in told.stdout + told.stderr


def test_a_wallet_that_is_not_there_is_named(demo: Demo) -> None:
    told = tell(demo, "--base-url", "http://127.0.0.1:9")
    assert told.returncode == 1
    assert "http://127.0.0.1:9/" in told.stdout
    assert "does not answer" in told.stdout
    assert "Traceback" not in told.stdout + told.stderr


def tell(demo: Demo, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "wallet_project.demo", "--base-url", demo.base_url, *options]
    return subprocess.run(
        command, cwd=ROOT, env=demo.environment(), capture_output=True, text=True, timeout=SECONDS, check=False
    )


def test_the_session_of_the_readme_works_as_pasted(demo: Demo) -> None:
    readme = (ROOT / "README.md").read_text()
    found = re.search(r"## A session with curl.*?```sh\n(.*?)```", readme, flags=re.DOTALL)
    assert found is not None
    session = found.group(1).replace("BASE=http://127.0.0.1:8000 ", f"BASE={demo.base_url} ")
    assert demo.base_url in session
    done = subprocess.run(["sh", "-eu"], input=session, env=KEPT, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    balances = re.findall(r'"cleared": (\d+),\s+"reserved": (\d+),\s+"available": (\d+)', done.stdout)
    assert balances == [("50000", "0", "50000"), ("200000", "0", "200000")]


@pytest.mark.thorough
def test_after_it_was_killed_the_story_is_told_again_on_the_same_data(demo: Demo) -> None:
    started = descendants(demo.process.pid)
    assert len(started) > 6
    demo.process.kill()
    demo.process.wait()
    once = start(demo.folder, "--once")
    # It takes over the servers of the first.
    said, _ = once.communicate(timeout=SECONDS)
    assert once.returncode == 0, said
    assert "Traceback" not in said
    # What the first story and the session of the README have paid in, and as much again as the story pays in.
    assert re.search(r"[1-9][\d,]*\.00 before, [1-9][\d,]*\.00 now", said), said
    assert re.search(r"All \d+ invariants hold\.", said)
    assert all_gone(started)
    assert {"base_url", "pid"}.isdisjoint(read_json(demo.folder / "services.json"))
    assert not (demo.folder / "env").exists()
