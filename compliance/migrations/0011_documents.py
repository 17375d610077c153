"""What customers send to show who they are, which nobody changes; and checks of the full level, which go by it."""

from pathlib import Path

import django.db.models.deletion
import django.db.models.functions.datetime
import django_fsm
from django.conf import settings
from django.db import migrations, models

import wallet_project.utils.ids
from wallet_project.utils.roles import give_to_roles
from wallet_project.utils.sql_files import install, keep_rows, release_rows
from wallet_project.utils.transitions import state_trigger_sql

APP = Path(__file__).resolve().parent.parent
# A copy of what the model declares; tests/test_state_machines.py compares it with the trigger in the database.
DOCUMENT = [
    ("received", "accepted"),
    ("received", "rejected"),
    ("received", "expired"),
    ("accepted", "rejected"),
    ("accepted", "expired"),
]
VIEW = ["view_document", "view_documentaccess"]
WORK = ["download_document", "reject_document"]
ROLES = {"Officer": [*VIEW, *WORK], "Senior officer": [*VIEW, *WORK], "Auditor": VIEW, "Administrator": VIEW}


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0005_levels"),
        ("compliance", "0010_levels"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Document",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=wallet_project.utils.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("passport", "Passport"),
                            ("id_card", "identity card"),
                            ("driving_licence", "driving licence"),
                            ("residence_permit", "residence permit"),
                            ("proof_of_address", "proof of address"),
                            ("source_of_funds", "source of funds"),
                        ],
                        max_length=20,
                    ),
                ),
                (
                    "expires_on",
                    models.DateField(
                        blank=True, help_text="the last day on which it is valid; null: no end", null=True
                    ),
                ),
                ("media_type", models.CharField(help_text="by its first bytes, whatever it was called", max_length=40)),
                ("size", models.PositiveIntegerField(help_text="bytes")),
                ("sha256", models.CharField(help_text="of the file, hexadecimal", max_length=64)),
                (
                    "status",
                    django_fsm.FSMField(
                        choices=[
                            ("received", "Received"),
                            ("accepted", "Accepted"),
                            ("rejected", "Rejected"),
                            ("expired", "Expired"),
                        ],
                        default="received",
                        max_length=50,
                    ),
                ),
                (
                    "reason",
                    models.CharField(blank=True, help_text="why it was rejected; the customer sees it", max_length=200),
                ),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False),
                ),
                ("decided_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "permissions": [
                    ("download_document", "Can download what customers have sent"),
                    ("reject_document", "Can reject what a customer has sent"),
                ],
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="DocumentAccess",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("request_id", models.CharField(blank=True, max_length=64)),
                ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "verbose_name": "look at a document",
                "verbose_name_plural": "looks at documents",
                "ordering": ["id"],
                "default_permissions": ("view",),
            },
        ),
        migrations.RemoveConstraint(
            model_name="kyccheck",
            name="kyc_check_one_at_a_time",
        ),
        migrations.AddField(
            model_name="kyccheck",
            name="level",
            field=models.CharField(
                choices=[("basic", "Basic"), ("full", "Full")],
                default="basic",
                help_text="what it is about",
                max_length=10,
            ),
        ),
        migrations.AddField(
            model_name="document",
            name="customer",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="documents",
                to="accounts.customer",
            ),
        ),
        migrations.AddField(
            model_name="kyccheck",
            name="documents",
            field=models.ManyToManyField(
                help_text="that were sent for it", related_name="checks", to="compliance.document"
            ),
        ),
        migrations.AddConstraint(
            model_name="kyccheck",
            constraint=models.UniqueConstraint(
                condition=models.Q(("status__in", ["queued", "running", "in_review"])),
                fields=("customer", "level"),
                name="kyc_check_one_at_a_time",
            ),
        ),
        migrations.AddField(
            model_name="documentaccess",
            name="document",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="accesses", to="compliance.document"
            ),
        ),
        migrations.AddField(
            model_name="documentaccess",
            name="user",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
            ),
        ),
        migrations.AddIndex(
            model_name="document",
            index=models.Index(fields=["customer", "id"], name="document_by_customer"),
        ),
        migrations.AddIndex(
            model_name="document",
            index=models.Index(
                condition=models.Q(("expires_on__isnull", False), ("status__in", ["received", "accepted"])),
                fields=["expires_on"],
                name="document_runs_out",
            ),
        ),
        migrations.AddConstraint(
            model_name="document",
            constraint=models.UniqueConstraint(fields=("customer", "sha256"), name="document_kept_once"),
        ),
        migrations.AddConstraint(
            model_name="document",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("kind__in", ["passport", "id_card", "driving_licence", "residence_permit"]), _negated=True
                    ),
                    ("expires_on__isnull", False),
                    _connector="OR",
                ),
                name="document_of_identity_has_an_end",
            ),
        ),
        migrations.AddConstraint(
            model_name="document",
            constraint=models.CheckConstraint(
                condition=models.Q(("sha256__regex", "^[0-9a-f]{64}$")), name="document_hash_has_its_form"
            ),
        ),
        install(
            APP,
            "documents.sql",
            undo="""
                DROP TRIGGER document_is_immutable ON compliance_document;
                DROP FUNCTION document_is_immutable();
            """,
        ),
        migrations.RunSQL(
            state_trigger_sql("compliance_document", "status", ["received"], DOCUMENT),
            "DROP TRIGGER compliance_document_status_is_legal ON compliance_document",
        ),
        migrations.RunSQL(
            [
                keep_rows("compliance_document", also_updates=False),
                keep_rows("compliance_documentaccess", also_updates=True),
                keep_rows("compliance_kyccheck_documents", also_updates=True),
            ],
            [
                release_rows("compliance_document"),
                release_rows("compliance_documentaccess"),
                release_rows("compliance_kyccheck_documents"),
            ],
        ),
        give_to_roles("compliance", ROLES),
    ]
