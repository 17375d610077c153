"""What a customer asks for: deposit, withdraw, transfer, what that would cost, cancel.

Each of the first three is one autocommitted round trip for the money; screening, the bank and clearing follow in the
background. Somebody else's account is no account.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction

from accounts.selectors import customer_id_of, system_account_id
from accounts.states import SystemPurpose
from ledger import fees, steps
from ledger.failures import FailureCode
from ledger.models import Transaction
from ledger.posting import Answer as Answer
from ledger.posting import Asked as Asked
from ledger.posting import Leg
from ledger.selectors import TransactionView
from ledger.services import parties
from ledger.services.requests import ON_RECORD as ON_RECORD
from ledger.services.requests import REFUSALS as REFUSALS
from ledger.services.requests import Accepted as Accepted
from ledger.services.requests import FeeChanged as FeeChanged
from ledger.services.requests import InsufficientFunds as InsufficientFunds
from ledger.services.requests import LimitExceeded as LimitExceeded
from ledger.services.requests import TransactionNotFound as TransactionNotFound
from ledger.services.requests import accepted as accepted
from ledger.services.requests import asked_for, posted_alone, with_fee
from ledger.services.requests import post_alone as post_alone
from ledger.services.requests import post_together as post_together
from ledger.services.requests import see as see
from ledger.states import Stage, TransactionKind, TransactionStatus
from wallet_project.utils.context import Actor
from wallet_project.utils.errors import Conflict, Refused
from wallet_project.utils.ids import uuid7
from wallet_project.utils.money import Money


class SameAccount(Refused):
    code = "same_account"
    message = "Source and destination are the same account."


class NotCancellable(Conflict):
    """`transaction_status`: where it stands."""

    code = "not_cancellable"
    message = "It has ended, or its payee or a bank may count on it: it can't be cancelled any more."
    example_facts = {"transaction_status": "cleared"}


@dataclass(frozen=True, slots=True)
class Quote:
    """What a payment of `amount` costs now, all in minor units of `currency`."""

    amount: int
    fee: int
    currency: str

    @property
    def total(self) -> int:
        return self.amount + self.fee


def quote(*, actor: Actor, kind: str, amount: Money) -> Quote:
    """What a transfer or a withdrawal would cost. Nothing is promised but to say so when it has changed.

    Raises NotACustomer.
    """
    customer_id_of(actor)
    return Quote(amount.amount, fees.fee_of(kind, amount), amount.currency)


def ask_deposit(
    *, actor: Actor, account: UUID, amount: Money, reference: str = "", key: str, request_hash: bytes
) -> Asked:
    """Ask for `amount` to be collected from the bank onto `account`, once it is approved.

    Raises NotACustomer; posted, AccountNotFound, AccountNotOpen, CurrencyMismatch, IdempotencyKeyReused,
    RequestInProgress.
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
    return asked_for([leg], actor=actor, operation="deposit", key=key, request_hash=request_hash)


def ask_withdrawal(
    *,
    actor: Actor,
    account: UUID,
    amount: Money,
    beneficiary: UUID | Mapping[str, str],
    reference: str = "",
    fee: int | None = None,
    key: str,
    request_hash: bytes,
) -> Asked:
    """Reserve `amount` and what it costs on `account`, and have it paid out to `beneficiary`, {name, iban} or the id
    of one that is kept, once it is approved. `fee`: what the customer was told that it costs, in minor units.

    Raises NotACustomer, BeneficiaryNotFound, FeeChanged; posted, as a deposit does, and InsufficientFunds,
    LimitExceeded.
    """
    leg = Leg(
        id=uuid7(),
        kind=TransactionKind.WITHDRAWAL,
        debit=account,
        credit=system_account_id(SystemPurpose.SETTLEMENT, amount.currency),
        amount=amount.amount,
        currency=amount.currency,
        reference=reference,
        beneficiary=parties.bank_account(beneficiary, actor=actor, key=key),
    )
    legs = with_fee(leg, quoted=fee, actor=actor, key=key)
    return asked_for(legs, actor=actor, operation="withdrawal", key=key, request_hash=request_hash)


def ask_transfer(
    *,
    actor: Actor,
    source: UUID,
    destination: UUID | str,
    amount: Money,
    reference: str = "",
    metadata: Mapping[str, Any] | None = None,
    fee: int | None = None,
    expires_in: int | None = None,
    key: str,
    request_hash: bytes,
) -> Asked:
    """Reserve `amount` and what it costs on `source` for a transfer to `destination`: anybody's account, or
    a payee's handle (a str).

    With `expires_in` (seconds) it is held until its payee captures it, and ends when he has not by then.
    Raises NotACustomer, PayeeNotFound, SameAccount, FeeChanged; posted, as a withdrawal does.
    """
    leg = transfer_leg(
        source=source,
        destination=parties.destination_account(destination, amount.currency, actor=actor, key=key),
        amount=amount,
        reference=reference,
        metadata=metadata,
        expires_in=expires_in,
    )
    legs = with_fee(leg, quoted=fee, actor=actor, key=key)
    return asked_for(legs, actor=actor, operation="transfer", key=key, request_hash=request_hash)


deposit = posted_alone(ask_deposit)
withdraw = posted_alone(ask_withdrawal)
transfer = posted_alone(ask_transfer)


def transfer_leg(
    *,
    source: UUID,
    destination: UUID,
    amount: Money,
    reference: str = "",
    metadata: Mapping[str, Any] | None = None,
    expires_in: int | None = None,
) -> Leg:
    """Raises SameAccount."""
    if source == destination:
        raise SameAccount()
    return Leg(
        id=uuid7(),
        kind=TransactionKind.TRANSFER,
        debit=source,
        credit=destination,
        amount=amount.amount,
        currency=amount.currency,
        reference=reference,
        metadata=metadata or {},
        expires_in=expires_in,
    )


def cancel(*, actor: Actor, transaction_id: UUID) -> TransactionView:
    """Call off what the customer asked for, with the group that it belongs to, while nobody else counts on it: no bank
    has it, and it is not held for its payee or captured by him. Cancelled twice is cancelled.

    Raises NotACustomer, TransactionNotFound, NotCancellable.
    """
    customer_id = customer_id_of(actor)
    with transaction.atomic(durable=True):
        seen = see(actor=actor, transaction_id=transaction_id)
        asked = Transaction.objects.filter(id=transaction_id, initiator__user__customer=customer_id)
        mine = asked.values_list("group_id").first()
        if mine is None:
            # Its receiver's, who sees it as well.
            raise NotCancellable(transaction_status=seen.status)
        unit = mine[0] or transaction_id
        stage = steps.lock([unit]).get(unit)
        # What a payee counts on is captured, or waits for that.
        free = asked.filter(status=TransactionStatus.PENDING, captured_at=None).exists() and stage != Stage.HELD
        if free:
            steps.fail([unit], code=FailureCode.CANCELLED, actor=actor, reason="cancelled by its customer")
        # As it is now: whoever had the lock before may have cancelled it.
        seen = see(actor=actor, transaction_id=transaction_id)
        if seen.failure != FailureCode.CANCELLED:
            raise NotCancellable(transaction_status=seen.status)
        return seen
