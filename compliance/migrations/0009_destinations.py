"""What came of looking for payees on the lists, which stays as it was found."""

from typing import Any

import django.db.models.deletion
import django.db.models.functions.datetime
from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import migrations, models

from wallet_project.utils.sql_files import keep_rows, release_rows


def give_to_roles(apps: Any, schema_editor: Any) -> None:
    using = schema_editor.connection.alias
    create_permissions(installed.get_app_config("compliance"), verbosity=0, interactive=False, using=using, apps=apps)
    seen = apps.get_model("auth", "Permission").objects.using(using)
    (view,) = seen.filter(content_type__app_label="compliance", codename="view_destinationmatch")
    for group in (
        apps.get_model("auth", "Group")
        .objects.using(using)
        .filter(name__in=["Officer", "Senior officer", "Auditor", "Administrator"])
    ):
        group.permissions.add(view)


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
        migrations.RunPython(give_to_roles, migrations.RunPython.noop),
    ]
