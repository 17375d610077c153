"""Fills a database with customers, accounts and payments that verify: as its owner, all triggers and constraints on.

The application's role may not write balances, and a payment at a time through the posting functions takes a
millisecond: five million entries would take an hour. So the same rows are written here in batches, and no guard is
switched off for it: states, pairs of entries, keys and checks are held by the database as always, and `verify_ledger`
proves the rest. What is not called are the posting functions, and with them the limits (generated customers have none)
and the rules; the facts that rules speak of are recorded as screening finds them, so that a backtest has a past.
Indexes that guard nothing are made when all is there (`indexes`).

Each currency is filled by a connection of its own, as two currencies share no account; a third one seals behind them.
"""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

from django.db import connections, transaction
from django.db.backends.utils import CursorWrapper

from compliance.limits import limits_in_force
from wallet_project.chain.sealing import seal_all
from wallet_project.load import indexes
from wallet_project.utils.context import system_actor

CURRENCIES: Final = ("EUR", "USD")
#: Payments of a transaction: it is a block of the chain, too, and a verifier holds a block in memory.
BATCH: Final = 10_000
#: Rows of each table in a block of the chain, unless a batch wrote more.
_BLOCK: Final = 10_000
#: Minor units: a payment is 1 to this.
MOST: Final = 10_000
#: Of fifty payments one comes to nothing (sql/batch.sql), and has no entries.
_ONE_FAILS_OF: Final = 50
_SQL: Final = Path(__file__).parent / "sql"
#: A UUIDv7 of a payment's time (RFC 9562): as those that are made by requests, ids go up with time.
_ID: Final = (
    "(lpad(to_hex((date_part('epoch', p.at) * 1000)::bigint), 12, '0') || '7' || lpad(to_hex(p.n %% 4096), 3, '0')"
    " || right(gen_random_uuid()::text, 17))::uuid"
)

_FATE: Final = "CASE n %% 100 WHEN 0 THEN 'refused' WHEN 50 THEN 'cancelled' ELSE 'cleared' END"
_AMOUNT: Final = "1 + n * 7919 %% %(most)s"
#: Nobody waits for these rows, and none is lost alone. What a batch refers to is looked up by an index, also where the
#: database has not seen yet how much there is.
_SETTINGS: Final = (
    "SET work_mem = '128MB'; SET synchronous_commit = off; SET lock_timeout = 0; SET enable_seqscan = off"
)

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
    with indexes.made_afterwards():
        with ThreadPoolExecutor(len(plans)) as pool:
            filling = {pool.submit(indexes.on_own_connection, partial(_fill, plan, plans, say)) for plan in plans}
            while filling:
                done, filling = wait(filling, timeout=1, return_when=FIRST_EXCEPTION)
                for each in done:
                    each.result()
                seal_all(rows=_BLOCK, using="owner")
        seal_all(rows=_BLOCK, using="owner")
        say("sealed")
    say("indexed")
    with connections["owner"].cursor() as cursor:
        # Statistics of empty tables would give plans for empty tables.
        cursor.execute("ANALYZE")
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
        _run(cursor, _statements("people.sql"), values)
        for account, principal, currency in cursor.fetchall():
            by_currency[currency].append((account, principal))
    return by_currency


def _fill(plan: Plan, plans: Sequence[Plan], say: Say) -> None:
    values: dict[str, Any] = {
        "currency": plan.currency,
        "accounts": len(plan.accounts),
        "beginning": plan.beginning,
        "step": plan.step,
        "funds": plan.funds,
        "most": _most(),
        "system": system_actor().principal_id,
        "currencies": [each.currency for each in plans],
        "payers": [len(each.accounts) for each in plans],
        "many": [each.payments for each in plans],
        "steps": [each.step // timedelta(microseconds=1) for each in plans],
    }
    with connections["owner"].cursor() as cursor:
        cursor.execute(_SETTINGS)
        cursor.execute("CREATE TEMPORARY TABLE load_account (number bigint PRIMARY KEY, id uuid, principal_id uuid)")
        cursor.execute(
            "INSERT INTO load_account SELECT a.n - 1, a.id, a.principal"
            " FROM unnest(%s::uuid[], %s::uuid[]) WITH ORDINALITY AS a (id, principal, n)",
            [[account for account, _ in plan.accounts], [principal for _, principal in plan.accounts]],
        )
        _run(cursor, _statements("facts.sql"), values)
        cursor.execute("ANALYZE load_account, load_fact")
        say(f"{plan.currency} facts")
        for name, many in (("opening.sql", len(plan.accounts)), ("batch.sql", plan.payments)):
            for first in range(1, many + 1, BATCH):
                last = min(first + BATCH - 1, many)
                _post(cursor, _statements(name), {**values, "first": first, "last": last})
                say(f"{plan.currency} {last} of {many}")


def _most() -> int:
    """So little that no limit looks at it: screening would then look for the payee."""
    looked_at = [
        each
        for limits in limits_in_force().values()
        for each in (limits.first_payment_amount, *(low for low, _ in limits.bands()))
    ]
    return max(min(MOST, *(each - 1 for each in looked_at)), 1)


def _statements(name: str) -> str:
    """The SQL of a file, with the expressions that several share in it."""
    return (_SQL / name).read_text().replace("{id}", _ID).replace("{fate}", _FATE).replace("{amount}", _AMOUNT)


def _post(cursor: CursorWrapper, payments: str, values: dict[str, Any]) -> None:
    with transaction.atomic(using="owner", durable=True):
        _run(cursor, payments, values)
        cursor.execute("CREATE UNIQUE INDEX ON load_payment (id)")
        cursor.execute("ANALYZE load_payment")
        _run(cursor, _statements("payments.sql"), values)


def _run(cursor: CursorWrapper, statements: str, values: dict[str, Any]) -> None:
    """One statement after the other: values are given to each."""
    for statement in statements.split(";\n"):
        if statement.strip():
            cursor.execute(statement, values)
