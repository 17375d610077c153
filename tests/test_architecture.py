"""The house stands as designed: layers, and keys that point downwards only."""

import subprocess
import sys
from pathlib import Path

import pytest
from django.apps import apps

ROOT = Path(__file__).resolve().parent.parent
ORDER = ["accounts", "ledger", "compliance"]


def test_the_import_contracts_hold() -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_foreign_keys_point_downwards_only() -> None:
    for label in ORDER:
        for model in apps.get_app_config(label).get_models():
            for field in model._meta.concrete_fields:
                target = field.related_model
                if target is not None and target._meta.app_label in ORDER:  # type: ignore[union-attr]
                    assert ORDER.index(target._meta.app_label) <= ORDER.index(label), field  # type: ignore[union-attr]


@pytest.mark.django_db
def test_the_models_and_the_migrations_agree() -> None:
    from django.core.management import call_command

    call_command("makemigrations", "--check", "--dry-run", "chain", "accounts", "ledger", "compliance", verbosity=0)
