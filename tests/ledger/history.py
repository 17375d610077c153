"""Histories of an account for tests of reads: posted in a moment, and then drawn out over days or years."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg
from django.db import connection, transaction

from accounts.models import Account
from ledger import posting, steps
from ledger.posting import Leg, Posted
from tests.support import money
from wallet_project.utils.context import system_actor
from wallet_project.utils.ids import uuid7

BEGINNING = datetime(2024, 1, 31, 23, 59, 59, 999_999, tzinfo=UTC)
_TABLES = ("ledger_transaction", "ledger_entry")
_COLUMNS = ("created_at", "approved_at", "captured_at", "cleared_at", "failed_at")


def database_now() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        [now] = cursor.fetchone() or []
    assert isinstance(now, datetime)
    return now


def pay(source: Account, destination: Account, amount: int, **more: Any) -> Posted:
    """Ask for a transfer; `expires_in` makes it a hold."""
    assert source.customer is not None
    leg = Leg(
        id=uuid7(),
        kind="transfer",
        debit=source.id,
        credit=destination.id,
        amount=amount,
        currency=source.currency,
        **more,
    )
    return money.post(leg, actor=money.actor_of(source.customer))


def capture(hold: Posted, payee: Account, amount: int) -> None:
    assert payee.customer is not None
    posting.capture(
        actor=money.actor_of(payee.customer),
        transaction_id=hold.transactions[0].id,
        amount=amount,
        key=uuid4().hex,
        request_hash=bytes(32),
        request_id="",
    )


def fail(posted: Posted) -> None:
    with transaction.atomic():
        steps.fail([posted.transactions[0].unit_id], code="cancelled", actor=system_actor(), reason="")


def draw_out(
    owner: psycopg.Connection, accounts: Sequence[Account], gaps: Sequence[timedelta], marks: Sequence[datetime]
) -> list[datetime]:
    """Give all that happened on the accounts other times, in the same order and `gaps` apart (over and over), from
    BEGINNING on. Returns the new times of `marks`."""
    ids = [account.id for account in accounts]
    of_accounts = "debit_account_id = ANY (%s) OR credit_account_id = ANY (%s)"
    rows = owner.execute(
        f"SELECT id, {', '.join(_COLUMNS)} FROM ledger_transaction WHERE {of_accounts}", [ids, ids]
    ).fetchall()
    lines = owner.execute("SELECT id, created_at FROM ledger_entry WHERE account_id = ANY (%s)", [ids]).fetchall()
    instants = sorted({*marks, *(each for row in (*rows, *lines) for each in row[1:] if each is not None)})
    new, at = {}, BEGINNING
    for number, instant in enumerate(instants):
        new[instant] = at
        at += gaps[number % len(gaps)]
    with owner.transaction():
        for table in _TABLES:
            owner.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        for row in rows:
            times = dict(zip(_COLUMNS, (new.get(each) for each in row[1:]), strict=True))
            owner.execute(
                f"UPDATE ledger_transaction SET expires_at = expires_at + interval '1000 years', "
                f"{', '.join(f'{column} = %({column})s' for column in _COLUMNS)}, "
                "waited = ledger_wait(%(created_at)s, %(cleared_at)s, %(failed_at)s) WHERE id = %(id)s",
                {**times, "id": row[0]},
            )
        for line_id, created_at in lines:
            owner.execute("UPDATE ledger_entry SET created_at = %s WHERE id = %s", [new[created_at], line_id])
        for table in _TABLES:
            owner.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
    return [new[mark] for mark in marks]
