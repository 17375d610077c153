"""Clearing: approved units are posted in batches, each in one durable transaction.

A batch holds its locks for its whole length, so it is a few hundred units and not more. What the accounts, looked at
again under their locks, do not allow is set aside or failed in the same commit. A batch that the database refuses is
halved until the bad unit stands alone; that one is set aside for a human, and the others clear.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from uuid import UUID

import structlog
from django.db import DatabaseError, transaction

from accounts.models import Account
from accounts.selectors import system_account_id
from accounts.states import SystemPurpose
from ledger import posting, steps
from ledger.failures import FailureCode
from ledger.models import RailTransfer, Transaction
from ledger.posting import Verdict
from ledger.states import EscalationKind, Stage, TransactionKind
from wallet_project.utils.context import request_id, system_actor
from wallet_project.utils.errors import Unavailable, translate_database_error
from wallet_project.utils.nudges import nudge

logger = structlog.get_logger(__name__)

BATCH: Final = 500

#: What a receiver can't take: the code for the customers, and the reason for the log.
_UNRECEIVED: Final[Mapping[Verdict, tuple[FailureCode, str]]] = {
    "closed": (FailureCode.ACCOUNT_CLOSED, "the receiving account is closed"),
    "limited": (FailureCode.RECEIVER_LIMIT, "it goes beyond what the receiving account or its owner may take"),
}


def clear_due(*, limit: int = BATCH) -> int:
    """Post up to `limit` due units. Returns how many were due; when that is `limit`, there may be more, and it nudges.

    Raises the database's error when it is a passing one: everything was undone, and the sweep comes again.
    """
    try:
        claimed = _clear(limit=limit, only=None)
    except DatabaseError as error:
        if _passing(error):
            raise
        logger.warning("clearing_batch_refused", error=type(error).__name__)
        units = posting.due(Stage.CLEARING, limit=limit)
        _clear_halves(units)
        claimed = len(units)
    if claimed == limit:
        nudge("ledger.transaction_approved")
    return claimed


def _clear(*, limit: int, only: Sequence[UUID] | None) -> int:
    with transaction.atomic(durable=True):
        verdicts = posting.clear(limit=limit, actor=system_actor(), request_id=request_id.get(), only=only)
        for_suspense = _set_aside(verdicts)
    for unit in for_suspense:
        _divert_deposit(unit)
    return len(verdicts)


def _set_aside(verdicts: Iterable[tuple[UUID, Verdict]]) -> list[UUID]:
    """Park what a frozen account stops, fail what a closed one or one at its limit can't receive; returns the deposits
    among the latter, whose money the bank has collected."""
    for_suspense = []
    for unit, verdict in verdicts:
        if verdict == "cleared":
            continue
        transactions = _transactions_of(unit)
        if verdict == "frozen":
            steps.park([unit], error="the paying account is not open")
            steps.escalate(
                kind=EscalationKind.FROZEN_ACCOUNT,
                subject_type="transaction",
                subject_id=transactions[0].id,
                transaction_id=transactions[0].id,
                details={"at": "clearing", "account": str(transactions[0].debit_account_id)},
            )
        elif any(row.kind == TransactionKind.DEPOSIT for row in transactions):
            for_suspense.append(unit)
        else:
            _fail_unreceived(unit, verdict)
    return for_suspense


def _divert_deposit(unit: UUID) -> None:
    """The bank has collected for an account that was closed meanwhile, or that may take no more: fail, book to
    suspense, ask a human; one commit.

    The wallet's own accounts are locked first, all in id order with the customer's, as clearing does it. Then it is
    cleared once more: only what is still refused is diverted.
    """
    with transaction.atomic(durable=True):
        # Somebody else has seen to it when it does not wait any more.
        if steps.lock([unit]).get(unit) != Stage.CLEARING:
            return
        deposits = _transactions_of(unit)
        rails = RailTransfer.objects.filter(transaction__in=deposits).order_by("id").select_for_update(no_key=True)
        rail_of = {rail.transaction_id: rail for rail in rails}
        ids = {row.credit_account_id for row in deposits}
        for purpose in (SystemPurpose.SETTLEMENT, SystemPurpose.SUSPENSE):
            ids |= {system_account_id(purpose, row.currency) for row in deposits}
        list(Account.objects.filter(id__in=ids).order_by("id").select_for_update(no_key=True))
        verdicts = dict(posting.clear(limit=1, actor=system_actor(), request_id=request_id.get(), only=[unit]))
        verdict = verdicts.get(unit)
        if verdict is None or verdict not in _UNRECEIVED:
            return
        for row in deposits:
            steps.divert_to_suspense(row, rail_of[row.id], why=f"it could not be credited: {_UNRECEIVED[verdict][1]}")
        _fail_unreceived(unit, verdict)


def _fail_unreceived(unit: UUID, verdict: Verdict) -> None:
    code, reason = _UNRECEIVED[verdict]
    steps.fail([unit], code=code, actor=system_actor(), reason=reason)


def _clear_halves(units: Sequence[UUID]) -> None:
    """Clear what can be cleared of a batch that was refused as a whole."""
    if len(units) == 1:
        _clear_alone(units[0])
        return
    middle = len(units) // 2
    for half in (units[:middle], units[middle:]):
        try:
            _clear(limit=len(half), only=half)
        except DatabaseError as error:
            if _passing(error):
                raise
            _clear_halves(half)


def _clear_alone(unit: UUID) -> None:
    try:
        _clear(limit=1, only=[unit])
    except DatabaseError as error:
        if _passing(error):
            raise
        logger.error("unit_poisoned", unit=str(unit), error=type(error).__name__)
        with transaction.atomic(durable=True):
            if unit not in steps.park([unit], error=str(error)):
                return
            first = _transactions_of(unit)[0]
            steps.escalate(
                kind=EscalationKind.POISONED_UNIT,
                subject_type="transaction",
                subject_id=first.id,
                transaction_id=first.id,
                details={"error": str(error)[:500]},
            )


def _transactions_of(unit: UUID) -> list[Transaction]:
    return list(Transaction.objects.filter(id=unit)) or list(Transaction.objects.filter(group_id=unit).order_by("id"))


def _passing(error: DatabaseError) -> bool:
    """A timeout, a deadlock, a server that went away: the database undid it all, and later it may well work."""
    return isinstance(translate_database_error(error), Unavailable)
