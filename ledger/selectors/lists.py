"""Lists of transactions, newest first, by the indexes of each account's debits and credits.

**Bounded work.** A filter that fits little would read an account's whole history for one page. So a page looks at a
number of rows at most, of each side of each account, and then says where it stopped: it has fewer rows than it could
have, perhaps none, and the next page goes on from there. What an index can answer (status pending, a reference, a
range of time) is answered by it before that number counts.

**Order.** Ids are UUIDv7, so their order is that of creation, but for the clocks of servers: a range of time is exact
by `created_at`, and ids are only used to know where to begin and end to look.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from ledger.selectors.transactions import (
    COLUMNS,
    END_OF_TIME,
    JOINS,
    PENDING,
    RECEIVER_SEES,
    TransactionView,
    read,
    view_of,
)
from wallet_project.utils.ids import first_id_at

#: Rows that a page looks at, at most, of each side of an account: of one account, and of each of a customer's.
LOOKED_AT: Final = 5_000
LOOKED_AT_OF_EACH: Final = 2_000
#: How far the clocks of two servers may be apart, or a request may have waited before its row was written.
_SKEW_MS: Final = 10 * 60 * 1000


@dataclass(frozen=True, slots=True)
class Filters:
    """What to list. Amounts in minor units, `since` <= created_at < `until`; `counterparty` is the other side's
    account, `metadata` has members that the customer's own metadata has too. None is any."""

    status: str | None = None
    kind: str | None = None
    type: str | None = None
    counterparty: UUID | None = None
    min_amount: int | None = None
    max_amount: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    reference: str | None = None
    metadata: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """`stopped_at`: where the search stopped before it had found as many as it may; None: at the end."""

    rows: Sequence[Any]
    stopped_at: Any = None


EVERYTHING: Final = Filters()


def transactions_of_customer(
    customer_id: UUID, *, before: UUID | None, limit: int, wanted: Filters = EVERYTHING
) -> Page:
    """At most `limit` transactions of all his accounts older than the one at `before`, each once. One query."""
    return _page("mine.customer_id = %(customer)s", LOOKED_AT_OF_EACH, customer_id, None, before, limit, wanted)


def transactions_of_account(
    account_id: UUID, *, customer_id: UUID, before: UUID | None, limit: int, wanted: Filters = EVERYTHING
) -> Page:
    """The same, of one account of the customer's (which the caller has made sure of), with `type` as seen from it."""
    return _page("mine.id = %(account)s", LOOKED_AT, customer_id, account_id, before, limit, wanted)


def _page(
    whose: str, looked_at: int, customer: UUID, account: UUID | None, before: UUID | None, limit: int, wanted: Filters
) -> Page:
    values = {
        **_values(wanted),
        "customer": customer,
        "account": account,
        "before": before or END_OF_TIME,
        "limit": limit,
        "looked_at": looked_at,
    }
    found = list(read(_sql(whose, wanted, as_seen_from_account=account is not None), values, in_order=True))
    stopped_at = found[0]["stopped_at"]
    rows: list[TransactionView] = []
    for row in found:
        del row["stopped_at"]
        # What lies beyond the place where one side stopped is found again by the next page, beside that side's.
        if row["id"] is not None and (stopped_at is None or row["id"] >= stopped_at):
            rows.append(view_of(row))
    return Page(rows, stopped_at)


