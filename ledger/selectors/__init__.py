"""Reads of money. Nothing here writes."""

from ledger.selectors.transactions import (
    LISTED_KINDS,
    LISTED_STATUSES,
    TransactionView,
    payment_of_unit,
    public_stage,
    transaction_of_customer,
    transfers_of_units,
)
from ledger.selectors.waiting import oldest_waiting_seconds, open_escalation_count, waiting_units

__all__ = [
    "LISTED_KINDS",
    "LISTED_STATUSES",
    "TransactionView",
    "oldest_waiting_seconds",
    "open_escalation_count",
    "payment_of_unit",
    "public_stage",
    "transaction_of_customer",
    "transfers_of_units",
    "waiting_units",
]
