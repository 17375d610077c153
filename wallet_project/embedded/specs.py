"""Which processes the wallet is made of, and the environment that each is given."""

import sys
from collections.abc import Mapping
from pathlib import Path

from wallet_project.embedded.ports import LOOPBACK
from wallet_project.embedded.supervisor import ProcessSpec

PYTHON = (sys.executable, "-u")
CELERY = (*PYTHON, "-m", "celery", "-A", "wallet_project")


def sandbox(env: Mapping[str, str], *, port: int, data: Path) -> ProcessSpec:
    """The outside world, which has its own book on disk and calls the wallet back."""
    own = {
        **{name: value for name, value in env.items() if name not in {"DATABASE_URL", "DATABASE_OWNER_URL"}},
        "SANDBOX_DATA": str(data),
        "SANDBOX_HOST": LOOPBACK,
        "SANDBOX_PORT": str(port),
        "SANDBOX_WALLET_URL": env["PUBLIC_URL"],
        "SANDBOX_IDENTITY_API_KEY": env["IDENTITY_API_KEY"],
        "SANDBOX_IDENTITY_WEBHOOK_SECRET": env["IDENTITY_WEBHOOK_SECRET"],
        "SANDBOX_BANK_API_KEY": env["BANK_API_KEY"],
        "SANDBOX_BANK_WEBHOOK_SECRET": env["BANK_WEBHOOK_SECRET"],
    }
    return ProcessSpec("sandbox", (*PYTHON, "-m", "wallet_project.sandbox"), own)


def web(env: Mapping[str, str], *, port: int) -> ProcessSpec:
    """Two processes for two cores, each with an event loop, threads of its own and a pool of connections for them
    (docs/operations.md)."""
    argv = (*PYTHON, "-m", "granian", "--interface", "rsgi", "--loop", "uvloop")
    where = ("--host", LOOPBACK, "--port", str(port))
    size = ("--workers", "2", "--backlog", "1024", "--backpressure", "1024", "--no-ws")
    care = ("--workers-kill-timeout", "5", "--respawn-failed-workers")
    own = {"DATABASE_POOL": "8", **env}
    return ProcessSpec("web", (*argv, *where, *size, *care, "wallet_project.rsgi:application"), own)


def workers(env: Mapping[str, str]) -> tuple[ProcessSpec, ...]:
    """One for each lane (CELERY_TASK_ROUTES)."""
    return (
        worker(env, queues=("celery",)),
        worker(env, name="caller", queues=("outside",)),
        worker(env, name="auditor", queues=("audit",), processes=1),
    )


def worker(
    env: Mapping[str, str],
    *,
    name: str = "worker",
    queues: tuple[str, ...] = ("celery", "outside", "audit"),
    processes: int = 2,
) -> ProcessSpec:
    lanes = ("--hostname", f"{name}@%h", "--queues", ",".join(queues))
    argv = (
        *CELERY,
        "worker",
        *lanes,
        "--loglevel",
        "INFO",
        "--concurrency",
        str(processes),
        "--without-gossip",
        "--without-mingle",
    )
    return ProcessSpec(name, argv, env)


def notary(env: Mapping[str, str], *, database_url: str, folder: Path) -> ProcessSpec:
    """Signs the chain's heads: no secret of the wallet's, and the only one that is told where the key is."""
    own = {
        name: value for name, value in env.items() if name in {"DEBUG", "HOME", "LANG", "LOG_FORMAT", "PATH", "TMPDIR"}
    }
    own |= {
        "DATABASE_URL": database_url,
        "NOTARY_DIR": str(folder),
        # Settings ask for it; the notary tells nobody anything.
        "REDIS_URL": "redis://unused",
        "READ_ENV_FILES": "off",
    }
    return ProcessSpec("notary", (*PYTHON, "manage.py", "notarize", "--every", "5"), own)


def beat(env: Mapping[str, str], *, schedule: Path) -> ProcessSpec:
    """`schedule` is where it remembers when what ran last."""
    return ProcessSpec("beat", (*CELERY, "beat", "--loglevel", "WARNING", "--schedule", str(schedule)), env)
