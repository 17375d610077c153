"""The settings refuse to start what would not be safe."""

import json
import os
import runpy
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.core import checks
from django.core.exceptions import ImproperlyConfigured

from wallet_project.api.defaults import THROTTLE_RATES, throttle_rates

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
    "IDENTITY_WEBHOOK_SECRET": "whsec_" + "aWRlbnRpdHkt" * 3,
    "BANK_URL": "https://bank.example",
    "BANK_API_KEY": "a key",
    "BANK_WEBHOOK_SECRET": "whsec_" + "YmFua2Jhbmst" * 3,
}


def manage(*arguments: str, **changes: str | None) -> subprocess.CompletedProcess[str]:
    """Run manage.py as an operator would, with nothing but these settings."""
    return python("manage.py", *arguments, **changes)


def python(*arguments: str, **changes: str | None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment(changes),
        capture_output=True,
        text=True,
        check=False,
    )


def environment(changes: Mapping[str, str | None]) -> dict[str, str]:
    wanted = {**PRODUCTION, "PATH": os.environ["PATH"], "READ_ENV_FILES": "off", **changes}
    return {name: value for name, value in wanted.items() if value is not None}


def settings_with(**changes: str | None) -> dict[str, Any]:
    """What the settings come to, read anew in this process."""
    with mock.patch.dict(os.environ, environment(changes), clear=True):
        return runpy.run_path(str(ROOT / "wallet_project" / "settings.py"))


def test_a_deployment_check_finds_nothing() -> None:
    done = manage("check", "--deploy", "--fail-level", "WARNING")
    assert done.returncode == 0, done.stderr


def test_without_a_secret_key_it_does_not_start() -> None:
    done = manage("check", SECRET_KEY=None)
    assert done.returncode != 0
    assert "SECRET_KEY" in done.stderr


def test_with_everything_it_starts_in_production() -> None:
    assert settings_with()["DEBUG"] is False


@pytest.mark.parametrize("provider", ["IDENTITY", "BANK"])
@pytest.mark.parametrize("setting", ["URL", "API_KEY", "WEBHOOK_SECRET"])
def test_without_providers_it_does_not_start_in_production(provider: str, setting: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="BANK_URL"):
        settings_with(**{f"{provider}_{setting}": None})


def test_a_rail_of_ones_own_needs_no_address_of_a_bank() -> None:
    found = settings_with(PAYMENT_RAIL="some.bank.rail", BANK_URL=None, BANK_API_KEY=None)
    assert found["PAYMENT_RAIL"] == "some.bank.rail"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("SCREENING_LIMITS", '{"EUR": {"singel_amount": 1000000}}', "SCREENING_LIMITS['EUR']"),
        ("SCREENING_LIMITS", '{"EUR": 1000000}', "SCREENING_LIMITS['EUR']"),
        ("SCREENING_LIMITS", '{"EURO": {"single_amount": 1000000}}', "EURO"),
        ("SCREENING_LIMITS", "[]", "SCREENING_LIMITS"),
        ("FOUR_EYES_FROM", '{"EUR": "5000000"}', "FOUR_EYES_FROM['EUR']"),
        ("FOUR_EYES_FROM", '{"eur": 5000000}', "eur"),
        ("FEES", "[]", "FEES"),
        ("FEES", '{"deposit": {"EUR": [{"flat": 1}]}}', "deposit"),
        ("FEES", '{"transfer": {"EURO": [{"flat": 1}]}}', "EURO"),
        ("FEES", '{"transfer": {"EUR": {"flat": 1}}}', "FEES['transfer']['EUR'] is a list of bands"),
        ("FEES", '{"transfer": {"EUR": [{"flat": 0.5}]}}', "flat in a band of FEES['transfer']['EUR']"),
        ("FEES", '{"transfer": {"EUR": [{"basis_points": 10001}]}}', "basis_points in a band"),
        ("FEES", '{"transfer": {"EUR": [{"percent": 1}]}}', "percent"),
        ("FEES", '{"transfer": {"EUR": [{"min": 5, "max": 4}]}}', "a min above its max"),
        ("FEES", '{"transfer": {"EUR": [{"flat": 1}, {"flat": 2}]}}', "two bands that begin at the same amount"),
    ],
)
def test_a_limit_or_fee_that_is_none_is_said_before_anything_goes_by_it(
    name: str, value: str, said: str, settings: Any
) -> None:
    setattr(settings, name, json.loads(value))
    [error] = [message for message in checks.run_checks() if message.level >= checks.ERROR]
    assert said in str(error)


