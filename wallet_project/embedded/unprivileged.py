"""Who PostgreSQL runs as. It refuses uid 0, so root has to find it another user, without creating one and without
opening up anybody's folders."""

import os
import pwd
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wallet_project.embedded.errors import CannotDropRoot

LAUNCH = Path(__file__).with_name("launch.py")


@dataclass(frozen=True)
class RunAs:
    """How to start a program: a prefix for its command line and the identity for its process.

    `owner` is the (uid, gid) that its files must belong to; None leaves them as they are."""

    prefix: Sequence[str] = ()
    identity: Mapping[str, Any] = field(default_factory=dict)
    owner: tuple[int, int] | None = None

    def give(self, folder: Path) -> None:
        """Make `folder` and all in it the user's. Only ever called with folders that we made ourselves."""
        if self.owner is None:
            return
        uid, gid = self.owner
        os.chown(folder, uid, gid)
        for parent, folders, files in os.walk(folder):
            for name in (*folders, *files):
                os.chown(os.path.join(parent, name), uid, gid, follow_symlinks=False)


def choose(program: Path, home: Path) -> RunAs:
    """Somebody other than root who can run `program` and enter `home`, an existing folder.

    Raises CannotDropRoot when there is nobody."""
    if os.geteuid() != 0:
        return RunAs()
    accounts = list(_accounts(home))
    for account in accounts:
        run_as = RunAs(
            identity={"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []},
            owner=(account.pw_uid, account.pw_gid),
        )
        if _works(run_as, program, home):
            return run_as
    for account in accounts[:1]:
        mapped = [sys.executable, "-I", str(LAUNCH), "--map", f"{account.pw_uid}:{account.pw_gid}"]
        run_as = RunAs(prefix=mapped, owner=(0, 0))
        if _works(run_as, program, home):
            return run_as
    raise CannotDropRoot(
        f"PostgreSQL refuses to run as root, and no other user can reach both\n  {program}\nand\n  {home}\n"
        "while user namespaces are not allowed here. Do one of these:\n"
        "  - run this as a plain user;\n"
        "  - move the checkout to a folder that others may enter, such as /srv or /opt;\n"
        "  - set DATABASE_URL and DATABASE_OWNER_URL to a PostgreSQL server of your own."
    )


def _accounts(home: Path) -> Iterator[pwd.struct_passwd]:
    """Existing plain accounts, best first: those meant for it, then whoever the checkout belongs to."""
    seen = {0}
    for name in ("postgres", "nobody"):
        try:
            account = pwd.getpwnam(name)
        except KeyError:
            continue
        if account.pw_uid not in seen:
            seen.add(account.pw_uid)
            yield account
    for folder in (home, *home.parents):
        uid = folder.stat().st_uid
        if uid in seen:
            continue
        seen.add(uid)
        try:
            yield pwd.getpwuid(uid)
        except KeyError:
            continue
    if len(seen) == 1:
        yield from [account for account in pwd.getpwall() if account.pw_uid != 0][:1]


def _works(run_as: RunAs, program: Path, home: Path) -> bool:
    """Try it: permissions, containers and kernels forbid this in more ways than one could ask about."""
    script = 'cd "$1" && exec "$2" --version'
    try:
        result = subprocess.run(
            [*run_as.prefix, "/bin/sh", "-c", script, "sh", str(home), str(program)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            timeout=10,
            **run_as.identity,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return result.returncode == 0
