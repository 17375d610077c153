"""Triggers that hold the state machines and keep what must not change; the principal that is the system."""

from pathlib import Path

from django.db import migrations

from wallet_project.utils.sql_files import install, keep_rows, release_rows
from wallet_project.utils.transitions import drop_state_trigger_sql, state_trigger_sql

APP = Path(__file__).resolve().parent.parent
LOGS = ("accounts_statechange", "accounts_profileversion", "accounts_idempotencyclaim")
ROWS = ("accounts_account", "accounts_customer", "accounts_principal")

# A copy of what the models declare; tests/test_state_machines.py compares them with the trigger in the database.
CUSTOMER = [
    ("unverified", "pending"),
    ("verified", "pending"),
    ("expired", "pending"),
    ("rejected", "pending"),
    ("pending", "verified"),
    ("pending", "rejected"),
    ("verified", "expired"),
]
ACCOUNT = [
    ("requested", "open"),
    ("requested", "rejected"),
    ("open", "frozen"),
    ("frozen", "open"),
    ("open", "closed"),
    ("frozen", "closed"),
]
SYSTEM_PRINCIPAL = "00000000-0000-7000-8000-000000000001"


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial")]
    operations = [
        install(
            APP,
            "guards.sql",
            undo="""
                DROP TRIGGER key_has_its_principal ON accounts_idempotencyclaim;
                DROP FUNCTION key_has_its_principal();
                DROP TRIGGER principal_keeps_its_id ON accounts_principal;
                DROP TRIGGER account_keeps_its_currency ON accounts_account;
                DROP TRIGGER account_starts_empty ON accounts_account;
                DROP FUNCTION account_starts_empty(); DROP FUNCTION refuse_change(); DROP FUNCTION check_state();
            """,
        ),
        migrations.RunSQL(
            state_trigger_sql("accounts_customer", "kyc_status", ["unverified"], CUSTOMER),
            drop_state_trigger_sql("accounts_customer", "kyc_status"),
        ),
        migrations.RunSQL(
            # The wallet's own accounts are born open; a customer's only as a request (account_starts_empty).
            state_trigger_sql("accounts_account", "status", ["requested", "open"], ACCOUNT),
            drop_state_trigger_sql("accounts_account", "status"),
        ),
        migrations.RunSQL(
            [keep_rows(table, also_updates=True) for table in LOGS]
            + [keep_rows(table, also_updates=False) for table in ROWS],
            [release_rows(table) for table in LOGS + ROWS],
        ),
        migrations.RunSQL(
            [("INSERT INTO accounts_principal (id, kind) VALUES (%s, 'system')", [SYSTEM_PRINCIPAL])],
            migrations.RunSQL.noop,
        ),
    ]
