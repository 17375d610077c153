"""What a customer asks for: deposit, withdraw, transfer, cancel.

Each of the first three is one autocommitted round trip for the money; screening, the bank and clearing follow in the
background. Somebody else's account is no account.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog
from django.db import transaction

from accounts.idempotency import IdempotencyKeyReused, RequestInProgress
from accounts.selectors import AccountNotFound, customer_id_of, system_account_id
from accounts.states import SystemPurpose
from ledger import posting, selectors, steps
from ledger.failures import FailureCode, public_failure
from ledger.models import Transaction
from ledger.posting import Leg
from ledger.selectors import TransactionView
from ledger.states import Stage, TransactionKind, TransactionStatus
from wallet_project.utils.context import Actor, request_id
from wallet_project.utils.errors import Conflict, NotFound, Refused
from wallet_project.utils.ids import uuid7
from wallet_project.utils.money import Money
from wallet_project.utils.nudges import nudge


class InsufficientFunds(Refused):
    """`transaction` is the id of the failed transaction that records it. `replayed`: it was refused before."""

    code = "insufficient_funds"
    message = public_failure(FailureCode.INSUFFICIENT_FUNDS)["message"]
    example_facts = {"transaction": "01980000-0000-7000-8000-000000000001"}

    def __init__(self, *, transaction: UUID, replayed: bool) -> None:
        super().__init__(transaction=transaction)
        self.replayed = replayed


class SameAccount(Refused):
    code = "same_account"
    message = "Source and destination are the same account."


class TransactionNotFound(NotFound):
    code = "transaction_not_found"
    message = "There is no such transaction, or it is not yours."


class NotCancellable(Conflict):
    """`transaction_status`: where it stands."""

    code = "not_cancellable"
    message = "It has ended, or the bank may already have it: it can't be cancelled any more."


#: What any request for money can be refused with.
REFUSALS = (
    AccountNotFound,
    posting.AccountNotOpen,
    posting.CurrencyMismatch,
    IdempotencyKeyReused,
    RequestInProgress,
)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The transaction as its customer sees it. `replayed`: an earlier request with the same key had made it."""

    transaction: TransactionView
    replayed: bool


def deposit(
    *, actor: Actor, account: UUID, amount: Money, reference: str = "", key: str, request_hash: bytes
) -> Accepted:
    """Ask for `amount` to be collected from the bank onto `account`, once it is approved.

    Raises NotACustomer, AccountNotFound, AccountNotOpen, CurrencyMismatch, IdempotencyKeyReused, RequestInProgress.
    """
    leg = Leg(
        id=uuid7(),
        kind=TransactionKind.DEPOSIT,
        debit=system_account_id(SystemPurpose.SETTLEMENT, amount.currency),
        credit=account,
        amount=amount.amount,
        currency=amount.currency,
        reference=reference,
    )
    return _request(leg, actor=actor, operation="deposit", key=key, request_hash=request_hash)


def withdraw(
    *,
    actor: Actor,
    account: UUID,
    amount: Money,
    beneficiary: Mapping[str, str],
    reference: str = "",
    key: str,
    request_hash: bytes,
) -> Accepted:
    """Reserve `amount` on `account` and have it paid out to `beneficiary` {name, iban}, once it is approved.

    Raises as `deposit` does, and InsufficientFunds.
    """
    leg = Leg(
        id=uuid7(),
        kind=TransactionKind.WITHDRAWAL,
        debit=account,
        credit=system_account_id(SystemPurpose.SETTLEMENT, amount.currency),
        amount=amount.amount,
        currency=amount.currency,
        reference=reference,
        beneficiary=beneficiary,
    )
    return _request(leg, actor=actor, operation="withdrawal", key=key, request_hash=request_hash)


def transfer(
    *,
    actor: Actor,
    source: UUID,
    destination: UUID,
    amount: Money,
    reference: str = "",
    metadata: Mapping[str, Any] | None = None,
    key: str,
    request_hash: bytes,
) -> Accepted:
    """Reserve `amount` on `source` for a transfer to `destination`, anybody's account.

    Raises as `withdraw` does, and SameAccount.
    """
    if source == destination:
        raise SameAccount()
    leg = Leg(
        id=uuid7(),
        kind=TransactionKind.TRANSFER,
        debit=source,
        credit=destination,
        amount=amount.amount,
        currency=amount.currency,
        reference=reference,
        metadata=metadata or {},
    )
    return _request(leg, actor=actor, operation="transfer", key=key, request_hash=request_hash)


def see(*, actor: Actor, transaction_id: UUID) -> TransactionView:
    """The transaction as the customer sees it. Raises NotACustomer, TransactionNotFound."""
    seen = selectors.transaction_of_customer(customer_id_of(actor), transaction_id)
    if seen is None:
        raise TransactionNotFound()
    return seen


def cancel(*, actor: Actor, transaction_id: UUID) -> TransactionView:
    """Call off what the customer pays or asked to be collected, while no bank has it. Cancelled twice is cancelled.

    Raises NotACustomer, TransactionNotFound, NotCancellable.
    """
    with transaction.atomic(durable=True):
        seen = see(actor=actor, transaction_id=transaction_id)
        # A receiver does not see what is pending, so whoever sees it here is the one who asked for it.
        if seen.status == TransactionStatus.PENDING:
            unit = Transaction.objects.only("id", "group_id").get(id=transaction_id)
            steps.fail(
                [unit.group_id or unit.id], code=FailureCode.CANCELLED, actor=actor, reason="cancelled by its customer"
            )
            seen = see(actor=actor, transaction_id=transaction_id)
        if seen.failure != FailureCode.CANCELLED:
            raise NotCancellable(transaction_status=seen.status)
        return seen


def _request(leg: Leg, *, actor: Actor, operation: str, key: str, request_hash: bytes) -> Accepted:
    # To the posting function an actor without a customer is the wallet itself, who may move anybody's money.
    customer_id = customer_id_of(actor)
    posted = posting.post_pending(
        actor=actor,
        legs=[leg],
        key=key,
        operation=operation,
        request_hash=request_hash,
        request_id=request_id.get(),
    )
    made = posted.transactions[0]
    # So that the request's own line in the log says which transaction it was about.
    structlog.contextvars.bind_contextvars(transaction_id=str(made.id))
    replayed = posted.outcome == "replayed"
    if made.failure == FailureCode.INSUFFICIENT_FUNDS:
        raise InsufficientFunds(transaction=made.id, replayed=replayed)
    if replayed:
        # It may have gone on since: told as it is now.
        seen = selectors.transaction_of_customer(customer_id, made.id)
        assert seen is not None, "whoever asked for it sees it"
        return Accepted(seen, replayed=True)
    nudge("ledger.transaction_pending")
    return Accepted(_just_made(made), replayed=False)


def _just_made(made: Transaction) -> TransactionView:
    return TransactionView(
        id=made.id,
        kind=made.kind,
        status=made.status,
        stage=selectors.public_stage(Stage.SCREENING),
        amount=made.amount,
        currency=made.currency,
        source=None if made.kind == TransactionKind.DEPOSIT else made.debit_account_id,
        destination=None if made.kind == TransactionKind.WITHDRAWAL else made.credit_account_id,
        reference=made.reference,
        metadata=made.metadata,
        failure=made.failure,
        created_at=made.created_at,
        cleared_at=made.cleared_at,
    )
