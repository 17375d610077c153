"""An account's lines: what has cleared on it, with the balance after each; and statements of them. Nothing here writes.

Lines are numbered without a gap in the order in which they were posted, and never change: two numbers are a period, and
what lies between them reads the same whenever it is read.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from accounts.models import Account
from ledger.selectors.balances import is_final
from ledger.selectors.lists import EVERYTHING, LOOKED_AT, Filters, Page, conditions, filter_values
from ledger.selectors.transactions import read

#: Lines that a statement is read by, when all of it is wanted.
CHUNK: Final = 1_000


@dataclass(frozen=True, slots=True)
class EntryView:
    """One line, as its account's owner sees it: `type` debit or credit, amounts in minor units, `counterparty` the
    other customer's account (None: a bank, or the wallet)."""

    sequence: int
    transaction: UUID
    kind: str
    type: str
    amount: int
    currency: str
    balance_after: int
    counterparty: UUID | None
    reference: str
    created_at: datetime

    @property
    def signed_amount(self) -> int:
        return -self.amount if self.type == "debit" else self.amount


@dataclass(frozen=True, slots=True)
class Statement:
    """The lines number first + 1 .. last of an account, which are those of the time since <= created_at < until. Minor
    units. `closing` is `opening` and the lines added up: both are running balances, before the first line and after the
    last. `final`: no line can come any more."""

    account_id: UUID
    currency: str
    since: datetime
    until: datetime
    first: int
    last: int
    opening: int
    closing: int
    final: bool

    @property
    def count(self) -> int:
        return self.last - self.first


_CONDITIONS: Final[Mapping[str, str]] = {
    "kind": "t.kind = %(kind)s",
    "type": "e.direction = %(type)s",
    "counterparty": "o.id = %(counterparty)s AND o.kind = 'customer'",
    "min_amount": "e.amount >= %(min_amount)s",
    "max_amount": "e.amount <= %(max_amount)s",
    "reference": "t.reference = %(reference)s",
    "metadata": "(e.direction = 'debit' OR t.kind = 'deposit') AND t.metadata @> %(metadata)s::jsonb",
}

_LINES: Final = """
    SELECT e.sequence, t.id AS transaction, t.kind, e.direction AS type, e.amount, t.currency, e.balance_after,
           CASE o.kind WHEN 'customer' THEN o.id END AS counterparty, t.reference, e.created_at
    FROM ledger_entry e
    JOIN ledger_transaction t ON t.id = e.transaction_id
    JOIN accounts_account o ON o.id = CASE e.direction WHEN 'debit' THEN t.credit_account_id ELSE t.debit_account_id END
    WHERE e.account_id = %(account)s AND e.sequence > %(after)s AND e.sequence <= %(up_to)s"""

_PERIOD: Final = """
    SELECT CASE WHEN %(since)s::timestamptz IS NULL THEN 0
                ELSE ledger_position(%(account)s, %(since)s) END AS first,
           CASE WHEN %(until)s::timestamptz IS NULL THEN %(last)s
                ELSE ledger_position(%(account)s, %(until)s) END AS last"""

_STATEMENT: Final = """
    WITH place AS MATERIALIZED (
        SELECT ledger_position(%(account)s, %(since)s) AS first, ledger_position(%(account)s, %(until)s) AS last
    ), line AS (
        SELECT place.first, least(place.last, coalesce(%(last)s, place.last)) AS last FROM place
    )
    SELECT line.first, line.last, coalesce(before.balance_after, 0) AS opening,
           coalesce(after.balance_after, 0) AS closing
    FROM line
    LEFT JOIN ledger_entry before ON before.account_id = %(account)s AND before.sequence = line.first
    LEFT JOIN ledger_entry after ON after.account_id = %(account)s AND after.sequence = line.last"""


def entries_of_account(account: Account, *, before: int | None, limit: int, wanted: Filters = EVERYTHING) -> Page:
    """At most `limit` lines with numbers below `before`, newest first; looks at a bounded number of them (see `lists`).
    `wanted.since` and `until` are of the time at which a line was posted; its status is always cleared. One query, and
    one more for a time."""
    first, last = _period(account, wanted)
    up_to = min(last, before - 1) if before is not None else last
    after = max(first, up_to - LOOKED_AT)
    values = {**filter_values(wanted), "account": account.id, "after": after, "up_to": up_to, "limit": limit}
    sql = f"{_LINES} AND {conditions(wanted, _CONDITIONS)} ORDER BY e.sequence DESC LIMIT %(limit)s"
    rows = [EntryView(**row) for row in read(sql, values)]
    return Page(rows, stopped_at=after + 1 if after > first else None)


def _period(account: Account, wanted: Filters) -> tuple[int, int]:
    if wanted.since is None and wanted.until is None:
        return 0, account.last_sequence
    values = {"account": account.id, "since": wanted.since, "until": wanted.until, "last": account.last_sequence}
    place = next(read(_PERIOD, values))
    return place["first"], place["last"]


def statement_of(
    account: Account, *, since: datetime, until: datetime, now: datetime, last: int | None = None
) -> Statement:
    """The statement of since <= time < until, a time being when a line was posted. `last`: up to this line only, as it
    was read before. One query."""
    values: dict[str, Any] = {"account": account.id, "since": since, "until": until, "last": last}
    row = next(read(_STATEMENT, values))
    return Statement(
        account_id=account.id,
        currency=account.currency,
        since=since,
        until=until,
        final=is_final(until, now),
        **row,
    )


def lines_of(statement: Statement, *, after: int, limit: int) -> list[EntryView]:
    """At most `limit` of its lines with numbers above `after`, in the order in which they were posted. One query."""
    # Numbers have no gap: the range says how many there are.
    values = {"account": statement.account_id, "after": after, "up_to": min(statement.last, after + limit)}
    return [EntryView(**row) for row in read(f"{_LINES} ORDER BY e.sequence", values)]


def all_lines_of(statement: Statement) -> Iterator[EntryView]:
    """All of them, a chunk in memory at a time. No transaction stays open meanwhile: there is nothing in the lines
    between two numbers that could change."""
    after = statement.first
    while after < statement.last:
        for line in lines_of(statement, after=after, limit=CHUNK):
            yield line
            after = line.sequence
