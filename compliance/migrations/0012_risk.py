"""Customers' risk: the first weights, what keeps them and its history, and who may read, draft and agree."""

from pathlib import Path
from typing import Any

import django.db.models.deletion
import django.db.models.functions.datetime
import django_fsm
from django.db import migrations, models

import wallet_project.utils.ids
from compliance.risk import DEFAULT_WEIGHTS
from wallet_project.utils.context import SYSTEM_PRINCIPAL_ID
from wallet_project.utils.roles import give_to_roles
from wallet_project.utils.sql_files import install, keep_rows, release_rows
from wallet_project.utils.transitions import state_trigger_sql

APP = Path(__file__).resolve().parent.parent
# A copy of what the model declares; tests/test_state_machines.py compares it with the trigger in the database.
WEIGHTS = [("draft", "active"), ("draft", "retired"), ("active", "retired")]
LOGS = ("compliance_riskagreement", "compliance_riskscore")
ROWS = ("compliance_riskweights", "compliance_customerrisk")
VIEW = ["view_riskweights", "view_riskagreement", "view_customerrisk", "view_riskscore"]
ROLES = {
    "Officer": [*VIEW, "edit_risk"],
    "Senior officer": [*VIEW, "edit_risk", "approve_risk"],
    "Auditor": VIEW,
    "Administrator": VIEW,
}


def install_default_weights(apps: Any, schema_editor: Any) -> None:
    """Before the triggers are there: nobody has agreed to what a new wallet starts with."""
    using = schema_editor.connection.alias
    reason = "what a new wallet starts with"
    weights = (
        apps.get_model("compliance", "RiskWeights")
        .objects.using(using)
        .create(number=1, weights=DEFAULT_WEIGHTS, status="active", author_id=SYSTEM_PRINCIPAL_ID, reason=reason)
    )
    for before, after in (("", "draft"), ("draft", "active")):
        apps.get_model("compliance", "StateChange").objects.using(using).create(
            machine="riskweights",
            subject_id=weights.id,
            from_state=before,
            to_state=after,
            actor_id=SYSTEM_PRINCIPAL_ID,
            reason=reason,
        )


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0005_levels"),
        ("compliance", "0011_documents"),
    ]

    operations = [
        migrations.CreateModel(
            name="RiskWeights",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=wallet_project.utils.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("number", models.PositiveIntegerField(unique=True)),
                (
                    "weights",
                    models.JSONField(help_text="compliance/risk.py has the form; docs/kyc.md says what each means"),
                ),
                (
                    "status",
                    django_fsm.FSMField(
                        choices=[("draft", "Draft"), ("active", "Active"), ("retired", "Retired")],
                        default="draft",
                        max_length=50,
                    ),
                ),
                ("reason", models.CharField(max_length=500)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "author",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="accounts.principal",
                    ),
                ),
            ],
            options={
                "verbose_name": "version of the risk weights",
                "verbose_name_plural": "risk weights",
                "ordering": ["-number"],
                "permissions": [
                    ("edit_risk", "Can draft what counts how much for a customer's risk"),
                    ("approve_risk", "Can bring another's draft of the risk weights into force"),
                ],
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="RiskScore",
            fields=[
                ("score", models.PositiveSmallIntegerField(default=0, help_text="of 100")),
                (
                    "band",
                    models.CharField(
                        choices=[("low", "Low"), ("medium", "Medium"), ("high", "High")], default="low", max_length=6
                    ),
                ),
                (
                    "parts",
                    models.JSONField(default=list, help_text="[{part, points, because}], which add up to the score"),
                ),
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "customer",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="accounts.customer",
                    ),
                ),
                (
                    "weights",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="compliance.riskweights",
                    ),
                ),
            ],
            options={
                "ordering": ["id"],
                "abstract": False,
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="RiskAgreement",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("reason", models.CharField(max_length=500)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "checker",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="accounts.principal",
                    ),
                ),
                (
                    "maker",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="accounts.principal",
                    ),
                ),
                (
                    "weights",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="agreement",
                        to="compliance.riskweights",
                    ),
                ),
            ],
            options={
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="CustomerRisk",
            fields=[
                ("score", models.PositiveSmallIntegerField(default=0, help_text="of 100")),
                (
                    "band",
                    models.CharField(
                        choices=[("low", "Low"), ("medium", "Medium"), ("high", "High")], default="low", max_length=6
                    ),
                ),
                (
                    "parts",
                    models.JSONField(default=list, help_text="[{part, points, because}], which add up to the score"),
                ),
                (
                    "id",
                    models.UUIDField(
                        default=wallet_project.utils.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "next_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), help_text="when it is found out again"
                    ),
                ),
                (
                    "customer",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT, related_name="risk", to="accounts.customer"
                    ),
                ),
                (
                    "weights",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="compliance.riskweights",
                    ),
                ),
            ],
            options={
                "verbose_name": "customer's risk",
                "abstract": False,
                "default_permissions": ("view",),
            },
        ),
        migrations.AddConstraint(
            model_name="riskweights",
            constraint=models.UniqueConstraint(
                condition=models.Q(("status", "active")), fields=("status",), name="risk_weights_one_in_force"
            ),
        ),
        migrations.AddIndex(
            model_name="riskscore",
            index=models.Index(fields=["customer", "id"], name="risk_score_by_customer"),
        ),
        migrations.AddConstraint(
            model_name="riskagreement",
            constraint=models.CheckConstraint(
                condition=models.Q(("checker", models.F("maker")), _negated=True), name="risk_checker_is_not_the_maker"
            ),
        ),
        migrations.AddIndex(
            model_name="customerrisk",
            index=models.Index(fields=["next_at"], name="customer_risk_due"),
        ),
        migrations.RunPython(install_default_weights, migrations.RunPython.noop),
        migrations.RunSQL("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED", migrations.RunSQL.noop),
        install(
            APP,
            "risk.sql",
            undo="""
                DROP TRIGGER risk_weights_are_as_agreed ON compliance_riskweights;
                DROP FUNCTION risk_weights_are_as_agreed();
            """,
        ),
        migrations.RunSQL(
            state_trigger_sql("compliance_riskweights", "status", ["draft"], WEIGHTS),
            "DROP TRIGGER compliance_riskweights_status_is_legal ON compliance_riskweights",
        ),
        migrations.RunSQL(
            [keep_rows(table, also_updates=True) for table in LOGS]
            + [keep_rows(table, also_updates=False) for table in ROWS],
            [release_rows(table) for table in LOGS + ROWS],
        ),
        give_to_roles("compliance", ROLES),
    ]
