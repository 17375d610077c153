"""What the application may write of money: by itself only its dealings with banks; the rest through functions."""

TABLES = {
    "ledger_railtransfer": (
        "UPDATE (status, attempts, next_at, lease_token, bank_reference, reason, answers, submitted_at, ended_at, "
        "payer)"
    ),
    "ledger_inboundevent": "INSERT, UPDATE (next_at, attempts, processed_at, last_error)",
    "ledger_escalation": "INSERT, UPDATE (status, resolved_at)",
    "ledger_adjustment": "INSERT, UPDATE (status, checker_id, decided_at, transaction_id)",
    "ledger_statechange": "INSERT",
}
FUNCTIONS = (
    "ledger_post_pending",
    "ledger_post_many",
    "ledger_claim",
    "ledger_lock",
    "ledger_transactions_of",
    "ledger_approve",
    "ledger_pass_payers",
    "ledger_hold_for_review",
    "ledger_park",
    "ledger_resume",
    "ledger_fail",
    "ledger_clear",
    "ledger_capture",
    "ledger_void",
    "ledger_expire",
    "ledger_set_limit",
    "ledger_lock_transaction",
    "ledger_position",
    "ledger_wait",
)
