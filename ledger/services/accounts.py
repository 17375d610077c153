"""Closing an account: the one thing about accounts that has to know the ledger."""

from uuid import UUID

from django.db import transaction
from django.db.models import Q

from accounts import steps as accounts_steps
from accounts.models import Account
from accounts.selectors import AccountNotFound, customer_id_of
from accounts.states import AccountStatus
from ledger.models import Pending
from wallet_project.utils.context import Actor
from wallet_project.utils.errors import Conflict


class AccountHasPending(Conflict):
    code = "account_has_pending"
    message = "Something is still pending on this account; close it when that has ended."


def close_account(*, actor: Actor, account_id: UUID) -> Account:
    """Close an open account of the customer's for good; one that is closed already is given back as it is.

    The account is locked first and looked at then, so that a payment which comes at the same moment is either seen
    here or finds the account closed. Raises AccountNotFound, AccountNotEmpty, AccountHasPending, WrongState (an account
    that is frozen is not its owner's to close).
    """
    customer_id = customer_id_of(actor)
    with transaction.atomic(durable=True):
        account = accounts_steps.lock_account(account_id, against_credits=True)
        if account.customer_id != customer_id:
            raise AccountNotFound()
        if account.status == AccountStatus.CLOSED:
            return account
        if account.status == AccountStatus.FROZEN:
            raise accounts_steps.WrongState(state=account.status)
        if Pending.objects.filter(Q(debit_account_id=account_id) | Q(credit_account_id=account_id)).exists():
            raise AccountHasPending()
        return accounts_steps.close_account(account_id=account_id, actor=actor, reason="closed by its owner")
