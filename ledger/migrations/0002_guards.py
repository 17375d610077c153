"""Triggers on money, and the functions that alone may write it."""

from pathlib import Path

from django.db import migrations

from wallet_project.utils.sql_files import install, keep_rows, release_rows
from wallet_project.utils.transitions import drop_state_trigger_sql, state_trigger_sql

APP = Path(__file__).resolve().parent.parent
LOGS = ("ledger_entry", "ledger_statechange", "ledger_limitchange")
ROWS = ("ledger_transaction", "ledger_railtransfer", "ledger_inboundevent", "ledger_escalation", "ledger_adjustment")

# A copy of what the models declare; tests/test_state_machines.py compares them with the triggers in the database.
TRANSACTION = [("pending", "cleared"), ("pending", "failed")]
RAIL_TRANSFER = [
    ("queued", "submitted"),
    ("queued", "confirmed"),
    ("submitted", "confirmed"),
    ("submitted", "rejected"),
    ("queued", "cancelled"),
]
ESCALATION = [("open", "resolved")]
ADJUSTMENT = [
    ("proposed", "posted"),
    ("proposed", "refused"),
    ("proposed", "declined"),
    ("proposed", "withdrawn"),
]


class Migration(migrations.Migration):
    dependencies = [("ledger", "0001_initial"), ("accounts", "0002_guards")]
    operations = [
        install(
            APP,
            "guards.sql",
            undo="""
                DROP TRIGGER adjustment_is_immutable ON ledger_adjustment;
                DROP TRIGGER staff_money_has_two_people ON ledger_transaction;
                DROP TRIGGER reversal_is_covered ON ledger_transaction;
                DROP FUNCTION adjustment_is_immutable(); DROP FUNCTION staff_money_has_two_people();
                DROP FUNCTION reversal_is_covered();
                DROP TRIGGER cleared_has_entries ON ledger_transaction;
                DROP TRIGGER entries_balance ON ledger_entry;
                DROP TRIGGER withdrawal_handed_over_stays ON ledger_transaction;
                DROP TRIGGER transaction_is_immutable ON ledger_transaction;
                DROP FUNCTION cleared_has_entries(); DROP FUNCTION entries_balance();
                DROP FUNCTION withdrawal_handed_over_stays(); DROP FUNCTION transaction_is_immutable();
                DROP TRIGGER transaction_refers_to_rows ON ledger_transaction;
                DROP FUNCTION transaction_refers_to_rows();
            """,
        ),
        migrations.RunSQL(
            state_trigger_sql("ledger_transaction", "status", ["pending", "failed"], TRANSACTION),
            drop_state_trigger_sql("ledger_transaction", "status"),
        ),
        migrations.RunSQL(
            state_trigger_sql("ledger_railtransfer", "status", ["queued"], RAIL_TRANSFER),
            drop_state_trigger_sql("ledger_railtransfer", "status"),
        ),
        migrations.RunSQL(
            state_trigger_sql("ledger_escalation", "status", ["open"], ESCALATION),
            drop_state_trigger_sql("ledger_escalation", "status"),
        ),
        migrations.RunSQL(
            state_trigger_sql("ledger_adjustment", "status", ["proposed"], ADJUSTMENT),
            drop_state_trigger_sql("ledger_adjustment", "status"),
        ),
        migrations.RunSQL(
            [keep_rows(table, also_updates=True) for table in LOGS]
            + [keep_rows(table, also_updates=False) for table in ROWS],
            [release_rows(table) for table in LOGS + ROWS],
        ),
        install(
            APP,
            "limits.sql",
            "post_pending.sql",
            "pending.sql",
            "work.sql",
            "fail.sql",
            "clear.sql",
            "holds.sql",
            undo="""
                DROP FUNCTION ledger_expire; DROP FUNCTION ledger_void; DROP FUNCTION ledger_capture;
                DROP FUNCTION ledger_set_limit; DROP FUNCTION ledger_give_back; DROP FUNCTION ledger_over_limit;
                DROP FUNCTION ledger_within_limits; DROP FUNCTION ledger_lock_usage; DROP FUNCTION ledger_count;
                DROP FUNCTION ledger_clear; DROP FUNCTION ledger_sides; DROP TYPE ledger_side;
                DROP FUNCTION ledger_fail; DROP FUNCTION ledger_resume; DROP FUNCTION ledger_park;
                DROP FUNCTION ledger_hold_for_review; DROP FUNCTION ledger_pass_payers;
                DROP FUNCTION ledger_approve; DROP FUNCTION ledger_is_done; DROP FUNCTION ledger_end_pending;
                DROP FUNCTION ledger_transactions_of; DROP FUNCTION ledger_lock; DROP FUNCTION ledger_claim;
                DROP FUNCTION ledger_post_pending;
            """,
        ),
    ]
