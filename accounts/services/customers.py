"""Use cases of a customer: who he is, and whether that is believed. Each opens the one durable transaction."""

from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction

from accounts import selectors, steps
from accounts.models import Customer, ProfileVersion, User
from accounts.profiles import Profile, check_profile, profile_of
from accounts.staff import RESTART_VERIFICATION, given_reason, require_colleague, require_permission
from accounts.states import KycStatus
from accounts.steps import ProfileRequired
from wallet_project.utils.context import Actor, system_actor
from wallet_project.utils.errors import Conflict, TooMany, database_refusals, on_constraint
from wallet_project.utils.nudges import nudge
from wallet_project.utils.transitions import born


class EmailTaken(Conflict):
    code = "email_taken"
    message = "Somebody has signed up with this e-mail address."


class TooManyProfileChanges(TooMany):
    code = "too_many_profile_changes"
    message = "The profile was changed too often; try again tomorrow."


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
        steps.request_verification(customer_id=customer_id, actor=actor, reason=given_reason(reason), by_staff=True)


def _refuse_too_many_changes(customer: Customer, *, now: datetime) -> None:
    # Each version may cost a check at the provider, and none is ever deleted.
    recent = ProfileVersion.objects.filter(customer=customer, created_at__gt=now - timedelta(days=1)).count()
    if recent >= settings.PROFILE_CHANGES_PER_DAY:
        raise TooManyProfileChanges(retry_after=int(timedelta(hours=1).total_seconds()))
