"""Groups of transactions, and what was given back of one. Nothing here writes."""

from typing import Final
from uuid import UUID

from ledger.selectors.transactions import COLUMNS, END_OF_TIME, JOINS, RECEIVER_SEES, TransactionView, views

# By transaction_by_group. Payments in the order in which they were asked for, then their fees.
_OF_GROUP: Final = f"""
    SELECT {COLUMNS} FROM ledger_transaction t {JOINS}
    WHERE t.group_id = %(group)s AND d.customer_id = %(customer)s
    ORDER BY t.kind = 'fee', t.id"""  # noqa: S608

# By transaction_by_reversed.
_REVERSALS: Final = f"""
    SELECT {COLUMNS} FROM ledger_transaction t {JOINS}
    WHERE t.reverses_id = %(reversed)s AND t.id < %(before)s
        AND (d.customer_id = %(customer)s OR (c.customer_id = %(customer)s AND {RECEIVER_SEES}))
    ORDER BY t.id DESC LIMIT %(limit)s"""  # noqa: S608


def group_of_customer(customer_id: UUID, group_id: UUID) -> list[TransactionView]:
    """Every transaction of a group that the customer pays; none when it is not his. One query."""
    return list(views(_OF_GROUP, {"customer": customer_id, "group": group_id}))


def reversals_of(customer_id: UUID, transaction_id: UUID, *, before: UUID | None, limit: int) -> list[TransactionView]:
    """What the customer may see of what was given back of a transaction, newest first. One query."""
    values = {"customer": customer_id, "reversed": transaction_id, "before": before or END_OF_TIME, "limit": limit}
    return list(views(_REVERSALS, values))
