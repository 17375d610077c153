"""Money, the bank's side of it, limits, and what staff see to.

The application's role can only read transactions, entries, what is pending, work items, limits and their use: the
functions in ledger/sql write them.
"""

from ledger.models.bank import InboundEvent, RailTransfer
from ledger.models.limits import Limit, LimitChange, Usage
from ledger.models.staff import Adjustment, Escalation
from ledger.models.transactions import Entry, Pending, StateChange, Transaction, WorkItem

__all__ = [
    "Adjustment",
    "Entry",
    "Escalation",
    "InboundEvent",
    "Limit",
    "LimitChange",
    "Pending",
    "RailTransfer",
    "StateChange",
    "Transaction",
    "Usage",
    "WorkItem",
]
