"""Requests for money: one round trip that claims the key, reserves the funds and records what was asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar, Literal
from uuid import UUID

import psycopg
from django.db import OperationalError, connection

from accounts.idempotency import IdempotencyKeyReused, RequestInProgress
from accounts.selectors import AccountNotFound
from ledger.models import Transaction
from ledger.posting.calls import rows
from wallet_project.utils.context import Actor
from wallet_project.utils.database import connect_anew
from wallet_project.utils.errors import (
    Conflict,
    DatabaseUnavailable,
    Refused,
    database_refusals,
    on_sqlstate,
    translate_database_error,
)
from wallet_project.utils.jsons import json_text

Outcome = Literal["created", "refused", "replayed"]


class AccountNotOpen(Refused):
    """`side`: debit or credit."""

    code = "account_not_open"
    message = "The account is not open. Money can leave an open account only, and reach one that is open or frozen."


class CurrencyMismatch(Refused):
    """`side`: debit or credit."""

    code = "currency_mismatch"
    message = "Both accounts and the amount must have one currency."


class NotReversible(Conflict):
    """`transaction_status` is that of the transaction that was to be reversed."""

    code = "not_reversible"
    message = "Only what has cleared can be reversed: a transfer, back to where it came from."


class ReversalExceeds(Refused):
    """`left`: minor units that have not been reversed yet."""

    code = "reversal_exceeds"
    message = "Reversals can't add up to more than what was cleared."
    example_facts: ClassVar[Mapping[str, Any]] = {"left": 500}


# Each says in `side` which account it is about: debit or credit, as the transaction would see it.
on_sqlstate("WL001", AccountNotFound)
on_sqlstate("WL002", AccountNotOpen)
on_sqlstate("WL003", CurrencyMismatch)
on_sqlstate("WL004", NotReversible)
on_sqlstate("WL005", ReversalExceeds)
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
    #: Seconds: a hold, which its payee has to capture before they are over.
    expires_in: int | None = None

    def row(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Posted:
    """What became of a request: the outcome, and its transactions as they are now."""

    outcome: Outcome
    transactions: list[Transaction]


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

    Too little money, or a limit, is not an error here: the outcome is `refused` and the transactions are recorded as
    failed. A replay gives what the first request made, as it is now (a second round trip).
    Raises AccountNotFound, AccountNotOpen, CurrencyMismatch, NotReversible, ReversalExceeds, IdempotencyKeyReused,
    RequestInProgress.
    """
    unit, made = ask(
        actor=actor,
        legs=legs,
        key=key,
        operation=operation,
        request_hash=request_hash,
        request_id=request_id,
        unit_id=unit_id,
    )
    outcome: Outcome = made[0][0]
    if outcome == "replayed":
        return Posted(outcome, list(Transaction.objects.filter(id__in=[row[1] for row in made]).order_by("id")))
    # Rows come in the order of ids.
    in_order = sorted(legs, key=lambda leg: leg.id)
    return Posted(
        outcome,
        [
            transaction_of(
                leg,
                initiator_id=actor.principal_id,
                unit_id=unit,
                status=status,
                failure=failure,
                created_at=created_at,
            )
            for (_, _, _, status, failure, created_at, _), leg in zip(made, in_order, strict=True)
        ],
    )


def ask(
    *,
    actor: Actor,
    legs: Sequence[Leg],
    key: str,
    operation: str,
    request_hash: bytes,
    request_id: str,
    unit_id: UUID | None,
) -> tuple[UUID, list[tuple[Any, ...]]]:
    """The unit's id and what the function gives: (outcome, id, group, status, failure, created, expires) of each."""
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
        json_text([leg.row() for leg in legs]),
        request_id,
    ]
    with database_refusals():
        return unit, _post(parameters)


def _post(parameters: list[Any]) -> list[tuple[Any, ...]]:
    sql = "SELECT * FROM ledger_post_pending(%s, %s, %s, %s, %s, %s, %s, %s)"
    try:
        return rows(sql, parameters)
    except OperationalError as error:
        if waited_for_the_key(error):
            raise RequestInProgress() from error
        if connection.in_atomic_block or not isinstance(translate_database_error(error), DatabaseUnavailable):
            raise
        # The server has gone away since this thread last spoke to it. The key makes it safe to ask once more.
        connect_anew()
        return rows(sql, parameters)


def waited_for_the_key(error: OperationalError) -> bool:
    """A lock timeout at the key, not at an account: PostgreSQL names the index that it was inserting into."""
    cause = error.__cause__
    return isinstance(cause, psycopg.errors.LockNotAvailable) and "accounts_idempotencyclaim" in (
        cause.diag.context or ""
    )


def transaction_of(
    leg: Leg, *, initiator_id: UUID, unit_id: UUID, status: str, failure: str, created_at: datetime
) -> Transaction:
    """What was just recorded for a leg, without reading it."""
    expires = None if leg.expires_in is None else created_at + timedelta(seconds=leg.expires_in)
    return Transaction(
        id=leg.id,
        kind=leg.kind,
        status=status,
        debit_account_id=leg.debit,
        credit_account_id=leg.credit,
        amount=leg.amount,
        currency=leg.currency,
        group_id=unit_id if unit_id != leg.id else None,
        initiator_id=initiator_id,
        reference=leg.reference,
        metadata=dict(leg.metadata),
        beneficiary=dict(leg.beneficiary) if leg.beneficiary is not None else None,
        reverses_id=leg.reverses,
        failure=failure,
        created_at=created_at,
        expires_at=expires,
    )
