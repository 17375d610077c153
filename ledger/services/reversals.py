"""Reversals: the owner of the account that a transfer was paid to gives it back, in full or in part.

A reversal is a transaction of its own that points at the other one. However many there are and however many come at
once, together they never exceed what was cleared: the database counts them under a lock.
"""

from typing import Final
from uuid import UUID

from django.db.models import Q

from accounts.selectors import AccountNotFound, customer_id_of
from ledger import posting
from ledger.models import Transaction
from ledger.posting import Leg
from ledger.services.requests import ON_RECORD, REFUSALS, Accepted, TransactionNotFound, accepted, asked_for, post_alone
from ledger.states import TransactionKind, TransactionStatus
from wallet_project.utils.context import Actor
from wallet_project.utils.ids import uuid7

NotReversible = posting.NotReversible
#: What giving back can be refused with.
REVERSAL_REFUSALS: Final = (
    TransactionNotFound,
    posting.NotReversible,
    posting.ReversalExceeds,
    *(refusal for refusal in REFUSALS if refusal is not AccountNotFound),
    *ON_RECORD,
)

# As in ledger.selectors: what has cleared, his own deposits, and what is held for him.
_RECEIVER_SEES: Final = (
    Q(status=TransactionStatus.CLEARED)
    | Q(kind=TransactionKind.DEPOSIT)
    | Q(expires_at__isnull=False, approved_at__isnull=False)
)


def find_received(*, actor: Actor, transaction_id: UUID) -> Transaction:
    """A transfer to one of the customer's accounts that he can see. What else he received is not his to give back.

    Raises NotACustomer, TransactionNotFound, NotReversible.
    """
    visible = Transaction.objects.filter(_RECEIVER_SEES, credit_account__customer=customer_id_of(actor))
    received = visible.filter(id=transaction_id).first()
    if received is None:
        raise TransactionNotFound()
    # What has not cleared yet is refused here already: the ledger would wait for whoever is clearing it, with the locks
    # the other way round.
    if received.kind != TransactionKind.TRANSFER or received.status != TransactionStatus.CLEARED:
        raise NotReversible(transaction_status=received.status)
    return received


def reverse(
    *, actor: Actor, received: Transaction, amount: int | None, reason: str, key: str, request_hash: bytes
) -> Accepted:
    """Give `amount` (minor units; all that is left when None) of a cleared transfer back to who paid it.

    `reason` is for the payer to read. Raises the REVERSAL_REFUSALS.
    """
    wanted = amount or received.captured_amount or received.amount
    while True:
        leg = Leg(
            id=uuid7(),
            kind=TransactionKind.REVERSAL,
            debit=received.credit_account_id,
            credit=received.debit_account_id,
            amount=wanted,
            currency=received.currency,
            reference=reason,
            reverses=received.id,
        )
        asked = asked_for([leg], actor=actor, operation="reversal", key=key, request_hash=request_hash)
        try:
            return accepted(asked, post_alone(asked))
        except posting.ReversalExceeds as error:
            left: int = error.facts["left"]
            if amount is not None or not 0 < left < wanted:
                raise
            # All that is left was asked for, and that is less: smaller with each turn, so this ends.
            wanted = left
