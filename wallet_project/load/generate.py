"""Fills a database with customers, accounts and payments that verify: as its owner, all triggers and constraints on.

The application's role may not write balances, and a payment at a time through the posting functions takes a
millisecond: five million entries would take an hour. So the same rows are written here in batches, and nothing is
switched off for it: states, pairs of entries, keys and checks are held by the database as always, and `verify_ledger`
proves the rest. What is not called are the posting functions, and with them the limits (generated customers have none)
and the rules; the facts that rules speak of are recorded as screening finds them, so that a backtest has a past.

Each currency is filled by a connection of its own, as two currencies share no account; a third one seals behind them.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

from django.db import connections, transaction
from django.db.backends.utils import CursorWrapper

from compliance.facts import limits_of_facts
from compliance.limits import limits_in_force
from wallet_project.chain.sealing import seal_all
from wallet_project.utils.context import system_actor

CURRENCIES: Final = ("EUR", "USD")
#: Payments of a transaction: it is a block of the chain, too, and a verifier holds a block in memory.
BATCH: Final = 10_000
#: Rows of each table in a block of the chain, unless a batch wrote more.
_BLOCK: Final = 10_000
#: The first batches are small and double: what the database plans by is then never far from what is there, and a key
#: that was planned to be checked on an empty table reads all of it, for each row.
FIRST_BATCH: Final = 500
_PLANNED_BY: Final = (
    "ANALYZE accounts_account, accounts_principal, ledger_transaction, ledger_entry, compliance_screening"
)
#: Minor units: a payment is 1 to this.
MOST: Final = 10_000
#: Of fifty payments one comes to nothing (sql/batch.sql), and has no entries.
_ONE_FAILS_OF: Final = 50
_SQL: Final = Path(__file__).parent / "sql"
#: A UUIDv7 of a payment's time (RFC 9562): as those that are made by requests, ids go up with time.
_ID: Final = (
    "(lpad(to_hex((extract(epoch FROM p.at) * 1000)::bigint), 12, '0') || '7' || lpad(to_hex(p.n %% 4096), 3, '0')"
    " || substr(replace(gen_random_uuid()::text, '-', ''), 17))::uuid"
)

#: What compliance_facts is told of the limits, as sql/payments.sql names it.
_LIMITS: Final = ("currencies", "first_payment_from", "band_currencies", "band_lows", "band_highs")

Say = Callable[[str], None]


class TooFewEntries(Exception):
    """Each account has an opening payment of two entries."""


@dataclass(frozen=True, slots=True)
class Plan:
    """`entries` of one currency's accounts; `accounts` are (id, principal)."""

    currency: str
    accounts: Sequence[tuple[UUID, UUID]]
    entries: int
    beginning: datetime
    end: datetime

    @property
    def payments(self) -> int:
        """So many that, without those that come to nothing, the entries are as many as were asked for."""
        cleared = self.entries // 2 - len(self.accounts)
        return cleared + max(cleared - 1, 0) // (_ONE_FAILS_OF - 1)

    @property
    def step(self) -> timedelta:
        return (self.end - self.beginning) / (self.payments + 1)

    @property
    def funds(self) -> int:
        """What an account can spend at most, in minor units."""
        return (math.ceil(self.payments / len(self.accounts)) + 1) * MOST


