"""What each self-audit found, kept; who may read it and ask for one."""

import django.core.serializers.json
import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

import wallet_project.utils.ids
from wallet_project.utils.roles import give_to_roles
from wallet_project.utils.sql_files import keep_rows, release_rows

ROLES = {
    "Officer": ["view_selfaudit"],
    "Senior officer": ["view_selfaudit", "ask_self_audit"],
    "Auditor": ["view_selfaudit", "ask_self_audit"],
    "Administrator": ["view_selfaudit", "ask_self_audit"],
}


class Migration(migrations.Migration):
    dependencies = [("accounts", "0002_guards"), ("compliance", "0003_staff_roles")]
    operations = [
        migrations.CreateModel(
            name="SelfAudit",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=wallet_project.utils.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("began_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("complete", models.BooleanField(help_text="every check could be read")),
                ("failing", models.PositiveIntegerField(help_text="checks with findings")),
                (
                    "results",
                    models.JSONField(
                        encoder=django.core.serializers.json.DjangoJSONEncoder,
                        help_text="[{app, check, title, holds, unread, figures, offending}]",
                    ),
                ),
                (
                    "asked_by",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="accounts.principal",
                    ),
                ),
            ],
            options={
                "verbose_name": "self-audit",
                "ordering": ["-id"],
                "permissions": [("ask_self_audit", "Can have the books audited now")],
                "default_permissions": ("view",),
            },
        ),
        migrations.RunSQL(keep_rows("compliance_selfaudit", also_updates=True), release_rows("compliance_selfaudit")),
        give_to_roles("compliance", ROLES),
    ]
