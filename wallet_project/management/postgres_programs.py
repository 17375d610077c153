"""pg_dump and pg_restore: which of those on this machine fit the server, and how they are told where it is."""

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from django.core.management.base import CommandError
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import pq

from wallet_project.embedded.errors import EmbeddedError
from wallet_project.embedded.postgres import default_bin_dir

_KNOWS_TRANSACTION_TIMEOUT = 17
_VERSION = re.compile(r"\(PostgreSQL\) (\d+)")


def find(name: str, *, server_major: int) -> Path:
    """The program `name` of the server's own version, else the oldest newer one, as an older one refuses the server.
    Raises CommandError when there is none."""
    found = {major: path for path in _candidates(name) if (major := _major_version(path)) >= server_major}
    if name == "pg_restore" and server_major < _KNOWS_TRANSACTION_TIMEOUT:
        # A newer one begins with a setting that this server does not know.
        found = {major: path for major, path in found.items() if major < _KNOWS_TRANSACTION_TIMEOUT}
    if not found:
        raise CommandError(
            f"No {name} for PostgreSQL {server_major} here: install its client programs and put them on PATH."
        )
    return found[min(found)]


def _candidates(name: str) -> Iterator[Path]:
    """Later ones win among those of one version, so what is on PATH comes last."""
    with contextlib.suppress(EmbeddedError):  # A deployment may leave the package out.
        yield default_bin_dir() / name
    # Where Debian keeps what its wrapper on PATH chooses from.
    yield from sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    if on_path := shutil.which(name):
        yield Path(on_path)


def _major_version(program: Path) -> int:
    """0 for what is no program or does not run."""
    try:
        said = subprocess.run(  # noqa: S603 - a fixed name in a folder of programs
            [program, "--version"], capture_output=True, text=True, timeout=10, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return 0
    match = _VERSION.search(said)
    return int(match[1]) if match else 0


def run(program: Path, *arguments: str, connection: BaseDatabaseWrapper) -> str:
    """Run it against the database that `connection` names, and give what it wrote. Raises CommandError with what it
    said when it failed."""
    done = subprocess.run(  # noqa: S603 - as above, and arguments that no customer gives
        [program, "--no-password", *arguments],
        env={**os.environ, **_environment(connection)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
    )
    if done.returncode != 0:
        raise CommandError(f"{program.name} failed:\n{done.stderr.strip()}")
    return done.stdout


def _environment(connection: BaseDatabaseWrapper) -> dict[str, str]:
    """libpq's own variables for all that the settings say, as everybody on the machine may read a command line."""
    parameters = connection.get_connection_params()
    variables = {
        option.keyword.decode(): option.envvar.decode() for option in pq.Conninfo.get_defaults() if option.envvar
    }
    return {variables[name]: str(value) for name, value in parameters.items() if name in variables}
