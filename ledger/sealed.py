"""What of this app is under seal (docs/chain.md)."""

from wallet_project.chain.declarations import Sealed

TABLES = [
    Sealed("ledger_entry", moment="created_at"),
    Sealed(
        "ledger_transaction",
        moment="created_at",
        salted=["reference", "metadata", "beneficiary"],
        # What was asked. What became of it is in the entries and in the log.
        only=[
            "kind",
            "debit_account_id",
            "credit_account_id",
            "amount",
            "currency",
            "group_id",
            "initiator_id",
            "reverses_id",
            "expires_at",
        ],
    ),
    Sealed("ledger_statechange", moment="at", salted=["reason"]),
    Sealed("ledger_limitchange", moment="at", salted=["reason"]),
    # Who decided it, and when, is in the log.
    Sealed(
        "ledger_adjustment",
        moment="created_at",
        salted=["reason", "beneficiary", "reference"],
        mutable=["status", "checker_id", "decided_at", "transaction_id"],
    ),
    Sealed(
        "ledger_inboundevent",
        moment="received_at",
        salted=["payload"],
        mutable=["next_at", "attempts", "processed_at", "last_error"],
    ),
]
