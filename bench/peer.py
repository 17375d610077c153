"""Our side of the peer: its virtual environment, its database, and how fast it is (bench/hordak_peer.py)."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import psycopg

from bench.servers import ROOT, Servers
from wallet_project.embedded.postgres import ADMIN

VERSION: Final = "2.0.0"
DATABASE: Final = "hordak"
_HOME: Final = ROOT / ".local" / "bench" / f"hordak-{VERSION}"
_PYTHON: Final = _HOME / "bin" / "python"
#: Written last: an environment that an interrupted run left is made anew.
_READY: Final = _HOME / "ready"
_PEER: Final = Path(__file__).with_name("hordak_peer.py")
_RATE: Final = re.compile(r"^RATE ([0-9.]+)$", re.MULTILINE)


class NoPeer(Exception):
    """Its packages could not be installed; the message says why."""


class Hordak:
    def __init__(self, servers: Servers) -> None:
        """Its tables and accounts. Raises NoPeer."""
        _install()
        with psycopg.connect(servers.postgres.admin_url, autocommit=True) as admin:
            admin.execute(f"CREATE DATABASE {DATABASE}")
        self._environment = {"PATH": os.environ["PATH"], "DATABASE_URL": servers.postgres.url(ADMIN, DATABASE)}
        self._run("prepare")

    def transfers(self, seconds: float) -> float:
        """Transfers a second; its accounts add up to zero afterwards."""
        return read_rate(self._run("run", str(seconds)))

    def _run(self, *arguments: str) -> str:
        return _call([str(_PYTHON), "-I", str(_PEER), *arguments], self._environment)


def read_rate(said: str) -> float:
    found = _RATE.search(said)
    if found is None:
        raise RuntimeError(f"the peer did not say how fast it was:\n{said}")
    return float(found[1])


def _install() -> None:
    if _READY.exists():
        return
    pip = [str(_PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    try:
        _call([sys.executable, "-m", "venv", "--clear", str(_HOME)], os.environ)
        _call([*pip, f"django-hordak=={VERSION}", "psycopg[binary]"], os.environ)
    except RuntimeError as error:
        raise NoPeer(f"django-hordak could not be installed: {str(error).splitlines()[-1]}") from error
    _READY.touch()


def _call(command: list[str], environment: Mapping[str, str]) -> str:
    done = subprocess.run(command, env=dict(environment), capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command[-2:])} failed:\n{done.stderr.strip()}")
    return done.stdout
