"""What becomes of money in suspense: proposed on the escalation that asks for it, and resolved with it.

Money that came in is assigned to a customer's account, or returned to its sender as a payout over the bank. Money that
went out is charged to the customer who had it, or to the wallet's loss account. Each takes the whole of its item.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction

from accounts.models import Account
from accounts.selectors import AccountNotFound, system_account_id
from accounts.states import AccountKind, SystemPurpose
from ledger import steps
from ledger.models import Adjustment, Escalation, Transaction
from ledger.services.proposals import Draft, find_account, loss_account, record
from ledger.states import AdjustmentKind, TransactionKind
from ledger.suspense import item_of, open_amount
from wallet_project.utils.context import Actor
from wallet_project.utils.errors import Conflict, InvalidInput
from wallet_project.utils.iban import normalised_iban

_LONGEST_NAME = 140


class NothingInSuspense(Conflict):
    code = "nothing_in_suspense"
    message = "Nothing is in suspense for this (any more)."


class WentOut(Conflict):
    """`amount`: minor units."""

    code = "money_went_out"
    message = "This money went out, so there is nothing to assign or return: charge it to whoever had it."


class CameIn(Conflict):
    """`amount`: minor units."""

    code = "money_came_in"
    message = "This money came in, so nobody is to be charged: assign it, or return it to its sender."


class NobodyToCharge(InvalidInput):
    code = "nobody_to_charge"
    message = "Nobody is known who had this money: name the account to charge, or take it on the loss account."


class HolderRequired(InvalidInput):
    code = "holder_required"
    message = f"Name the holder of the account that it goes back to, in up to {_LONGEST_NAME} characters."


@dataclass(frozen=True, slots=True)
class Suspended:
    """An open escalation, locked, with what is left of its item: above zero it came in (minor units)."""

    escalation: Escalation
    item: Transaction
    amount: int
    currency: str

    @property
    def account(self) -> Account:
        return Account.objects.get(id=system_account_id(SystemPurpose.SUSPENSE, self.currency))


def propose_assignment(*, actor: Actor, escalation_id: UUID, account_id: UUID, reason: str) -> Adjustment:
    """Propose that money in suspense belongs to a customer's account.

    Raises EscalationNotFound, EscalationAlreadyResolved, NothingInSuspense, WentOut, AccountNotFound, CurrencyMismatch,
    PermissionMissing, AboutYourself, ProposalStands, ReasonRequired.
    """
    with transaction.atomic(durable=True):
        found = _came_in(escalation_id)
        account = _of_customer(account_id, side="credit")
        draft = Draft(
            kind=AdjustmentKind.ASSIGN,
            debit=found.account,
            credit=account,
            amount=found.amount,
            reason=reason,
            about=found.item,
            escalation=found.escalation,
        )
        return record(draft, actor=actor)


def propose_return(*, actor: Actor, escalation_id: UUID, beneficiary: Mapping[str, str], reason: str) -> Adjustment:
    """Propose to send money in suspense back to its sender: `beneficiary` is {"name", "iban"}.

    Raises EscalationNotFound, EscalationAlreadyResolved, NothingInSuspense, WentOut, HolderRequired, IbanInvalid,
    PermissionMissing, AboutYourself, ProposalStands, ReasonRequired.
    """
    with transaction.atomic(durable=True):
        found = _came_in(escalation_id)
        name = beneficiary["name"].strip()
        if not 1 <= len(name) <= _LONGEST_NAME:
            raise HolderRequired(fields={"name": "The holder of the account."})
        draft = Draft(
            kind=AdjustmentKind.RETURN,
            debit=found.account,
            credit=Account.objects.get(id=system_account_id(SystemPurpose.SETTLEMENT, found.currency)),
            amount=found.amount,
            reason=reason,
            about=found.item,
            escalation=found.escalation,
            beneficiary={"name": name, "iban": normalised_iban(beneficiary["iban"])},
        )
        return record(draft, actor=actor)


def propose_charge(
    *, actor: Actor, escalation_id: UUID, reason: str, account_id: UUID | None = None, at_loss: bool = False
) -> Adjustment:
    """Propose who bears money that the bank has paid out otherwise than asked: `account_id`, or the account of the
    payout that the escalation is about, or with `at_loss` the wallet. A payout that still waits fails with it.

    Raises EscalationNotFound, EscalationAlreadyResolved, NothingInSuspense, CameIn, NobodyToCharge, AccountNotFound,
    CurrencyMismatch, PermissionMissing, AboutYourself, ProposalStands, ReasonRequired.
    """
    with transaction.atomic(durable=True):
        found = _suspended(escalation_id)
        if found.amount > 0:
            raise CameIn(amount=found.amount)
        about = found.escalation.transaction
        payout = about if about is not None and about.kind == TransactionKind.WITHDRAWAL else None
        payer = account_id or (payout.debit_account_id if payout is not None else None)
        if payer is None and not at_loss:
            raise NobodyToCharge(fields={"account": "Whose account?"})
        draft = Draft(
            kind=AdjustmentKind.CHARGE,
            debit=loss_account(found.currency) if at_loss or payer is None else _of_customer(payer, side="debit"),
            credit=found.account,
            amount=-found.amount,
            reason=reason,
            about=payout or found.item,
            escalation=found.escalation,
        )
        return record(draft, actor=actor)


def _suspended(escalation_id: UUID) -> Suspended:
    escalation = steps.lock_escalation(escalation_id).row
    item_id = item_of(escalation.details)
    if item_id is None:
        raise NothingInSuspense()
    amount, currency = open_amount(item_id)
    if not amount:
        raise NothingInSuspense()
    return Suspended(escalation, Transaction.objects.get(id=item_id), amount, currency)


def _came_in(escalation_id: UUID) -> Suspended:
    found = _suspended(escalation_id)
    if found.amount < 0:
        raise WentOut(amount=-found.amount)
    return found


def _of_customer(account_id: UUID, *, side: str) -> Account:
    account = find_account(account_id, side=side)
    if account.kind != AccountKind.CUSTOMER:
        raise AccountNotFound("That is no customer's account.", side=side)
    return account
