"""Posting many units in one round trip."""

from pathlib import Path

from django.db import migrations

from wallet_project.utils.sql_files import install

APP = Path(__file__).resolve().parent.parent


class Migration(migrations.Migration):
    dependencies = [("ledger", "0004_staff")]
    operations = [
        install(
            APP,
            "post_many.sql",
            undo="""
                DROP FUNCTION ledger_post_many; DROP FUNCTION ledger_refuse_all; DROP FUNCTION ledger_unfunded;
                DROP FUNCTION ledger_answered; DROP FUNCTION ledger_reasons;
                DROP TYPE ledger_reason; DROP TYPE ledger_asked;
            """,
        )
    ]
