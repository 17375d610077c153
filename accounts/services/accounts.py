"""Use cases of accounts. Each opens the one durable transaction."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import transaction

from accounts import selectors, steps
from accounts.idempotency import claim
from accounts.models import Account, Customer
from accounts.staff import FREEZE_ACCOUNT, given_reason, require_colleague, require_permission
from accounts.states import AccountKind, KycStatus
from accounts.steps import FROZEN_NOTICE, ProfileRequired
from wallet_project.utils.context import Actor, system_actor
from wallet_project.utils.errors import InvalidInput, Refused
from wallet_project.utils.ids import uuid7
from wallet_project.utils.money import currencies
from wallet_project.utils.nudges import nudge
from wallet_project.utils.transitions import born, move

CREATE_ACCOUNT: Final = "create_account"


class TooManyAccounts(Refused):
    """`limit` is how many a customer may have."""

    code = "too_many_accounts"
    message = "You have as many accounts as a customer may have."


class UnknownCurrency(InvalidInput):
    code = "unknown_currency"
    message = "The wallet keeps no accounts in this currency."


@dataclass(frozen=True, slots=True)
class AccountCreated:
    """`replayed`: the account was made by an earlier request with the same key."""

    account: Account
    replayed: bool


def create_account(
    *, actor: Actor, currency: str, label: str, key: str, request_hash: bytes, reason: str = "requested by the customer"
) -> AccountCreated:
    """Record that a customer wants an account, and see to it that his identity gets checked.

    It opens at once when he is verified, and with the check's result otherwise; a running check is shared. The same
    request with the same key gives the same account. Raises NotACustomer, UnknownCurrency, ProfileRequired,
    IdentityRejected, TooManyAccounts, IdempotencyKeyReused, RequestInProgress; then the key stays free.
    """
    customer_id = selectors.customer_id_of(actor)
    if currency not in currencies():
        raise UnknownCurrency(fields={"currency": "The wallet keeps no accounts in this currency."})
    account_id = uuid7()
    with transaction.atomic(durable=True):
        earlier = claim(
            principal_id=actor.principal_id,
            key=key,
            operation=CREATE_ACCOUNT,
            request_hash=request_hash,
            result_id=account_id,
        )
        if earlier is not None:
            return AccountCreated(selectors.account_of(customer_id, earlier), replayed=True)
        customer = steps.lock_customer(customer_id)
        _refuse_account(customer)
        account = Account.objects.create(
            id=account_id, customer=customer, kind=AccountKind.CUSTOMER, currency=currency, label=label
        )
        born(account, actor=actor, reason=reason)
        if customer.kyc_status == KycStatus.VERIFIED:
            move(account, "open", actor=system_actor(), reason="identity verified before", also=["status_reason"])
        else:
            steps.request_verification(customer_id=customer_id, actor=actor, reason="account requested")
    return AccountCreated(account, replayed=False)


def freeze_account(*, account_id: UUID, actor: Actor, reason: str) -> Account:
    """Stop all that leaves the account; what comes in is kept. The reason is for the log alone.

    Raises AccountNotFound, PermissionMissing, AboutYourself, WrongState, ReasonRequired.
    """
    with transaction.atomic(durable=True):
        account = steps.lock_account(account_id)
        require_permission(actor, FREEZE_ACCOUNT)
        require_colleague(actor, account.customer)
        account.status_reason = FROZEN_NOTICE
        steps.move_account(account, "freeze", actor=actor, reason=given_reason(reason))
    return account


def unfreeze_account(*, account_id: UUID, actor: Actor, reason: str) -> Account:
    """Raises AccountNotFound, PermissionMissing, AboutYourself, WrongState, ReasonRequired."""
    with transaction.atomic(durable=True):
        account = steps.lock_account(account_id)
        require_permission(actor, FREEZE_ACCOUNT)
        require_colleague(actor, account.customer)
        steps.move_account(account, "unfreeze", actor=actor, reason=given_reason(reason))
        nudge("accounts.account_thawed")
    return account


def _refuse_account(customer: Customer) -> None:
    if customer.kyc_status == KycStatus.REJECTED:
        raise steps.IdentityRejected()
    if customer.profile_id is None:
        raise ProfileRequired()
    limit = settings.ACCOUNTS_PER_CUSTOMER
    if selectors.count_held_accounts(customer.id) >= limit:
        raise TooManyAccounts(limit=limit)
