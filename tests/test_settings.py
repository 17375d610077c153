"""The settings refuse to start what would not be safe."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PRODUCTION = {
    "DEBUG": "off",
    "SECRET_KEY": "a-long-and-random-secret-key-for-a-test-0123456789-abcdefghijklmnop",
    "PUBLIC_URL": "https://wallet.example",
    "ALLOWED_HOSTS": "wallet.example",
    "DATABASE_URL": "postgresql://wallet_app:x@127.0.0.1:1/wallet",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "IDENTITY_URL": "https://identity.example",
    "IDENTITY_API_KEY": "a key",
    "BANK_URL": "https://bank.example",
    "BANK_API_KEY": "a key",
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


def test_with_everything_it_starts_in_production() -> None:
    done = manage("diffsettings")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("missing", ["IDENTITY_URL", "IDENTITY_API_KEY", "BANK_URL", "BANK_API_KEY"])
def test_without_providers_it_does_not_start_in_production(missing: str) -> None:
    done = manage("diffsettings", **{missing: None})
    assert done.returncode != 0
    assert "BANK_URL" in done.stderr


def test_a_limit_that_is_none_is_said_before_anything_is_screened_by_it() -> None:
    done = manage("check", SCREENING_LIMITS='{"EUR": {"singel_amount": 1000000}}')
    assert done.returncode != 0
    assert "SCREENING_LIMITS['EUR']" in done.stderr


def test_without_a_database_it_says_how_to_get_one() -> None:
    done = manage("check", DATABASE_URL=None)
    assert done.returncode != 0
    assert "make run" in done.stderr
