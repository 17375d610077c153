"""Reads of people and accounts; nothing here writes a row."""

from collections.abc import Collection
from datetime import UTC, date, datetime
from functools import cache, lru_cache
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db.models import OuterRef, QuerySet, Subquery

from accounts.handles import folded, masked_name
from accounts.models import Account, Beneficiary, Customer, Handle, User
from accounts.profiles import profile_of
from accounts.states import AccountKind, AccountStatus, KycStatus, SystemPurpose
from wallet_project.utils.context import Actor
from wallet_project.utils.errors import NotAllowed, NotFound
from wallet_project.utils.identity import Person
from wallet_project.utils.money import currencies
from wallet_project.utils.remember import forget, remembered

JsonObject = dict[str, Any]

#: Accounts that count towards `settings.ACCOUNTS_PER_CUSTOMER`.
HELD: Final = (AccountStatus.REQUESTED, AccountStatus.OPEN, AccountStatus.FROZEN)

_ME: Final = "me"

# By the state of his identity: may a customer request accounts, when do they open, and what is he told.
_STANDING: Final = {
    KycStatus.UNVERIFIED: (True, "after_verification", "Your identity is checked when you request an account."),
    KycStatus.PENDING: (
        True,
        "after_verification",
        "Your identity is being checked. Accounts that are open go on working; new ones open when the check is done.",
    ),
    KycStatus.VERIFIED: (True, "at_once", None),
    KycStatus.EXPIRED: (
        True,
        "after_verification",
        "Your identity must be checked again, which begins when you request an account. Open accounts go on working.",
    ),
    KycStatus.REJECTED: (False, "never", "Your identity could not be verified; contact support."),
}

_WITHOUT_PROFILE: Final = (
    False,
    "after_verification",
    "Send your profile first (PUT /api/v1/me/profile); your identity is checked from it.",
)


class CustomerNotFound(NotFound):
    code = "customer_not_found"
    message = "There is no such customer."


class AccountNotFound(NotFound):
    code = "account_not_found"
    message = "There is no such account, or it is not yours."


class BeneficiaryNotFound(NotFound):
    code = "beneficiary_not_found"
    message = "There is no such beneficiary, or it is not yours."


class PayeeNotFound(NotFound):
    """Says no more than that: who has a handle and why he can't be paid is his own business."""

    code = "payee_not_found"
    message = "Nobody can be paid by this handle in this currency; ask the person for it again."


class NotACustomer(NotAllowed):
    code = "not_a_customer"
    message = "This is for customers; you are logged in as somebody else."


def load_people(users: Collection[UUID]) -> dict[UUID, Person]:
    """By id, each user with his principal's id and his customer's (None for staff); one query."""
    found = User.objects.filter(id__in=users).select_related("principal", "customer")
    return {user.id: Person(user, user.principal.id, _customer_id(user)) for user in found}


def _customer_id(user: User) -> UUID | None:
    customer = getattr(user, "customer", None)
    return customer.id if customer else None


def customer_id_of(actor: Actor) -> UUID:
    """Raises NotACustomer."""
    if actor.customer_id is None:
        raise NotACustomer()
    return actor.customer_id


@cache
def system_account_id(purpose: str, currency: str) -> UUID:
    """The wallet's own account of a purpose (SystemPurpose) in a currency. It never changes, so each process asks once.

    Raises Account.DoesNotExist.
    """
    rows = Account.objects.filter(kind=AccountKind.SYSTEM, purpose=SystemPurpose(purpose), currency=currency)
    return rows.values_list("id", flat=True).get()


def accounts_of(customer_id: UUID) -> QuerySet[Account]:
    return Account.objects.filter(customer_id=customer_id)


def account_of(customer_id: UUID, account_id: UUID) -> Account:
    """Raises AccountNotFound, also for somebody else's account."""
    account = accounts_of(customer_id).filter(id=account_id).first()
    if account is None:
        raise AccountNotFound()
    return account


def count_held_accounts(customer_id: UUID) -> int:
    return accounts_of(customer_id).filter(status__in=HELD).count()


def beneficiaries_of(customer_id: UUID) -> QuerySet[Beneficiary]:
    """Those that he keeps; the index `beneficiary_by_customer` serves it."""
    return Beneficiary.objects.filter(customer_id=customer_id, removed_at=None)


def beneficiary_of(customer_id: UUID, beneficiary_id: UUID) -> Beneficiary:
    """One that he keeps. Raises BeneficiaryNotFound, also for somebody else's and for one that was removed."""
    beneficiary = beneficiaries_of(customer_id).filter(id=beneficiary_id).first()
    if beneficiary is None:
        raise BeneficiaryNotFound()
    return beneficiary


