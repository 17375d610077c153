"""Who has paid money in is looked for on the lists, and what was found stays as it was found."""

import django.db.models.deletion
import django.db.models.functions.datetime
import django_fsm
from django.db import migrations, models

import wallet_project.utils.ids
from wallet_project.utils.roles import give_to_roles
from wallet_project.utils.sql_files import keep_rows, release_rows
from wallet_project.utils.transitions import drop_state_trigger_sql, state_trigger_sql

# A copy of what the model declares; tests/test_state_machines.py compares it with the trigger in the database.
PAYER_SCREENING = [("in_review", "let_through"), ("in_review", "refused")]
ROLES = {role: ["view_payerscreening"] for role in ("Officer", "Senior officer", "Auditor", "Administrator")}


class Migration(migrations.Migration):
    dependencies = [
        ("compliance", "0012_risk"),
        ("ledger", "0005_many"),
    ]

    operations = [
        migrations.CreateModel(
            name="PayerScreening",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=wallet_project.utils.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("asked", models.JSONField(help_text="name, iban and country")),
                (
                    "versions",
                    models.JSONField(help_text="ids of the versions that were looked at; null: unreadable", null=True),
                ),
                ("threshold", models.PositiveSmallIntegerField(help_text="the score from which on a match counts")),
                (
                    "status",
                    django_fsm.FSMField(
                        choices=[
                            ("clear", "Clear"),
                            ("shown", "shown on its case"),
                            ("in_review", "in review"),
                            ("let_through", "let through"),
                            ("refused", "Refused"),
                        ],
                        default="clear",
                        max_length=50,
                    ),
                ),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("decided_at", models.DateTimeField(null=True)),
            ],
            options={
                "default_permissions": ("view",),
            },
        ),
        migrations.RemoveConstraint(
            model_name="case",
            name="case_has_one_subject",
        ),
        migrations.AlterField(
            model_name="destinationmatch",
            name="screening",
            field=models.ForeignKey(
                help_text="of a payout",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="matches",
                to="compliance.screening",
            ),
        ),
        migrations.AddField(
            model_name="payerscreening",
            name="escalation",
            field=models.OneToOneField(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="payer_screening",
                to="ledger.escalation",
            ),
        ),
        migrations.AddField(
            model_name="payerscreening",
            name="transaction",
            field=models.OneToOneField(
                help_text="the deposit",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="payer_screening",
                to="ledger.transaction",
            ),
        ),
        migrations.AddField(
            model_name="case",
            name="payer_screening",
            field=models.OneToOneField(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="case",
                to="compliance.payerscreening",
            ),
        ),
        migrations.AddField(
            model_name="destinationmatch",
            name="payer_screening",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="matches",
                to="compliance.payerscreening",
            ),
        ),
        migrations.AddConstraint(
            model_name="case",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("escalation__isnull", True),
                        ("kyc_check__isnull", False),
                        ("name_screening__isnull", True),
                        ("payer_screening__isnull", True),
                        ("screening__isnull", True),
                    ),
                    models.Q(
                        ("escalation__isnull", True),
                        ("kyc_check__isnull", True),
                        ("name_screening__isnull", True),
                        ("payer_screening__isnull", True),
                        ("screening__isnull", False),
                    ),
                    models.Q(
                        ("escalation__isnull", False),
                        ("kyc_check__isnull", True),
                        ("name_screening__isnull", True),
                        ("payer_screening__isnull", True),
                        ("screening__isnull", True),
                    ),
                    models.Q(
                        ("escalation__isnull", True),
                        ("kyc_check__isnull", True),
                        ("name_screening__isnull", False),
                        ("payer_screening__isnull", True),
                        ("screening__isnull", True),
                    ),
                    models.Q(
                        ("escalation__isnull", True),
                        ("kyc_check__isnull", True),
                        ("name_screening__isnull", True),
                        ("payer_screening__isnull", False),
                        ("screening__isnull", True),
                    ),
                    _connector="OR",
                ),
                name="case_has_one_subject",
            ),
        ),
        migrations.AddConstraint(
            model_name="destinationmatch",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("payer_screening__isnull", True), ("screening__isnull", False)),
                    models.Q(("payer_screening__isnull", False), ("screening__isnull", True)),
                    _connector="OR",
                ),
                name="destination_match_has_one_subject",
            ),
        ),
        migrations.AddConstraint(
            model_name="payerscreening",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("escalation__isnull", True), ("transaction__isnull", False)),
                    models.Q(("escalation__isnull", False), ("transaction__isnull", True)),
                    _connector="OR",
                ),
                name="payer_screening_has_one_subject",
            ),
        ),
        migrations.RunSQL(
            state_trigger_sql("compliance_payerscreening", "status", ["clear", "shown", "in_review"], PAYER_SCREENING),
            drop_state_trigger_sql("compliance_payerscreening", "status"),
        ),
        migrations.RunSQL(
            keep_rows("compliance_payerscreening", also_updates=False), release_rows("compliance_payerscreening")
        ),
        give_to_roles("compliance", ROLES),
    ]
