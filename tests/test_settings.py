"""The settings refuse to start what would not be safe."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PRODUCTION = {
    "DEBUG": "off",
    "SECRET_KEY": "a-long-and-random-secret-key-for-a-test-0123456789-abcdefghijklmnop",
    "PUBLIC_URL": "https://wallet.example",
    "ALLOWED_HOSTS": "wallet.example",
    "DATABASE_URL": "postgresql://wallet_app:x@127.0.0.1:1/wallet",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "IDENTITY_URL": "https://identity.example",
    "BANK_URL": "https://bank.example",
}


def manage(*arguments: str, **changes: str | None) -> subprocess.CompletedProcess[str]:
    """Run manage.py as an operator would, with nothing but these settings."""
    environment = {**PRODUCTION, "PATH": os.environ["PATH"], "READ_ENV_FILES": "off"}
    for name, value in changes.items():
        environment.pop(name, None)
        if value is not None:
            environment[name] = value
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_deployment_check_finds_nothing() -> None:
    done = manage("check", "--deploy", "--fail-level", "WARNING")
    assert done.returncode == 0, done.stderr


def test_without_a_secret_key_it_does_not_start() -> None:
    done = manage("check", SECRET_KEY=None)
    assert done.returncode != 0
    assert "SECRET_KEY" in done.stderr


def test_without_providers_it_does_not_start_in_production() -> None:
    done = manage("diffsettings", BANK_URL=None)
    assert done.returncode != 0
    assert "BANK_URL" in done.stderr


def test_without_a_database_it_says_how_to_get_one() -> None:
    done = manage("check", DATABASE_URL=None)
    assert done.returncode != 0
    assert "make run" in done.stderr
