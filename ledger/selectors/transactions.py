"""Transactions as one customer may see them. Nothing here writes.

A transaction is seen by the owner of its debit account from the start, and by the receiver once it has cleared or is
held for him; a deposit is its receiver's own request, so he sees it at once.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import connection

from ledger.states import Direction, Stage, TransactionKind, TransactionStatus

#: After every UUIDv7: the position of a first page.
END_OF_TIME: Final = UUID(int=2**128 - 1)
#: What a list can be filtered by.
LISTED_KINDS: Final = tuple(TransactionKind.values)
LISTED_STATUSES: Final = tuple(TransactionStatus.values)

# An officer's review and a parked unit look like any other processing.
_PUBLIC_STAGES: Final[Mapping[str, str]] = {
    Stage.SCREENING: "processing",
    Stage.REVIEW: "processing",
    Stage.PARKED: "processing",
    Stage.PAYER: "processing",
    Stage.CLEARING: "processing",
    Stage.SETTLING: "settling",
    Stage.HELD: "held",
}


@dataclass(frozen=True, slots=True)
class TransactionView:
    """A transaction as one customer sees it. `type` is set where it is seen from an account. Amounts: minor units.

    `amount` is what was asked for; of a captured hold only `captured_amount` moves. `group` and `fee` (of the fee leg
    that belongs to it) are for the payer; None is none, or not his to see. `reversed_amount` has cleared.
    """

    id: UUID
    kind: str
    status: str
    stage: str | None
    amount: int
    currency: str
    source: UUID | None
    destination: UUID | None
    reference: str
    metadata: Mapping[str, Any]
    failure: str
    created_at: datetime
    cleared_at: datetime | None
    type: Direction | None = None
    group: UUID | None = None
    fee: int | None = None
    reverses: UUID | None = None
    reversed_amount: int = 0
    expires_at: datetime | None = None
    captured_amount: int | None = None
    captured_at: datetime | None = None


#: For a `SELECT` over `ledger_transaction t` with JOINS; the parameter `customer` is who looks. The columns that cost a
#: look elsewhere (fee, reversals) are indexed, and asked for the rows of a page alone.
COLUMNS: Final = """
    t.id, t.kind, t.status, w.stage, t.amount, t.currency,
    CASE d.kind WHEN 'customer' THEN d.id END AS source, CASE c.kind WHEN 'customer' THEN c.id END AS destination,
    t.reference, t.failure,
    (CASE WHEN d.customer_id = %(customer)s OR t.kind = 'deposit' THEN t.metadata ELSE '{}' END)::text AS metadata,
    t.created_at, t.cleared_at, t.expires_at, t.captured_amount, t.captured_at, t.reverses_id AS reverses,
    CASE d.customer_id WHEN %(customer)s THEN t.group_id END AS group,
    CASE WHEN d.customer_id = %(customer)s AND t.group_id IS NOT NULL THEN (
        SELECT sum(coalesce(f.captured_amount, f.amount))::bigint FROM ledger_transaction f
        WHERE f.group_id = t.group_id AND f.kind = 'fee' AND f.metadata ->> 'fee_of' = t.id::text) END AS fee,
    (SELECT coalesce(sum(r.amount), 0)::bigint FROM ledger_transaction r
     WHERE r.reverses_id = t.id AND r.status = 'cleared') AS reversed_amount"""
JOINS: Final = """
    JOIN accounts_account d ON d.id = t.debit_account_id
    JOIN accounts_account c ON c.id = t.credit_account_id
    LEFT JOIN ledger_workitem w ON w.unit_id = coalesce(t.group_id, t.id)"""
#: What is pending (p) with its rows (t), each looked up by its id however many the planner believes that there are.
PENDING: Final = """ledger_pending p CROSS JOIN LATERAL (
        SELECT * FROM ledger_transaction o WHERE o.id = p.transaction_id OFFSET 0) t"""
RECEIVER_SEES: Final = """(t.status = 'cleared' OR t.kind = 'deposit'
    OR (t.expires_at IS NOT NULL AND t.approved_at IS NOT NULL))"""

_ONE: Final = f"""
    SELECT {COLUMNS} FROM ledger_transaction t {JOINS}
    WHERE t.id = %(id)s
        AND (d.customer_id = %(customer)s OR (c.customer_id = %(customer)s AND {RECEIVER_SEES}))"""  # noqa: S608


def transaction_of_customer(customer_id: UUID | None, transaction_id: UUID) -> TransactionView | None:
    """None when there is none that the customer may see."""
    if customer_id is None:
        return None
    return next(views(_ONE, {"customer": customer_id, "id": transaction_id}), None)


_OF_UNIT: Final = f"""
    SELECT {COLUMNS} FROM ledger_transaction t {JOINS}
    WHERE (t.id = %(unit)s OR t.group_id = %(unit)s) AND t.kind <> 'fee'
        AND (d.customer_id = %(customer)s OR (c.customer_id = %(customer)s AND {RECEIVER_SEES}))
    ORDER BY t.id LIMIT 1"""  # noqa: S608


def payment_of_unit(customer_id: UUID, unit_id: UUID) -> TransactionView | None:
    """What the unit was asked for, not its fee, where the customer may see it: of several, the first."""
    return next(views(_OF_UNIT, {"customer": customer_id, "unit": unit_id}), None)


_OF_UNITS: Final = f"""
    SELECT coalesce(t.group_id, t.id) AS unit, {COLUMNS} FROM ledger_transaction t {JOINS}
    WHERE (t.id = ANY (%(units)s) OR t.group_id = ANY (%(units)s)) AND t.kind = 'transfer'
        AND d.customer_id = %(customer)s"""  # noqa: S608


def transfers_of_units(customer_id: UUID, units: Collection[UUID]) -> dict[UUID, TransactionView]:
    """By unit, the transfer that it is or begins with, where the customer pays it. One query."""
    rows = read(_OF_UNITS, {"customer": customer_id, "units": list(units)})
    return {row.pop("unit"): view_of(row) for row in rows}


def public_stage(stage: str | None) -> str | None:
    """What a customer is told of where a pending transaction stands: it never says that somebody is looking."""
    return None if stage is None else _PUBLIC_STAGES[stage]


def views(sql: str, values: Mapping[str, Any]) -> Iterator[TransactionView]:
    """The transactions that `sql` (of COLUMNS, perhaps with `type`) gives."""
    return map(view_of, read(sql, values))


def view_of(row: Mapping[str, Any]) -> TransactionView:
    fields = {
        **row,
        "metadata": json.loads(row["metadata"]),
        "stage": public_stage(row["stage"]),
        "type": Direction(row["type"]) if row.get("type") else None,
    }
    return TransactionView(**fields)


#: Before a query, in the same message to the server, whose one transaction it is in. The planner takes each account for
#: an average one, whose few rows it would gather by a bitmap and sort; of a merchant's it then reads all to show fifty.
#: Without bitmaps it goes along the index, which has them in order, and stops.
IN_ORDER: Final = "SET LOCAL enable_bitmapscan = off; "


def read(sql: str, values: Mapping[str, Any], *, in_order: bool = False) -> Iterator[dict[str, Any]]:
    """The rows by their columns' names. One query. `in_order`: along an index, see IN_ORDER."""
    with connection.cursor() as cursor:
        cursor.execute(IN_ORDER + sql if in_order else sql, values)
        if in_order:
            cursor.nextset()
        names = [column[0] for column in cursor.description or ()]
        for row in cursor.fetchall():
            yield dict(zip(names, row, strict=True))
