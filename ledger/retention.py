"""What of our dealings with banks may go: never that they were, nor what came of them (docs/operations.md)."""

from wallet_project.utils.retention import Expiring

EXPIRING = [
    Expiring(
        name="bank_answers",
        title="what the bank said last of a payment that has ended, raw",
        table="ledger_railtransfer",
        moment="ended_at",
        condition="t.answers <> '[]'",
        blank=("answers", "'[]'"),
    ),
    Expiring(
        name="bank_messages",
        title="what the bank told us, raw, and was acted on",
        table="ledger_inboundevent",
        key_type="bigint",
        moment="processed_at",
        condition="t.next_at IS NULL AND t.payload <> '{}'",
        blank=("payload", "'{}'"),
        sealed=True,
    ),
]
