"""An account's balances at any instant, and why the available one is what it is. Nothing here writes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

from ledger.selectors.transactions import COLUMNS, END_OF_TIME, JOINS, PENDING, TransactionView, read, view_of
from wallet_project.utils.errors import InvalidInput

#: The database keeps microseconds: what happened at an instant happened before the next of them.
TICK: Final = timedelta(microseconds=1)
#: What was being posted at an instant has been committed, or undone, by then: transactions have timeouts.
SETTLES_IN: Final = timedelta(minutes=1)

_BALANCE: Final = (Path(__file__).parent.parent / "sql" / "balance_before.sql").read_text()


class InTheFuture(InvalidInput):
    code = "in_the_future"
    message = "That instant is yet to come; ask for one that has passed."


@dataclass(frozen=True, slots=True)
class BalanceAt:
    """Minor units, at `at`. `final`: no posting that was under way at that instant can change it any more."""

    at: datetime
    cleared: int
    reserved: int
    final: bool

    @property
    def available(self) -> int:
        return self.cleared - self.reserved


def balance_at(account_id: UUID, *, at: datetime, now: datetime) -> BalanceAt:
    """The balances of a customer's account as they were at `at`, with what happened at that very instant. One query.

    They are computed from the rows alone. Cleared: the running balance of the last entry whose `created_at` is not
    after `at`. Reserved: each transaction that debits the account, was created by then and had not cleared or failed by
    then, with its amount; a hold that had been captured by then with what was captured. Before the account's first line
    all is zero.

    Those times are the database's, taken while the account is locked, and so in the order in which the balances
    changed. They become visible with the commit, some milliseconds later and at most as long as a transaction may last:
    asked for an instant that has just passed, the answer may lack what was being posted in it, and says so by `final`.

    Raises InTheFuture.
    """
    if at > now:
        raise InTheFuture()
    row = next(read(_BALANCE, {"account": account_id, "before": at + TICK}))
    return BalanceAt(at, row["cleared"], row["reserved"], final=is_final(at, now))


def is_final(instant: datetime, now: datetime) -> bool:
    """Whether all that was created before the instant has been committed."""
    return instant <= now - SETTLES_IN


@dataclass(frozen=True, slots=True)
class Part:
    """So many reservations, and what they come to in minor units."""

    count: int
    amount: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """A page of what an account has reserved, newest first, with what stands before and after it: `reserved` is the sum
    of `newer`, of what `rows` reserve, and of `older`. Minor units."""

    cleared: int
    reserved: int
    newer: Part
    rows: Sequence[TransactionView]
    older: Part

    @property
    def stopped_at(self) -> UUID | None:
        """Where the next page begins; None on the last one."""
        return self.rows[-1].id if self.rows and self.older.count else None


_PENDING: Final = f"FROM {PENDING} WHERE p.debit_account_id = %(account)s"
_EXPLAIN: Final = f"""
    SELECT a.cleared AS now_cleared, a.reserved AS now_reserved, total.*, shown.*
    FROM accounts_account a
    CROSS JOIN (
        SELECT count(*) AS count, coalesce(sum(o.amount), 0)::bigint AS total,
               count(*) FILTER (WHERE o.id >= %(before)s) AS newer_count,
               coalesce(sum(o.amount) FILTER (WHERE o.id >= %(before)s), 0)::bigint AS newer_total
        FROM (SELECT t.id, coalesce(t.captured_amount, t.amount) AS amount {_PENDING}) o
    ) total
    LEFT JOIN (
        SELECT {COLUMNS}
        FROM (
            SELECT t.* {_PENDING} AND p.transaction_id < %(before)s ORDER BY p.transaction_id DESC LIMIT %(limit)s
        ) t {JOINS}
    ) shown ON true
    WHERE a.id = %(account)s
    ORDER BY shown.id DESC"""  # noqa: S608
_OF_ALL: Final = ("now_cleared", "now_reserved", "count", "total", "newer_count", "newer_total")


def explain(account_id: UUID, *, customer_id: UUID, before: UUID | None, limit: int) -> Explanation:
    """Why the available balance of the customer's account is what it is: what reserves it, at most `limit` of those
    older than the one at `before`. One query, so each page is of one snapshot, and adds up to the balance of that one.

    All that is pending on the account is added up for each page, by its index; what has ended costs nothing.
    """
    rows = list(
        read(
            _EXPLAIN,
            {"account": account_id, "customer": customer_id, "before": before or END_OF_TIME, "limit": limit},
        )
    )
    [cleared, reserved, count, total, newer_count, newer_total] = [rows[0][name] for name in _OF_ALL]
    for row in rows:
        for name in _OF_ALL:
            del row[name]
    shown = [view_of(row) for row in rows if row["id"] is not None]
    newer = Part(newer_count, newer_total)
    older = Part(count - newer.count - len(shown), total - newer.amount - sum(map(reserves, shown)))
    return Explanation(cleared, reserved, newer, shown, older)


def reserves(view: TransactionView) -> int:
    """What a pending debit keeps from being available: all of it, or what was captured of a hold. Minor units."""
    return view.amount if view.captured_amount is None else view.captured_amount
