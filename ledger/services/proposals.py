"""What a member of staff proposes: a movement of money that nothing of it happens to before a second person agrees.

Each use case asks for the permission under its locks, and lets nobody propose anything about money of his own. What a
proposal says never changes; what has changed around it by the time of the answer is looked at again then (adjustments).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import Q, Sum

from accounts.models import Account, Customer
from accounts.selectors import AccountNotFound, system_account_id
from accounts.staff import given_reason, require_colleague, require_permission
from accounts.states import AccountStatus, SystemPurpose
from ledger import posting
from ledger.models import Adjustment, Escalation, Transaction
from ledger.services.requests import TransactionNotFound
from ledger.states import AdjustmentKind, TransactionKind, TransactionStatus
from wallet_project.utils.context import Actor
from wallet_project.utils.errors import Conflict, InvalidInput, database_refusals, on_constraint
from wallet_project.utils.model_fields import longest_text
from wallet_project.utils.money import MAX_AMOUNT
from wallet_project.utils.transitions import born

PROPOSE_ADJUSTMENT: Final = "ledger.propose_adjustment"
#: What goes back the way it came; anything else is set right by a correction.
REVERSIBLE: Final = (TransactionKind.TRANSFER, TransactionKind.FEE)


class SameAccount(InvalidInput):
    code = "same_account"
    message = "Money moves between two accounts; these are one."


class AmountOutOfRange(InvalidInput):
    code = "amount_out_of_range"
    message = "An amount is from 1 to 10^15 minor units."


class BankReferenceRequired(InvalidInput):
    code = "bank_reference_required"
    message = (
        "The settlement account is what the bank says it is: give the reference under which the bank's statement has "
        "this movement, and with no other account any."
    )


class LossNotNeeded(Conflict):
    """`available` is what the receiver has, in minor units."""

    code = "loss_not_needed"
    message = "The receiver has the money: reverse it from that account. The wallet bears what is not there."


class ProposalStands(Conflict):
    code = "proposal_stands"
    message = "Something is proposed for this already: it is answered or withdrawn first."


on_constraint("adjustment_one_proposal_per_escalation", ProposalStands)


@dataclass(frozen=True, slots=True)
class Draft:
    """A movement of `amount` minor units that is to be proposed. `about` is what it sets right."""

    kind: AdjustmentKind
    debit: Account
    credit: Account
    amount: int
    reason: str
    reverses: Transaction | None = None
    about: Transaction | None = None
    escalation: Escalation | None = None
    beneficiary: Mapping[str, str] | None = None
    reference: str = ""


def propose_correction(
    *, actor: Actor, debit: UUID, credit: UUID, amount: int, reason: str, reference: str = ""
) -> Adjustment:
    """Propose to move `amount` (minor units) from any account to any other of its currency, the wallet's own included.

    `reference` is the bank's, and there exactly when the settlement account is one of the two. Raises AccountNotFound,
    PermissionMissing, AboutYourself, SameAccount, CurrencyMismatch, AmountOutOfRange, BankReferenceRequired,
    ReasonRequired.
    """
    with transaction.atomic(durable=True):
        draft = Draft(
            kind=AdjustmentKind.CORRECTION,
            debit=find_account(debit, side="debit"),
            credit=find_account(credit, side="credit"),
            amount=amount,
            reason=reason,
            reference=reference.strip()[: longest_text(Adjustment, "reference")],
        )
        at_the_bank = SystemPurpose.SETTLEMENT in (draft.debit.purpose, draft.credit.purpose)
        if at_the_bank != bool(draft.reference):
            raise BankReferenceRequired(fields={"reference": "Exactly with the settlement account."})
        return record(draft, actor=actor)


def propose_reversal(
    *, actor: Actor, transaction_id: UUID, amount: int | None, reason: str, at_loss: bool = False
) -> Adjustment:
    """Propose to give `amount` (minor units; all that is left when None) of a cleared transfer or fee back.

    `at_loss`: the wallet bears it, because who received it does not have it any more. Raises TransactionNotFound,
    PermissionMissing, AboutYourself, NotReversible, ReversalExceeds, AmountOutOfRange, LossNotNeeded, ReasonRequired.
    """
    with transaction.atomic(durable=True):
        original = (
            Transaction.objects.select_related("debit_account", "credit_account").filter(id=transaction_id).first()
        )
        if original is None:
            raise TransactionNotFound("There is no such transaction.")
        if original.kind not in REVERSIBLE or original.status != TransactionStatus.CLEARED:
            raise posting.NotReversible(transaction_status=original.status)
        left = left_to_reverse(original)
        wanted = left if amount is None else amount
        if wanted > left or left == 0:
            raise posting.ReversalExceeds(left=left)
        if at_loss:
            refuse_needless_loss(original.credit_account, wanted)
        return record(
            Draft(
                kind=AdjustmentKind.LOSS if at_loss else AdjustmentKind.REVERSAL,
                debit=loss_account(original.currency) if at_loss else original.credit_account,
                credit=original.debit_account,
                amount=wanted,
                reason=reason,
                reverses=original,
                about=original,
            ),
            actor=actor,
        )


def left_to_reverse(original: Transaction) -> int:
    """What of a cleared transaction has not been given back, and is not about to be; minor units."""
    given_back = original.reversals.exclude(status=TransactionStatus.FAILED).aggregate(total=Sum("amount"))["total"]
    whole: int = original.captured_amount or original.amount
    return whole - (given_back or 0)


def refuse_needless_loss(receiver: Account, amount: int) -> None:
    """Raises LossNotNeeded when the account could pay `amount` (minor units) itself."""
    if receiver.status == AccountStatus.OPEN and (receiver.customer_id is None or receiver.available >= amount):
        raise LossNotNeeded(available=receiver.available)


def record(draft: Draft, *, actor: Actor) -> Adjustment:
    """Write the proposal down. The caller has opened the transaction and locked what it has looked at."""
    require_permission(actor, PROPOSE_ADJUSTMENT)
    demand_colleague(actor, (draft.debit, draft.credit), (draft.reverses, draft.about))
    if draft.debit.id == draft.credit.id:
        raise SameAccount(fields={"credit": "The other account."})
    if draft.debit.currency != draft.credit.currency:
        raise posting.CurrencyMismatch(side="credit")
    if not 1 <= draft.amount <= MAX_AMOUNT:
        raise AmountOutOfRange(fields={"amount": "From 1 to 10^15 minor units."})
    with database_refusals():
        row = Adjustment.objects.create(
            kind=draft.kind,
            debit_account=draft.debit,
            credit_account=draft.credit,
            amount=draft.amount,
            currency=draft.debit.currency,
            reverses=draft.reverses,
            about=draft.about,
            escalation=draft.escalation,
            beneficiary=None if draft.beneficiary is None else dict(draft.beneficiary),
            reference=draft.reference,
            reason=given_reason(draft.reason)[: longest_text(Adjustment, "reason")],
            maker_id=actor.principal_id,
        )
    born(row, actor=actor, reason=row.reason)
    return row


def demand_colleague(actor: Actor, accounts: Iterable[Account], abouts: Iterable[Transaction | None]) -> None:
    """Nobody moves his own money, on neither side of the movement nor of what it sets right. Raises AboutYourself."""
    concerned = {account.id for account in accounts}
    for about in abouts:
        if about is not None:
            concerned |= {about.debit_account_id, about.credit_account_id}
    for customer in Customer.objects.filter(Q(accounts__in=concerned)).distinct():
        require_colleague(actor, customer)


def find_account(account_id: UUID, *, side: str) -> Account:
    """Raises AccountNotFound."""
    account = Account.objects.filter(id=account_id).first()
    if account is None:
        raise AccountNotFound("There is no such account.", side=side)
    return account


def loss_account(currency: str) -> Account:
    return Account.objects.get(id=system_account_id(SystemPurpose.LOSS, currency))
