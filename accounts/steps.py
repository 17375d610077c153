"""Parts of use cases that an app above composes into its own commit. Each locks what it moves, customer before
accounts, and asserts that a transaction is open."""

from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import connection
from django_fsm import TransitionNotAllowed

from accounts.models import Account, Customer, CustomerLevel
from accounts.selectors import AccountNotFound, CustomerNotFound
from accounts.states import AccountKind, AccountStatus, KycStatus, Level
from wallet_project.utils.context import Actor
from wallet_project.utils.errors import Conflict, Refused
from wallet_project.utils.nudges import nudge
from wallet_project.utils.transitions import born, move

# Why staff froze an account is for the log: the customer is not told that somebody is looking.
FROZEN_NOTICE: Final = "This account is frozen; contact support."


class WrongState(Conflict):
    """`state` is the one it is in."""

    code = "wrong_state"
    message = "This is not possible in the present state."


class IdentityRejected(Refused):
    code = "identity_rejected"
    message = "Your identity could not be verified; contact support."


class ProfileRequired(Conflict):
    code = "profile_required"
    message = "Send your profile first (PUT /api/v1/me/profile); your identity is checked from it."


class AccountNotEmpty(Conflict):
    code = "account_not_empty"
    message = "An account is closed at a balance of zero with nothing pending."


def lock_customer(customer_id: UUID) -> Customer:
    """Raises CustomerNotFound."""
    assert connection.in_atomic_block, "a step belongs to the use case's transaction"
    customer = Customer.objects.select_for_update(no_key=True).filter(id=customer_id).first()
    if customer is None:
        raise CustomerNotFound()
    return customer


def lock_account(account_id: UUID, *, against_credits: bool = False) -> Account:
    """A customer's account. With `against_credits` also postings that only pay into it wait. Raises AccountNotFound."""
    assert connection.in_atomic_block, "a step belongs to the use case's transaction"
    rows = Account.objects.select_for_update(no_key=not against_credits)
    account = rows.filter(id=account_id, kind=AccountKind.CUSTOMER).first()
    if account is None:
        raise AccountNotFound()
    return account


def request_verification(*, customer_id: UUID, actor: Actor, reason: str = "", by_staff: bool = False) -> bool:
    """Let the customer's current profile be checked; False when a check is wanted already and is shared.

    Raises IdentityRejected: only staff start another check of somebody who was rejected.
    """
    customer = lock_customer(customer_id)
    if customer.kyc_status == KycStatus.PENDING:
        return False
    if customer.kyc_status == KycStatus.REJECTED and not by_staff:
        raise IdentityRejected()
    move(customer, "request_verification", actor=actor, reason=reason, also=["kyc_reason"])
    nudge("accounts.identity_wanted")
    return True


def mark_verified(
    *,
    customer_id: UUID,
    profile_id: UUID,
    actor: Actor,
    reason: str = "",
    until: datetime | None = None,
    limits: str = "",
) -> bool:
    """The profile version was checked and is right: the customer is verified and what he requested opens. `until`: when
    that is too old to be relied on; None: never. Who is verified for the first time has the basic level, for which the
    caller has set `limits`; empty: none, and a sweep sets them.

    False, and nothing is done, when nobody waits for it any more: the customer is not pending, or has changed his
    profile since, and then the current version is what waits to be checked.
    """
    customer = lock_customer(customer_id)
    if not waits_for(customer, profile_id):
        return False
    customer.verified_profile_id, customer.verified_until = profile_id, until
    move(customer, "verify", actor=actor, reason=reason, also=["kyc_reason", "verified_profile", "verified_until"])
    if lock_level(customer_id) is None:
        born(CustomerLevel.objects.create(customer=customer, limits=limits), actor=actor, reason=reason)
    open_requested_accounts(customer_id=customer_id, actor=actor, reason=reason)
    return True


def waits_for(customer: Customer, profile_id: UUID) -> bool:
    """Whether what is found out about this version of his profile decides about a locked customer."""
    return customer.kyc_status == KycStatus.PENDING and customer.profile_id == profile_id