@pytest.mark.thorough
def test_a_limit_and_a_fee_that_are_none_stop_every_command() -> None:
    done = manage("check", SCREENING_LIMITS="[]", FEES="[]")
    assert done.returncode != 0
    assert "SCREENING_LIMITS" in done.stderr
    assert "FEES" in done.stderr
    assert "Traceback" not in done.stderr


MISTAKES = [
    ("PUBLIC_URL", "wallet.example"),
    ("PUBLIC_URL", "http://wallet.example"),
    ("CALLBACK_URL", "web:8000"),
    ("CALLBACK_URL", "http://web:8000"),
    ("BANK_URL", "bank.example"),
    ("IDENTITY_URL", "https://"),
    ("PAYMENT_RAIL", "ledger.rails.fax"),
    ("PAYMENT_RAIL", "fax"),
    ("BANK_WEBHOOK_SECRET", "hello"),
    ("IDENTITY_WEBHOOK_SECRET", "whsec_" + "aWRlbnRpdHkt" * 3 + ",whsec_old!"),
]


@pytest.mark.parametrize(("name", "value"), MISTAKES)
def test_a_deployment_check_names_what_only_others_would_notice(name: str, value: str, settings: Any) -> None:
    for correct in ("PUBLIC_URL", "CALLBACK_URL", "IDENTITY_URL", "BANK_URL"):
        setattr(settings, correct, PRODUCTION.get(correct, PRODUCTION["PUBLIC_URL"]))
    settings.SECURE_SSL_REDIRECT = True
    setattr(settings, name, value)
    found = [str(message) for message in checks.run_checks(include_deployment_checks=True)]
    mistakes = [message for message in found if "wallet.E001" in message]
    assert mistakes
    assert all(f"(wallet.E001) {name}" in mistake and "hello" not in mistake for mistake in mistakes)


@pytest.mark.thorough
def test_a_deployment_check_is_told_by_its_command() -> None:
    done = manage("check", "--deploy", PUBLIC_URL=None)
    assert done.returncode != 0
    assert "(wallet.E001) PUBLIC_URL" in done.stderr


@pytest.mark.thorough
def test_neither_web_nor_workers_start_with_a_mistake() -> None:
    for command in (
        ("-c", "import wallet_project.rsgi"),
        ("-m", "celery", "-A", "wallet_project", "worker", "--pool", "solo"),
    ):
        done = python(*command, BANK_WEBHOOK_SECRET="hello")
        assert done.returncode != 0
        assert "(wallet.E001) BANK_WEBHOOK_SECRET" in done.stderr


@pytest.mark.thorough
def test_commands_and_beat_keep_no_counters(tmp_path: Path) -> None:
    done = python("-c", "import wallet_project.celery, django; django.setup()", PROMETHEUS_MULTIPROC_DIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.thorough
def test_what_needs_no_provider_runs_without_one() -> None:
    for provider in ("IDENTITY", "BANK"):
        done = manage("check", **{f"{provider}_{name}": None for name in ("URL", "API_KEY", "WEBHOOK_SECRET")})
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("SELF_AUDIT_HOUR", "24", "SELF_AUDIT_HOUR is an hour"),
        ("THROTTLE_RATES", '{"user": "many"}', r"THROTTLE_RATES\['user'\] is a rate like 600/min"),
        ("DATABASE_URL", None, "make run"),
    ],
)
def test_a_setting_that_can_not_be_is_said(name: str, value: str | None, said: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=said):
        settings_with(**{name: value})


@pytest.mark.parametrize("own", [[], {"usr": "5/s"}, {"user": 5}, {"user": "0/s"}, {"user": "5/week"}])
def test_rates_are_for_scopes_that_there_are_and_say_how_often(own: Any) -> None:
    with pytest.raises(ImproperlyConfigured, match="THROTTLE_RATES"):
        throttle_rates(own)


def test_a_rate_of_ones_own_replaces_one_and_leaves_the_others() -> None:
    assert throttle_rates({"user": "5/s"}) == {**THROTTLE_RATES, "user": "5/s"}
