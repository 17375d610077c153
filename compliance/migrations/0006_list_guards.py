"""Triggers that keep lists, their versions and what was found on them; who may see them and who may bring them into
force."""

from django.db import migrations

from wallet_project.utils.roles import give_to_roles
from wallet_project.utils.sql_files import keep_rows, release_rows
from wallet_project.utils.transitions import drop_state_trigger_sql, state_trigger_sql

LOGS = (
    "compliance_sanctionsentry", "compliance_sanctionsname", "compliance_listchange", "compliance_listindex",
    "compliance_listdecision", "compliance_namematch",
)  # fmt: skip
ROWS = (
    "compliance_sanctionslist", "compliance_listversion", "compliance_namescreening", "compliance_rescreening",
)  # fmt: skip

# A copy of what the models declare; tests/test_state_machines.py compares them with the triggers in the database.
VERSION = [("imported", "active"), ("retired", "active"), ("active", "retired")]
NAME_SCREENING = [("in_review", "cleared"), ("in_review", "confirmed"), ("in_review", "outdated")]

VIEW = [
    "view_sanctionslist", "view_listversion", "view_sanctionsentry", "view_sanctionsname", "view_listchange",
    "view_listdecision", "view_namescreening", "view_namematch", "view_rescreening",
]  # fmt: skip
ROLES = {
    "Officer": [*VIEW, "activate_list"],
    "Senior officer": [*VIEW, "activate_list", "approve_list"],
    "Auditor": VIEW,
    "Administrator": VIEW,
}


class Migration(migrations.Migration):
    dependencies = [("compliance", "0005_lists")]
    operations = [
        migrations.RunSQL(
            state_trigger_sql("compliance_listversion", "status", ["imported"], VERSION),
            drop_state_trigger_sql("compliance_listversion", "status"),
        ),
        migrations.RunSQL(
            state_trigger_sql("compliance_namescreening", "status", ["clear", "in_review"], NAME_SCREENING),
            drop_state_trigger_sql("compliance_namescreening", "status"),
        ),
        migrations.RunSQL(
            [keep_rows(table, also_updates=True) for table in LOGS]
            + [keep_rows(table, also_updates=False) for table in ROWS],
            [release_rows(table) for table in LOGS + ROWS],
        ),
        give_to_roles("compliance", ROLES),
    ]
