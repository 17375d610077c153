"""How much is known of a customer."""

import django.db.models.deletion
import django.db.models.functions.datetime
import django_fsm
from django.db import migrations, models

import wallet_project.utils.ids
from wallet_project.utils.sql_files import keep_rows, release_rows
from wallet_project.utils.transitions import state_trigger_sql

# A copy of what the model declares; tests/test_state_machines.py compares it with the trigger in the database.
LEVEL = [("basic", "full"), ("full", "basic")]


class Migration(migrations.Migration):
    dependencies = [("accounts", "0004_verified_until")]
    operations = [
        migrations.CreateModel(
            name="CustomerLevel",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=wallet_project.utils.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "level",
                    django_fsm.FSMField(choices=[("basic", "Basic"), ("full", "Full")], default="basic", max_length=50),
                ),
                (
                    "limits",
                    models.CharField(blank=True, help_text="which limits were set for it; empty: none", max_length=16),
                ),
                ("changed_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "customer",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT, related_name="level", to="accounts.customer"
                    ),
                ),
            ],
            options={
                "verbose_name": "level",
                "permissions": [("lower_level", "Can take a customer back to the basic level")],
                "default_permissions": ("view",),
                "indexes": [models.Index(fields=["level", "limits"], name="level_by_its_limits")],
            },
        ),
        migrations.RunSQL(
            state_trigger_sql("accounts_customerlevel", "level", ["basic"], LEVEL),
            "DROP TRIGGER accounts_customerlevel_level_is_legal ON accounts_customerlevel",
        ),
        migrations.RunSQL(
            keep_rows("accounts_customerlevel", also_updates=False), release_rows("accounts_customerlevel")
        ),
    ]