def lock_level(customer_id: UUID) -> CustomerLevel | None:
    """None: the customer was never verified. The customer is locked before it."""
    assert connection.in_atomic_block, "a step belongs to the use case's transaction"
    return CustomerLevel.objects.select_for_update(no_key=True).filter(customer_id=customer_id).first()


def change_level(level: CustomerLevel, to: Level, *, actor: Actor, reason: str, now: datetime) -> None:
    """Move a locked level; its limits are the ledger's to set, in the same commit. Raises WrongState."""
    level.changed_at = now
    try:
        move(level, "rise" if to == Level.FULL else "fall", actor=actor, reason=reason, also=["changed_at"])
    except TransitionNotAllowed as error:
        raise WrongState(state=level.level) from error


def mark_rejected(*, customer_id: UUID, profile_id: UUID, actor: Actor, customer_reason: str, reason: str = "") -> bool:
    """The profile version is not accepted: the customer and what he requested are rejected. Open accounts stay as they
    are; an officer who wants them frozen freezes them.

    `customer_reason` is in words that the customer may see, `reason` is for the log (the same when empty). False, and
    nothing is done, as for `mark_verified`.
    """
    customer = lock_customer(customer_id)
    if not waits_for(customer, profile_id):
        return False
    customer.kyc_reason = customer_reason[:200]
    move(customer, "reject", actor=actor, reason=reason or customer_reason, also=["kyc_reason"])
    reject_requested_accounts(
        customer_id=customer_id, actor=actor, customer_reason=customer_reason, reason=reason or customer_reason
    )
    return True


def open_requested_accounts(*, customer_id: UUID, actor: Actor, reason: str = "") -> list[UUID]:
    """Open what the customer requested; which they were."""
    accounts = _lock_requested(customer_id)
    for account in accounts:
        move_account(account, "open", actor=actor, reason=reason)
    return [account.id for account in accounts]


def reject_requested_accounts(*, customer_id: UUID, actor: Actor, customer_reason: str, reason: str = "") -> list[UUID]:
    """Reject what the customer requested, with a reason that he may see; which they were."""
    accounts = _lock_requested(customer_id)
    for account in accounts:
        account.status_reason = customer_reason[:200]
        move_account(account, "reject", actor=actor, reason=reason or customer_reason)
    return [account.id for account in accounts]


def freeze_open_accounts(*, customer_id: UUID, actor: Actor, reason: str) -> list[UUID]:
    """Stop all that leaves the customer's open accounts; which they were. What comes in is kept. The reason is for the
    log alone."""
    assert connection.in_atomic_block, "a step belongs to the use case's transaction"
    opened = Account.objects.filter(customer_id=customer_id, status=AccountStatus.OPEN)
    accounts = list(opened.order_by("id").select_for_update(no_key=True))
    for account in accounts:
        account.status_reason = FROZEN_NOTICE
        move_account(account, "freeze", actor=actor, reason=reason)
    return [account.id for account in accounts]


def close_account(*, account_id: UUID, actor: Actor, reason: str = "") -> Account:
    """Close an empty account for good. That nothing is pending on either side is for the caller to see to, after it
    has taken the same lock: FOR UPDATE, on which also a posting that would pay into the account waits.

    Raises AccountNotFound, WrongState, AccountNotEmpty.
    """
    account = lock_account(account_id, against_credits=True)
    if account.cleared or account.reserved:
        raise AccountNotEmpty(cleared=account.cleared, reserved=account.reserved)
    move_account(account, "close", actor=actor, reason=reason)
    return account


def move_account(account: Account, transition: str, *, actor: Actor, reason: str) -> None:
    """Move an account that the caller has locked, with its `status_reason`. Raises WrongState."""
    try:
        move(account, transition, actor=actor, reason=reason, also=["status_reason"])
    except TransitionNotAllowed as error:
        raise WrongState(state=account.status) from error


def _lock_requested(customer_id: UUID) -> list[Account]:
    assert connection.in_atomic_block, "a step belongs to the use case's transaction"
    requested = Account.objects.filter(customer_id=customer_id, status=AccountStatus.REQUESTED)
    return list(requested.order_by("id").select_for_update(no_key=True))
