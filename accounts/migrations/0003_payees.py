"""Whom customers pay and by what names they are found: the tables, and the triggers that keep what was used once."""

from pathlib import Path

import django.db.models.deletion
import django.db.models.functions.datetime
import django_fsm
from django.db import migrations, models

import wallet_project.utils.ids
from wallet_project.utils.sql_files import install, keep_rows, release_rows
from wallet_project.utils.transitions import drop_state_trigger_sql, state_trigger_sql

APP = Path(__file__).resolve().parent.parent
TABLES = ("accounts_beneficiary", "accounts_handle")


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0002_guards"),
    ]

    operations = [
        migrations.CreateModel(
            name="Beneficiary",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=wallet_project.utils.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("iban", models.CharField(help_text="ISO 13616, without spaces", max_length=34)),
                ("holder", models.CharField(help_text="of the bank account", max_length=140)),
                ("label", models.CharField(blank=True, help_text="the customer's own name for it", max_length=60)),
                (
                    "status",
                    django_fsm.FSMField(
                        choices=[("kept", "Kept"), ("removed", "Removed")], default="kept", max_length=50
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False),
                ),
                ("removed_at", models.DateTimeField(blank=True, editable=False, null=True)),
                (
                    "customer",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="beneficiaries",
                        to="accounts.customer",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "beneficiaries",
                "default_permissions": ("view",),
                "indexes": [models.Index(fields=["customer", "id"], name="beneficiary_by_customer")],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("removed_at__isnull", True)),
                        fields=("customer", "iban"),
                        name="beneficiary_kept_once",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("iban__regex", "^[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}$")),
                        name="beneficiary_iban_has_its_form",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("removed_at__isnull", True), ("status", "kept")),
                            models.Q(("removed_at__isnull", False), ("status", "removed")),
                            _connector="OR",
                        ),
                        name="beneficiary_removed_at_a_time",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Handle",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=wallet_project.utils.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("handle", models.CharField(help_text="small letters of ASCII, digits, '_' and '.'", max_length=30)),
                (
                    "status",
                    django_fsm.FSMField(
                        choices=[("held", "Held"), ("given_up", "Given Up")], default="held", max_length=50
                    ),
                ),
                (
                    "claimed_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False),
                ),
                ("given_up_at", models.DateTimeField(blank=True, editable=False, null=True)),
                (
                    "customer",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="handles",
                        to="accounts.customer",
                    ),
                ),
            ],
            options={
                "default_permissions": ("view",),
                "indexes": [
                    models.Index(fields=["customer", "id"], name="handle_by_customer"),
                    models.Index(fields=["handle"], name="handle_by_name"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("given_up_at__isnull", True)),
                        fields=("handle",),
                        name="handle_belongs_to_one_customer",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("given_up_at__isnull", True)),
                        fields=("customer",),
                        name="handle_one_per_customer",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("handle__regex", "^[a-z][a-z0-9_.]{2,29}$")), name="handle_has_its_form"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("given_up_at__isnull", True), ("status", "held")),
                            models.Q(("given_up_at__isnull", False), ("status", "given_up")),
                            _connector="OR",
                        ),
                        name="handle_given_up_at_a_time",
                    ),
                ],
            },
        ),
        install(
            APP,
            "payees.sql",
            undo="""
                DROP TRIGGER handle_rests_before_it_changes_hands ON accounts_handle;
                DROP TRIGGER handle_is_immutable ON accounts_handle;
                DROP TRIGGER beneficiary_is_immutable ON accounts_beneficiary;
                DROP FUNCTION handle_rests_before_it_changes_hands(); DROP FUNCTION handle_is_immutable();
                DROP FUNCTION beneficiary_is_immutable();
            """,
        ),
        migrations.RunSQL(
            state_trigger_sql("accounts_beneficiary", "status", ["kept"], [("kept", "removed")]),
            drop_state_trigger_sql("accounts_beneficiary", "status"),
        ),
        migrations.RunSQL(
            state_trigger_sql("accounts_handle", "status", ["held"], [("held", "given_up")]),
            drop_state_trigger_sql("accounts_handle", "status"),
        ),
        migrations.RunSQL(
            [keep_rows(table, also_updates=False) for table in TABLES], [release_rows(table) for table in TABLES]
        ),
    ]
