"""Triggers that hold the state machines of decisions, and keep what was decided."""

from django.db import migrations

from wallet_project.utils.sql_files import keep_rows, release_rows
from wallet_project.utils.transitions import drop_state_trigger_sql, state_trigger_sql

LOGS = ("compliance_statechange", "compliance_decision", "compliance_casenote")
ROWS = ("compliance_kyccheck", "compliance_screening", "compliance_case", "compliance_inboundevent")

# A copy of what the models declare; tests/test_state_machines.py compares them with the triggers in the database.
CHECK = [
    ("queued", "running"),
    ("running", "approved"),
    ("running", "rejected"),
    ("running", "in_review"),
    ("in_review", "approved"),
    ("in_review", "rejected"),
]
SCREENING = [("in_review", "approved"), ("in_review", "rejected")]
CASE = [
    ("open", "in_progress"),
    ("in_progress", "open"),
    ("in_progress", "awaiting_approval"),
    ("awaiting_approval", "in_progress"),
    ("in_progress", "resolved"),
    ("awaiting_approval", "resolved"),
]


class Migration(migrations.Migration):
    dependencies = [("compliance", "0001_initial"), ("accounts", "0002_guards")]
    operations = [
        migrations.RunSQL(
            state_trigger_sql("compliance_kyccheck", "status", ["queued"], CHECK),
            drop_state_trigger_sql("compliance_kyccheck", "status"),
        ),
        migrations.RunSQL(
            # A screening that waits or is under way is its work item; the row is born as it was decided.
            state_trigger_sql("compliance_screening", "status", ["approved", "rejected", "in_review"], SCREENING),
            drop_state_trigger_sql("compliance_screening", "status"),
        ),
        migrations.RunSQL(
            state_trigger_sql("compliance_case", "status", ["open"], CASE),
            drop_state_trigger_sql("compliance_case", "status"),
        ),
        migrations.RunSQL(
            [keep_rows(table, also_updates=True) for table in LOGS]
            + [keep_rows(table, also_updates=False) for table in ROWS],
            [release_rows(table) for table in LOGS + ROWS],
        ),
    ]