def handle_of(customer_id: UUID) -> Handle | None:
    """The one that he holds."""
    return Handle.objects.filter(customer_id=customer_id, given_up_at=None).first()


def payee(handle: str, currency: str | None = None) -> JsonObject:
    """Who would be paid by a handle, as far as a payer may know: `{handle, name, currencies}`, the name masked.

    Raises PayeeNotFound when nobody verified holds it, or has no open account (in the currency)."""
    name = folded(handle)
    open_accounts = list(
        _payable([name] if name else []).values_list(
            "currency", "customer__verified_profile__first_name", "customer__verified_profile__last_name"
        )
    )
    kept_in = sorted({kept for kept, _, _ in open_accounts})
    if not kept_in or (currency is not None and currency not in kept_in):
        raise PayeeNotFound()
    _, first_name, last_name = open_accounts[0]
    return {
        "handle": name,
        "name": masked_name(str(first_name), str(last_name)),
        "currencies": kept_in if currency is None else [currency],
    }


def account_of_handle(handle: str, currency: str) -> UUID:
    """Where money sent to a handle goes: the payee's oldest open account in the currency. Raises PayeeNotFound."""
    found = accounts_of_handles([(handle, currency)])
    if not found:
        raise PayeeNotFound()
    return found[handle, currency]


def accounts_of_handles(asked: Collection[tuple[str, str]]) -> dict[tuple[str, str], UUID]:
    """The same for many, by (handle, currency), in one query; those that lead nowhere are left out."""
    names = {handle: name for handle, _ in asked if (name := folded(handle)) is not None}
    rows = _payable(names.values()).filter(currency__in={currency for _, currency in asked}).order_by("-id")
    oldest = {(name, kept): id_ for name, kept, id_ in rows.values_list("customer__handles__handle", "currency", "id")}
    return {
        (handle, currency): oldest[names[handle], currency]
        for handle, currency in asked
        if (names.get(handle), currency) in oldest
    }


def _payable(names: Collection[str]) -> QuerySet[Account]:
    """The open accounts of the verified customers who hold these handles (as they are folded)."""
    return Account.objects.filter(
        customer__handles__handle__in=names,
        customer__handles__given_up_at=None,
        customer__kyc_status=KycStatus.VERIFIED,
        customer__verified_profile__isnull=False,
        status=AccountStatus.OPEN,
    )


def limits() -> JsonObject:
    """What a customer may have."""
    return {
        "accounts": settings.ACCOUNTS_PER_CUSTOMER,
        "beneficiaries": settings.BENEFICIARIES_PER_CUSTOMER,
        "currencies": sorted(currencies()),
    }


def me(actor: Actor, user_id: UUID) -> JsonObject:
    """The customer as he sees himself, from Redis when it is there. Raises NotACustomer."""
    customer_id = customer_id_of(actor)
    return remembered(_ME, user_id, lambda: read_me(customer_id))


def read_me(customer_id: UUID) -> JsonObject:
    """The same from the database; one query. A JSON object: ids, times and dates are strings."""
    held = Handle.objects.filter(customer=OuterRef("id"), given_up_at=None).values("handle")
    customers = Customer.objects.select_related("user", "profile", "level").annotate(held_handle=Subquery(held))
    customer = customers.get(id=customer_id)
    profile = customer.profile
    may_request, opens, notice = _STANDING[KycStatus(customer.kyc_status)] if profile else _WITHOUT_PROFILE
    return {
        "id": str(customer.id),
        "email": customer.user.email,
        "handle": customer.held_handle,
        "kyc_status": str(customer.kyc_status),
        "kyc_reason": customer.kyc_reason or None,
        "level": str(customer.level.level) if hasattr(customer, "level") else None,
        "profile": profile
        and {
            **{name: _plain(value) for name, value in profile_of(profile).values().items()},
            "version": profile.number,
        },
        "may": {"request_accounts": may_request, "new_accounts_open": opens},
        "notice": notice,
        "limits": limits(),
        "created_at": format_time(customer.created_at),
    }


def forget_me(user_id: UUID) -> None:
    """Once what is open here has committed, `me` is read anew. Saving a user or a customer does this by itself."""
    forget(_ME, user_id)


@lru_cache(maxsize=1024)
def format_time(time: datetime) -> str:
    """ISO 8601 in UTC with microseconds, as everywhere in the API. What is posted together has one time."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, date) else value
