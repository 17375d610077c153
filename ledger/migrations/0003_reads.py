"""What reads need: where an account stood at an instant, and the indexes of lists and of balances in the past."""

from pathlib import Path

from django.db import migrations, models
from django.db.models import F, Func, Q, SmallIntegerField
from django.db.models.lookups import Exact

from wallet_project.utils.sql_files import install

APP = Path(__file__).resolve().parent.parent
WAIT = Func(F("created_at"), F("cleared_at"), F("failed_at"), function="ledger_wait", output_field=SmallIntegerField())


class Migration(migrations.Migration):
    dependencies = [("ledger", "0002_guards")]
    operations = [
        install(
            APP,
            "reads.sql",
            undo="DROP FUNCTION ledger_position(uuid, timestamptz);"
            "DROP FUNCTION ledger_wait(timestamptz, timestamptz, timestamptz);",
        ),
        migrations.AddConstraint(
            "transaction",
            models.CheckConstraint(name="transaction_waited_as_long", condition=Q(Exact(F("waited"), WAIT))),
        ),
        migrations.AddIndex(
            "transaction",
            models.Index(
                fields=["debit_account", "waited", "created_at"],
                condition=~Q(kind="deposit") & Q(waited__gt=0),
                name="transaction_outlasting",
            ),
        ),
        migrations.AddIndex(
            "transaction",
            models.Index(
                fields=["debit_account", "reference", "id"],
                condition=~Q(reference=""),
                name="transaction_debit_reference",
            ),
        ),
        migrations.AddIndex(
            "transaction",
            models.Index(
                fields=["credit_account", "reference", "id"],
                condition=~Q(reference=""),
                name="transaction_credit_reference",
            ),
        ),
    ]