def generate(*, accounts: int, entries: int, beginning: datetime, end: datetime, say: Say) -> None:
    """`accounts` (at least 4) of verified customers, and `entries` (an even number) from `beginning` to `end`.

    Commits batch by batch: whatever was done when it is interrupted is a ledger that verifies. Raises TooFewEntries.
    """
    shares = _dealt_out(entries // 2, accounts)
    people = _make_people(accounts, beginning)
    plans = [
        Plan(currency, people[currency], share * 2, beginning, end)
        for currency, share in zip(CURRENCIES, shares, strict=True)
    ]
    say(f"{accounts} accounts")
    with ThreadPoolExecutor(len(plans)) as pool:
        filling = {pool.submit(_on_own_connection, _fill, plan, say) for plan in plans}
        while filling:
            done, filling = wait(filling, timeout=1, return_when=FIRST_EXCEPTION)
            for each in done:
                each.result()
            seal_all(rows=_BLOCK, using="owner")
    seal_all(rows=_BLOCK, using="owner")
    say("sealed")
    with connections["owner"].cursor() as cursor:
        cursor.execute("SET lock_timeout = 0")
        # Statistics of empty tables would give plans for empty tables.
        cursor.execute("VACUUM ANALYZE")
    say("analyzed")


def _dealt_out(pairs: int, accounts: int) -> list[int]:
    """Pairs of entries by currency, as the accounts are dealt out."""
    first = pairs * math.ceil(accounts / 2) // accounts
    shares = [first, pairs - first]
    if shares[0] < math.ceil(accounts / 2) or shares[1] < accounts // 2:
        raise TooFewEntries()
    return shares


def _make_people(accounts: int, beginning: datetime) -> dict[str, list[tuple[UUID, UUID]]]:
    values = {
        "accounts": accounts,
        "currencies": list(CURRENCIES),
        "beginning": beginning,
        "system": system_actor().principal_id,
        "run": uuid4().hex[:8],
    }
    by_currency: dict[str, list[tuple[UUID, UUID]]] = {currency: [] for currency in CURRENCIES}
    with transaction.atomic(using="owner", durable=True), connections["owner"].cursor() as cursor:
        _run(cursor, (_SQL / "people.sql").read_text(), values)
        for account, principal, currency in cursor.fetchall():
            by_currency[currency].append((account, principal))
    return by_currency


def _fill(plan: Plan, say: Say) -> None:
    values: dict[str, Any] = {
        "currency": plan.currency,
        "accounts": len(plan.accounts),
        "beginning": plan.beginning,
        "step": plan.step,
        "funds": plan.funds,
        "most": MOST,
        "system": system_actor().principal_id,
        **dict(zip(_LIMITS, limits_of_facts(limits_in_force()), strict=True)),
    }
    with connections["owner"].cursor() as cursor:
        # Nobody waits for these rows, and none is lost alone.
        cursor.execute("SET work_mem = '128MB'; SET synchronous_commit = off; SET lock_timeout = 0")
        cursor.execute("CREATE TEMPORARY TABLE load_account (number bigint PRIMARY KEY, id uuid, principal_id uuid)")
        cursor.execute(
            "INSERT INTO load_account SELECT a.n - 1, a.id, a.principal"
            " FROM unnest(%s::uuid[], %s::uuid[]) WITH ORDINALITY AS a (id, principal, n)",
            [[account for account, _ in plan.accounts], [principal for _, principal in plan.accounts]],
        )
        cursor.execute("ANALYZE load_account")
        for name, many in (("opening.sql", len(plan.accounts)), ("batch.sql", plan.payments)):
            for first, last in _ranges(many):
                _post(cursor, _payments(name), {**values, "first": first, "last": last})
                if last - first + 1 < BATCH:
                    cursor.execute(_PLANNED_BY)
                say(f"{plan.currency} {last} of {many}")


def _payments(name: str) -> str:
    """The SQL of a kind of batch, with the expression for ids in it."""
    return (_SQL / name).read_text().replace("{id}", _ID)


def _post(cursor: CursorWrapper, payments: str, values: dict[str, Any]) -> None:
    with transaction.atomic(using="owner", durable=True):
        _run(cursor, payments, values)
        cursor.execute("CREATE UNIQUE INDEX ON load_payment (id)")
        cursor.execute("ANALYZE load_payment")
        _run(cursor, (_SQL / "payments.sql").read_text(), values)


def _ranges(many: int) -> Iterator[tuple[int, int]]:
    first, size = 1, FIRST_BATCH
    while first <= many:
        yield first, min(first + size - 1, many)
        first, size = first + size, min(2 * size, BATCH)


def _run(cursor: CursorWrapper, statements: str, values: dict[str, Any]) -> None:
    """One statement after the other: values are given to each."""
    for statement in statements.split(";\n"):
        if statement.strip():
            cursor.execute(statement, values)


def _on_own_connection(work: Callable[[Plan, Say], None], plan: Plan, say: Say) -> None:
    try:
        work(plan, say)
    finally:
        connections["owner"].close()
