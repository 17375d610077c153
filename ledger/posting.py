"""The only way to money: thin typed calls of the database functions in ledger/sql. Amounts are minor units."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import psycopg
from django.db import OperationalError, connection

from accounts.idempotency import IdempotencyKeyReused, RequestInProgress
from accounts.selectors import AccountNotFound
from ledger.models import Transaction
from wallet_project.utils.context import Actor
from wallet_project.utils.errors import (
    DatabaseUnavailable,
    Refused,
    database_refusals,
    on_sqlstate,
    translate_database_error,
)

Outcome = Literal["created", "refused", "replayed"]
Verdict = Literal["cleared", "frozen", "closed"]


class AccountNotOpen(Refused):
    """`side`: debit or credit."""

    code = "account_not_open"
    message = "The account is not open. Money can leave an open account only, and reach one that is open or frozen."


class CurrencyMismatch(Refused):
    """`side`: debit or credit."""

    code = "currency_mismatch"
    message = "Both accounts and the amount must have one currency."


# Each says in `side` which account it is about: debit or credit, as the transaction would see it.
on_sqlstate("WL001", AccountNotFound)
on_sqlstate("WL002", AccountNotOpen)
on_sqlstate("WL003", CurrencyMismatch)
on_sqlstate("WL010", IdempotencyKeyReused)


@dataclass(frozen=True, slots=True)
class Leg:
    """One transaction to be: `amount` minor units of `currency` from `debit` to `credit`."""

    id: UUID
    kind: str
    debit: UUID
    credit: UUID
    amount: int
    currency: str
    reference: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    beneficiary: Mapping[str, str] | None = None
    reverses: UUID | None = None

    def row(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Posted:
    """What became of a request: the outcome, and its transactions as they are now."""

    outcome: Outcome
    transactions: list[Transaction]


@dataclass(frozen=True, slots=True)
class Claimed:
    """A leased unit. What is decided about it counts only while the token is still its own."""

    unit_id: UUID
    token: UUID
    attempts: int


def post_pending(
    *,
    actor: Actor,
    legs: Sequence[Leg],
    key: str,
    operation: str,
    request_hash: bytes,
    request_id: str,
    unit_id: UUID | None = None,
) -> Posted:
    """Reserve the funds and record one unit (all legs or none) as pending: one round trip, committed when it returns.

    Too little money is not an error here: the outcome is `refused` and the transactions are recorded as failed.
    Raises AccountNotFound, AccountNotOpen, CurrencyMismatch, IdempotencyKeyReused, RequestInProgress.
    """
    if len(legs) > 1 and (unit_id is None or unit_id in {leg.id for leg in legs}):
        raise ValueError("a unit of several legs has an id of its own")
    unit = unit_id or legs[0].id
    parameters = [
        actor.principal_id,
        actor.customer_id,
        key,
        operation,
        request_hash,
        unit,
        json.dumps([leg.row() for leg in legs], default=str),
        request_id,
    ]
    with database_refusals():
        rows = _post(parameters)
    # Rows come in the order of ids. A replay has the first request's; its hash says that it asked for the same.
    in_order = sorted(legs, key=lambda leg: leg.id)
    return Posted(
        outcome=rows[0][0],
        transactions=[_transaction(row, leg, actor) for row, leg in zip(rows, in_order, strict=True)],
    )


def _post(parameters: list[Any]) -> list[tuple[Any, ...]]:
    sql = "SELECT * FROM ledger_post_pending(%s, %s, %s, %s, %s, %s, %s, %s)"
    try:
        return _rows(sql, parameters)
    except OperationalError as error:
        if _waited_for_the_key(error):
            raise RequestInProgress() from error
        if connection.in_atomic_block or not isinstance(translate_database_error(error), DatabaseUnavailable):
            raise
        # The server has gone away since this thread last spoke to it. The key makes it safe to ask once more.
        connection.close()
        return _rows(sql, parameters)


def _waited_for_the_key(error: OperationalError) -> bool:
    """A lock timeout at the key, not at an account: PostgreSQL names the index that it was inserting into."""
    cause = error.__cause__
    return isinstance(cause, psycopg.errors.LockNotAvailable) and "accounts_idempotencyclaim" in (
        cause.diag.context or ""
    )


def _transaction(row: tuple[Any, ...], leg: Leg, actor: Actor) -> Transaction:
    _, id_, group_id, status, failure, created_at, approved_at, captured_amount, captured_at, cleared_at = row
    return Transaction(
        id=id_,
        kind=leg.kind,
        status=status,
        debit_account_id=leg.debit,
        credit_account_id=leg.credit,
        amount=leg.amount,
        currency=leg.currency,
        group_id=group_id,
        initiator_id=actor.principal_id,
        reference=leg.reference,
        metadata=dict(leg.metadata),
        beneficiary=dict(leg.beneficiary) if leg.beneficiary is not None else None,
        reverses_id=leg.reverses,
        failure=failure,
        created_at=created_at,
        approved_at=approved_at,
        captured_amount=captured_amount,
        captured_at=captured_at,
        cleared_at=cleared_at,
    )


def claim(stage: str, *, limit: int, lease: timedelta) -> list[Claimed]:
    """Lease up to `limit` due units of a stage; never waits for another worker."""
    return [Claimed(*row) for row in _rows("SELECT * FROM ledger_claim(%s, %s, %s)", [stage, limit, lease])]


def lock(units: Sequence[UUID], tokens: Sequence[UUID] | None = None) -> dict[UUID, str]:
    """Lock units that still wait until the transaction ends, and say in which stage each is."""
    return dict(_rows("SELECT * FROM ledger_lock(%s, %s)", [list(units), _tokens(tokens)]))


def approve(units: Sequence[UUID], tokens: Sequence[UUID] | None = None) -> set[UUID]:
    """Mark screened units as approved; what goes over a bank gets its rail transfer. Returns those that were."""
    return _units("SELECT ledger_approve(%s, %s)", [list(units), _tokens(tokens)])


def hold_for_review(units: Sequence[UUID], tokens: Sequence[UUID] | None = None) -> set[UUID]:
    """Let units wait for an officer. Returns those that do."""
    return _units("SELECT ledger_hold_for_review(%s, %s)", [list(units), _tokens(tokens)])


def park(units: Sequence[UUID], error: str) -> set[UUID]:
    """Set units aside for a human; the caller escalates in the same commit."""
    return _units("SELECT ledger_park(%s, %s)", [list(units), error])


def resume(units: Sequence[UUID]) -> set[UUID]:
    """Put units that were set aside, or whose bank has spoken, back to work at the stage their rows call for."""
    return _units("SELECT ledger_resume(%s)", [list(units)])


def fail(
    units: Sequence[UUID],
    *,
    code: str,
    actor: Actor,
    reason: str,
    request_id: str,
    tokens: Sequence[UUID] | None = None,
) -> set[UUID]:
    """End pending units as failed and release what they reserved. Returns those that did."""
    return _units(
        "SELECT ledger_fail(%s, %s, %s, %s, %s, %s)",
        [list(units), _tokens(tokens), code, actor.principal_id, reason[:500], request_id],
    )


def clear(
    *, limit: int, actor: Actor, request_id: str, only: Sequence[UUID] | None = None
) -> list[tuple[UUID, Verdict]]:
    """Post a batch of due units, or just those in `only`; each comes back with its verdict.

    `frozen` and `closed` units are left as they were, locked: the caller parks or fails them before it commits.
    """
    rows = _rows(
        "SELECT * FROM ledger_clear(%s, %s, %s, %s)",
        [limit, None if only is None else list(only), actor.principal_id, request_id],
    )
    return [(unit, verdict) for unit, verdict in rows]


def due(stage: str, *, limit: int, now: datetime | None = None) -> list[UUID]:
    """Ids of due units of a stage, without a lock: what a failed batch is cut into."""
    return [
        row[0]
        for row in _rows(
            "SELECT unit_id FROM ledger_workitem WHERE stage = %s AND next_at <= coalesce(%s, clock_timestamp()) "
            "ORDER BY unit_id LIMIT %s",
            [stage, now, limit],
        )
    ]


def _tokens(tokens: Sequence[UUID] | None) -> list[UUID] | None:
    return None if tokens is None else list(tokens)


def _units(sql: str, parameters: list[Any]) -> set[UUID]:
    return {row[0] for row in _rows(sql, parameters)}


def _rows(sql: str, parameters: list[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows
