"""An account's balances at any instant, and why the available one is what it is. Nothing here writes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

from ledger.selectors.transactions import COLUMNS, JOINS, TransactionView, read, view_of
from wallet_project.utils.errors import InvalidInput

#: The database keeps microseconds: what happened at an instant happened before the next of them.
TICK: Final = timedelta(microseconds=1)
#: What was being posted at an instant has been committed, or undone, by then: transactions have timeouts (DESIGN §6).
SETTLES_IN: Final = timedelta(minutes=1)
#: How many of an account's pending debits `explain` names; the rest is counted and summed.
EXPLAINED: Final = 100

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
class Explanation:
    """`reserved` is the sum of what `pending` reserve, newest first, and of `rest_amount`, which is that of the
    `rest_count` oldest. Minor units."""

    cleared: int
    reserved: int
    pending: Sequence[TransactionView]
    rest_count: int
    rest_amount: int


_PENDING: Final = "FROM ledger_transaction t WHERE t.debit_account_id = %(account)s AND t.status = 'pending'"
_EXPLAIN: Final = f"""
    SELECT a.cleared AS now_cleared, a.reserved AS now_reserved, total.count AS count, total.amount AS total, shown.*
    FROM accounts_account a
    CROSS JOIN (SELECT count(*) AS count, coalesce(sum(coalesce(t.captured_amount, t.amount)), 0)::bigint AS amount
                {_PENDING}) total
    LEFT JOIN (
        SELECT {COLUMNS} FROM (SELECT t.* {_PENDING} ORDER BY t.id DESC LIMIT %(explained)s) t {JOINS}
    ) shown ON true
    WHERE a.id = %(account)s
    ORDER BY shown.id DESC"""  # noqa: S608


def explain(account_id: UUID, *, customer_id: UUID) -> Explanation:
    """Why the available balance of the customer's account is what it is: one query, so one snapshot."""
    rows = list(read(_EXPLAIN, {"account": account_id, "customer": customer_id, "explained": EXPLAINED}))
    first = rows[0]
    cleared, reserved, count, total = (first[name] for name in ("now_cleared", "now_reserved", "count", "total"))
    for row in rows:
        del row["now_cleared"], row["now_reserved"], row["count"], row["total"]
    pending = [view_of(row) for row in rows if row["id"] is not None]
    return Explanation(
        cleared,
        reserved,
        pending,
        rest_count=count - len(pending),
        rest_amount=total - sum(reserves(view) for view in pending),
    )


def reserves(view: TransactionView) -> int:
    """What a pending debit keeps from being available: all of it, or what was captured of a hold. Minor units."""
    return view.amount if view.captured_amount is None else view.captured_amount
