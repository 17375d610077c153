"""What came of looking for payees on the lists, which stays as it was found."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

from wallet_project.utils.roles import give_to_roles
from wallet_project.utils.sql_files import keep_rows, release_rows

ROLES = {role: ["view_destinationmatch"] for role in ("Officer", "Senior officer", "Auditor", "Administrator")}


class Migration(migrations.Migration):
    dependencies = [("compliance", "0008_rule_guards")]
    operations = [
        migrations.CreateModel(
            name="DestinationMatch",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                (
                    "asked_hash",
                    models.BinaryField(db_index=True, help_text="of the name and the IBAN", max_length=32),
                ),
                ("score", models.PositiveSmallIntegerField()),
                (
                    "explanation",
                    models.JSONField(
                        help_text="which words of the two names met with which score, what raised or lowered it"
                    ),
                ),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "entry",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="compliance.sanctionsentry",
                    ),
                ),
                (
                    "screening",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="matches",
                        to="compliance.screening",
                    ),
                ),
                (
                    "version",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="compliance.listversion",
                    ),
                ),
            ],
            options={"default_permissions": ("view",), "ordering": ["id"]},
        ),
        migrations.RunSQL(
            keep_rows("compliance_destinationmatch", also_updates=True),
            release_rows("compliance_destinationmatch"),
        ),
        give_to_roles("compliance", ROLES),
    ]