def _sql(whose: str, wanted: Filters, *, as_seen_from_account: bool) -> str:
    sides = [side for side in ("debit", "credit") if wanted.type in (None, side)]
    found = " UNION ALL ".join(_found(side, wanted) for side in sides)
    stops = " UNION ALL ".join(
        f"(SELECT t.id {_looked_at(side, wanted)} OFFSET %(looked_at)s - 1 LIMIT 1)" for side in sides
    )
    # A transfer between two accounts of the same customer is on both sides, and is listed once. Where it stopped is
    # found out once: left to itself, the planner asked it again for each row of the page, if statistics had it so.
    return f"""
        WITH page AS MATERIALIZED (
            SELECT DISTINCT ON (t.id) t.* FROM accounts_account mine CROSS JOIN LATERAL ({found}) t
            WHERE {whose} ORDER BY t.id DESC LIMIT %(limit)s
        ), stop AS MATERIALIZED (
            SELECT side.id FROM accounts_account mine CROSS JOIN LATERAL ({stops}) side
            WHERE {whose} AND (SELECT count(*) FROM page) < %(limit)s ORDER BY side.id DESC LIMIT 1
        )
        SELECT stop.id AS stopped_at, shown.* FROM (SELECT) one LEFT JOIN stop ON true LEFT JOIN (
            SELECT {COLUMNS}, {"t.type" if as_seen_from_account else "NULL AS type"} FROM page t {JOINS}
        ) shown ON true
        ORDER BY shown.id DESC"""  # noqa: S608


def _found(side: str, wanted: Filters) -> str:
    """What fits of one side of one account."""
    other, sees = ("credit", "true") if side == "debit" else ("debit", RECEIVER_SEES)
    fits = conditions(wanted, _CONDITIONS).replace("@other", other).replace("@mine", side)
    return f"""
        (SELECT t.*, '{side}' AS type FROM (SELECT t.* {_looked_at(side, wanted)} LIMIT %(looked_at)s) t
         WHERE {sees} AND {fits} ORDER BY t.id DESC LIMIT %(limit)s)"""  # noqa: S608


def _looked_at(side: str, wanted: Filters) -> str:
    """One side of one account from `before` on, by an index that keeps it in the order of ids."""
    pending = wanted.status == "pending"
    listed, number = ("p", "p.transaction_id") if pending else ("t", "t.id")
    where = [f"{listed}.{side}_account_id = mine.id", f"{number} < %(before)s"]
    if wanted.since:
        where.append(f"{number} >= %(first)s")
    if wanted.until:
        where.append(f"{number} < %(last)s")
    if pending and side == "credit":
        where.append("p.payee_sees")
    if wanted.reference and not pending:
        where += ["t.reference = %(reference)s", "t.reference <> ''"]
    return f"FROM {PENDING if pending else 'ledger_transaction t'} WHERE {' AND '.join(where)} ORDER BY {number} DESC"


# @mine and @other are the sides of the account that is listed and of its counterparty: debit or credit.
_CONDITIONS: Final[Mapping[str, str]] = {
    "status": "t.status = %(status)s",
    "kind": "t.kind = %(kind)s",
    "counterparty": """t.@other_account_id = %(counterparty)s
        AND EXISTS (SELECT FROM accounts_account o WHERE o.id = %(counterparty)s AND o.kind = 'customer')""",
    "min_amount": "t.amount >= %(min_amount)s",
    "max_amount": "t.amount <= %(max_amount)s",
    "since": "t.created_at >= %(since)s",
    "until": "t.created_at < %(until)s",
    "reference": "t.reference = %(reference)s",
    "metadata": "('@mine' = 'debit' OR t.kind = 'deposit') AND t.metadata @> %(metadata)s::jsonb",
}


def conditions(wanted: Filters, known: Mapping[str, str]) -> str:
    """The conditions of `known` that apply."""
    return " AND ".join(["true", *(known[name] for name in known if getattr(wanted, name) is not None)])


def filter_values(wanted: Filters) -> dict[str, Any]:
    """What the conditions refer to, by name."""
    return {
        **{name: getattr(wanted, name) for name in Filters.__slots__},
        "metadata": json.dumps(dict(wanted.metadata)) if wanted.metadata is not None else None,
    }


def _values(wanted: Filters) -> dict[str, Any]:
    return {
        **filter_values(wanted),
        "first": first_id_at(wanted.since, shift_ms=-_SKEW_MS) if wanted.since else None,
        "last": first_id_at(wanted.until, shift_ms=_SKEW_MS) if wanted.until else None,
    }
