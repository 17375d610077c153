"""What of our dealings with banks may go: never that they were, nor what came of them (docs/operations.md)."""

from wallet_project.utils.retention import Expiring, inbound_messages

EXPIRING = [
    Expiring(
        name="bank_answers",
        title="what the bank said last of a payment that has ended, raw",
        table="ledger_railtransfer",
        moment="ended_at",
        condition="t.answers <> '[]'",
        blank=("answers", "'[]'"),
    ),
    inbound_messages(name="bank_messages", sender="bank", table="ledger_inboundevent"),
]
