"""What staff's movements need besides."""

from pathlib import Path

from django.db import migrations

from wallet_project.utils.sql_files import install

APP = Path(__file__).resolve().parent.parent


class Migration(migrations.Migration):
    dependencies = [("ledger", "0003_reads")]
    operations = [install(APP, "staff.sql", undo="DROP FUNCTION ledger_lock_transaction;")]
