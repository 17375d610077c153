"""Transactions as one customer may see them, and entries. Nothing here writes.

A transaction is seen by the owner of its debit account from the start, and by the receiver once it has cleared; a
deposit is its receiver's own request, so he sees it at once. Lists go through each account's own index
(transaction_by_debit_account, transaction_by_credit_account), newest first, and stop after a page.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import connection
from django.db.models import QuerySet

from ledger.models import Entry
from ledger.states import Direction, Stage, TransactionKind, TransactionStatus

#: After every UUIDv7: the position of a first page.
END_OF_TIME: Final = UUID(int=2**128 - 1)
#: What a list can be filtered by.
LISTED_KINDS: Final = tuple(TransactionKind.values)
LISTED_STATUSES: Final = tuple(TransactionStatus.values)

# `held` is for what a payee has yet to capture. An officer's review and a parked unit look like any other processing.
_PUBLIC_STAGES: Final[Mapping[str, str]] = {
    Stage.SCREENING: "processing",
    Stage.REVIEW: "processing",
    Stage.PARKED: "processing",
    Stage.CLEARING: "processing",
    Stage.SETTLING: "settling",
}


@dataclass(frozen=True, slots=True)
class TransactionView:
    """A transaction as one customer sees it. `type` is set where it is seen from an account. Amounts: minor units.

    `group` and `fee` (of the fee leg that belongs to it) are for the payer; None is none, or not his to see.
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


_COLUMNS: Final = """
    t.id, t.kind, t.status, w.stage, coalesce(t.captured_amount, t.amount) AS amount, t.currency,
    CASE d.kind WHEN 'customer' THEN d.id END AS source, CASE c.kind WHEN 'customer' THEN c.id END AS destination,
    t.reference, t.failure,
    (CASE WHEN d.customer_id = %(customer)s OR t.kind = 'deposit' THEN t.metadata ELSE '{}' END)::text AS metadata,
    t.created_at, t.cleared_at"""
_JOINS: Final = """
    JOIN accounts_account d ON d.id = t.debit_account_id
    JOIN accounts_account c ON c.id = t.credit_account_id
    LEFT JOIN ledger_workitem w ON w.unit_id = coalesce(t.group_id, t.id)"""
_RECEIVER_SEES: Final = "(t.status = 'cleared' OR t.kind = 'deposit')"
_PAGE: Final = """
    t.id < %(before)s AND (%(status)s IS NULL OR t.status = %(status)s) AND (%(kind)s IS NULL OR t.kind = %(kind)s)
    ORDER BY t.id DESC LIMIT %(limit)s"""

# A transfer between two accounts of the same customer is on both sides, and is shown once.
_OF_CUSTOMER: Final = f"""
    WITH seen AS (
        SELECT side.* FROM accounts_account mine CROSS JOIN LATERAL (
            (SELECT t.* FROM ledger_transaction t WHERE t.debit_account_id = mine.id AND {_PAGE})
            UNION ALL
            (SELECT t.* FROM ledger_transaction t
             WHERE t.credit_account_id = mine.id AND {_RECEIVER_SEES} AND {_PAGE})
        ) side
        WHERE mine.customer_id = %(customer)s
    )
    SELECT DISTINCT ON (t.id) {_COLUMNS}, NULL AS type FROM seen t {_JOINS}
    ORDER BY t.id DESC LIMIT %(limit)s"""  # noqa: S608

_OF_ACCOUNT: Final = f"""
    WITH seen AS (
        (SELECT t.*, 'debit' AS type FROM ledger_transaction t WHERE t.debit_account_id = %(account)s AND {_PAGE})
        UNION ALL
        (SELECT t.*, 'credit' FROM ledger_transaction t
         WHERE t.credit_account_id = %(account)s AND {_RECEIVER_SEES} AND {_PAGE})
    )
    SELECT {_COLUMNS}, t.type FROM seen t {_JOINS}
    ORDER BY t.id DESC LIMIT %(limit)s"""  # noqa: S608

_ONE: Final = f"""
    SELECT {_COLUMNS}, NULL AS type FROM ledger_transaction t {_JOINS}
    WHERE t.id = %(id)s
        AND (d.customer_id = %(customer)s OR (c.customer_id = %(customer)s AND {_RECEIVER_SEES}))"""  # noqa: S608


Values = dict[str, UUID | str | int | None]


def transactions_of_customer(
    customer_id: UUID, *, before: UUID | None, limit: int, status: str | None = None, kind: str | None = None
) -> list[TransactionView]:
    """At most `limit` transactions older than the one at `before`, newest first. One query."""
    return list(_views(_OF_CUSTOMER, _page_values(customer_id, before, limit, status, kind)))


def transactions_of_account(
    account_id: UUID,
    *,
    customer_id: UUID,
    before: UUID | None,
    limit: int,
    status: str | None = None,
    kind: str | None = None,
) -> list[TransactionView]:
    """The same, of one account of the customer's (which the caller has made sure of), with `type` as seen from it."""
    values = _page_values(customer_id, before, limit, status, kind)
    return list(_views(_OF_ACCOUNT, {**values, "account": account_id}))


def transaction_of_customer(customer_id: UUID | None, transaction_id: UUID) -> TransactionView | None:
    """None when there is none that the customer may see."""
    if customer_id is None:
        return None
    return next(_views(_ONE, {"customer": customer_id, "id": transaction_id}), None)


def entries_of_account(account_id: UUID) -> QuerySet[Entry]:
    """The account's cleared lines, each with the balance after it; by the index entry_sequence_unique_in_account."""
    return Entry.objects.filter(account=account_id).select_related("transaction").order_by("-sequence")


def public_stage(stage: str | None) -> str | None:
    """What a customer is told of where a pending transaction stands: it never says that somebody is looking."""
    return None if stage is None else _PUBLIC_STAGES[stage]


def _page_values(customer_id: UUID, before: UUID | None, limit: int, status: str | None, kind: str | None) -> Values:
    return {
        "customer": customer_id,
        "before": before or END_OF_TIME,
        "limit": limit,
        "status": status,
        "kind": kind,
    }


def _views(sql: str, values: Values) -> Iterator[TransactionView]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        names = [column[0] for column in cursor.description or ()]
        for row in cursor.fetchall():
            fields = dict(zip(names, row, strict=True))
            fields["metadata"] = json.loads(fields["metadata"])
            fields["stage"] = public_stage(fields["stage"])
            fields["type"] = Direction(fields["type"]) if fields["type"] else None
            yield TransactionView(**fields)
