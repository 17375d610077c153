"""Use cases of people and accounts. Each opens the one durable transaction."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import transaction

from accounts import selectors, steps
from accounts.idempotency import claim
from accounts.models import Account, Customer, ProfileVersion, User
from accounts.profiles import Profile, check_profile, profile_of
from accounts.staff import FREEZE_ACCOUNT, RESTART_VERIFICATION, require_colleague, require_permission
from accounts.states import AccountKind, KycStatus
from wallet_project.utils.context import Actor, system_actor
from wallet_project.utils.errors import Conflict, InvalidInput, Refused, TooMany, database_refusals, on_constraint
from wallet_project.utils.ids import uuid7
from wallet_project.utils.money import currencies
from wallet_project.utils.nudges import nudge
from wallet_project.utils.transitions import born, move

CREATE_ACCOUNT: Final = "create_account"

# Why staff froze an account is for the log: the customer is not told that somebody is looking.
FROZEN_NOTICE: Final = "This account is frozen; contact support."


class EmailTaken(Conflict):
    code = "email_taken"
    message = "Somebody has signed up with this e-mail address."


class ProfileRequired(Conflict):
    code = "profile_required"
    message = "Send your profile first (PUT /api/v1/me/profile); your identity is checked from it."


class TooManyAccounts(Refused):
    """`limit` is how many a customer may have."""

    code = "too_many_accounts"
    message = "You have as many accounts as a customer may have."


class TooManyProfileChanges(TooMany):
    code = "too_many_profile_changes"
    message = "The profile was changed too often; try again tomorrow."


class UnknownCurrency(InvalidInput):
    code = "unknown_currency"
    message = "The wallet keeps no accounts in this currency."


class ReasonRequired(InvalidInput):
    code = "reason_required"
    message = "Say why; the reason is kept in the log."


@dataclass(frozen=True, slots=True)
class AccountCreated:
    """`replayed`: the account was made by an earlier request with the same key."""

    account: Account
    replayed: bool


on_constraint("accounts_user_email_key", EmailTaken)


def register_customer(*, user: User) -> Customer:
    """Save a new user, who is a customer from the first moment on. Raises EmailTaken."""
    with database_refusals(), transaction.atomic(durable=True):
        user.save()
        customer = Customer.objects.create(user=user)
        born(customer, actor=system_actor(), reason="signed up")
    return customer


def update_profile(*, actor: Actor, profile: Profile, now: datetime) -> ProfileVersion:
    """Keep what the customer says about himself as a new version; the same again makes none.

    A change after verification starts a new check, and one during a check is what that check must be about. Meanwhile
    open accounts go on working and new ones wait. Raises NotACustomer, ProfileInvalid, TooManyProfileChanges.
    """
    customer_id = selectors.customer_id_of(actor)
    check_profile(profile, today=now.date())
    with transaction.atomic(durable=True):
        customer = steps.lock_customer(customer_id)
        current = customer.profile
        if current is not None and profile_of(current) == profile:
            return current
        _refuse_too_many_changes(customer, now=now)
        version = ProfileVersion.objects.create(
            customer=customer, number=current.number + 1 if current else 1, **profile.values()
        )
        customer.profile = version
        customer.save(update_fields=["profile"])
        if customer.kyc_status == KycStatus.VERIFIED:
            steps.request_verification(customer_id=customer_id, actor=actor, reason="profile changed")
        elif customer.kyc_status == KycStatus.PENDING:
            nudge("accounts.identity_wanted")
    return version


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
        steps.move_account(account, "freeze", actor=actor, reason=_given(reason))
    return account


def unfreeze_account(*, account_id: UUID, actor: Actor, reason: str) -> Account:
    """Raises AccountNotFound, PermissionMissing, AboutYourself, WrongState, ReasonRequired."""
    with transaction.atomic(durable=True):
        account = steps.lock_account(account_id)
        require_permission(actor, FREEZE_ACCOUNT)
        require_colleague(actor, account.customer)
        steps.move_account(account, "unfreeze", actor=actor, reason=_given(reason))
    return account


def restart_verification(*, customer_id: UUID, actor: Actor, reason: str) -> None:
    """Staff let a customer's identity be checked again, also that of one who was rejected.

    Raises CustomerNotFound, PermissionMissing, AboutYourself, ProfileRequired, ReasonRequired.
    """
    with transaction.atomic(durable=True):
        customer = steps.lock_customer(customer_id)
        require_permission(actor, RESTART_VERIFICATION)
        require_colleague(actor, customer)
        if customer.profile_id is None:
            raise ProfileRequired("The customer has no profile that could be checked.")
        steps.request_verification(customer_id=customer_id, actor=actor, reason=_given(reason), by_staff=True)


def _given(reason: str) -> str:
    if not reason.strip():
        raise ReasonRequired(fields={"reason": "This may not be empty."})
    return reason.strip()


def _refuse_account(customer: Customer) -> None:
    if customer.kyc_status == KycStatus.REJECTED:
        raise steps.IdentityRejected()
    if customer.profile_id is None:
        raise ProfileRequired()
    limit = settings.ACCOUNTS_PER_CUSTOMER
    if selectors.count_held_accounts(customer.id) >= limit:
        raise TooManyAccounts(limit=limit)


def _refuse_too_many_changes(customer: Customer, *, now: datetime) -> None:
    # Each version may cost a check at the provider, and none is ever deleted.
    recent = ProfileVersion.objects.filter(customer=customer, created_at__gt=now - timedelta(days=1)).count()
    if recent >= settings.PROFILE_CHANGES_PER_DAY:
        raise TooManyProfileChanges(retry_after=int(timedelta(hours=1).total_seconds()))
