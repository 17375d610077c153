"""People and accounts as tests want them, made by the use cases themselves."""

from datetime import UTC, date, datetime
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.db import transaction
from rest_framework.test import APIClient

import accounts.steps
from accounts.models import Account, Customer, User
from accounts.profiles import Profile
from accounts.selectors import system_account_id
from accounts.services.accounts import create_account
from accounts.services.customers import register_customer, update_profile
from accounts.states import SystemPurpose
from ledger import posting, steps
from ledger.models import Transaction
from tests.support.recipes import again
from wallet_project.utils.context import Actor, system_actor
from wallet_project.utils.ids import uuid7
from wallet_project.utils.nudges import lower_flag

PASSWORD = "correct horse battery"
NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)

PROFILE = Profile(
    first_name="Ada",
    last_name="Lovelace",
    date_of_birth=date(1985, 12, 10),
    country="GB",
    address="12 St James's Square, London",
    document_type="passport",
    document_number="X1234567",
)


def make_user(email: str | None = None, *, password: str = PASSWORD, **fields: Any) -> User:
    """Somebody who can log in and is no customer, such as staff (`is_staff=True`)."""
    return User.objects.create_user(email or f"{uuid4().hex}@example.com", password, **fields)


def make_customer(email: str | None = None, *, verified: bool = True, profile: Profile | None = PROFILE) -> Customer:
    """A customer with a profile; unverified, with no check wanted, when `verified` is false."""
    if email is None and verified and profile is PROFILE:
        return again("customer", lambda: _customer().id, _CUSTOMERS)
    return _customer(email, verified=verified, profile=profile)


def _customer(email: str | None = None, *, verified: bool = True, profile: Profile | None = PROFILE) -> Customer:
    user = User(email=email or f"{uuid4().hex}@example.com")
    user.set_password(PASSWORD)
    customer = register_customer(user=user)
    if profile is not None:
        update_profile(actor=actor_of(customer), profile=profile, now=NOW)
    if verified:
        verify(customer)
    customer.refresh_from_db()
    return customer


def verify(customer: Customer) -> None:
    """What the identity check does when it comes out well."""
    customer.refresh_from_db()
    assert customer.profile_id is not None
    with transaction.atomic():
        accounts.steps.request_verification(customer_id=customer.id, actor=system_actor())
        assert accounts.steps.mark_verified(
            customer_id=customer.id, profile_id=customer.profile_id, actor=system_actor()
        )


def reject(customer: Customer, customer_reason: str = "The document is not valid.") -> None:
    """What the identity check does when it comes out badly."""
    customer.refresh_from_db()
    assert customer.profile_id is not None
    with transaction.atomic():
        accounts.steps.request_verification(customer_id=customer.id, actor=system_actor())
        assert accounts.steps.mark_rejected(
            customer_id=customer.id,
            profile_id=customer.profile_id,
            actor=system_actor(),
            customer_reason=customer_reason,
        )


def actor_of(customer: Customer) -> Actor:
    return Actor(principal_id=customer.user.principal.id, customer_id=customer.id, kind="user")


def make_account(
    customer: Customer | None = None, currency: str = "EUR", *, funded: int = 0, label: str = ""
) -> Account:
    """An account of the customer's (of a new verified one by default), with `funded` minor units in it."""
    if customer is None and not label and currency == "EUR":
        account = again("account", lambda: _account(_customer(), currency, label).id, _ACCOUNTS)
    else:
        account = _account(customer or make_customer(), currency, label)
    if funded:
        fund(account, funded)
    return account


def _account(owner: Customer, currency: str, label: str) -> Account:
    return create_account(
        actor=actor_of(owner), currency=currency, label=label, key=uuid4().hex, request_hash=bytes(32)
    ).account


_CUSTOMERS = Customer.objects.select_related("user__principal", "profile", "verified_profile")
_ACCOUNTS = Account.objects.select_related("customer__user__principal")


def fund(account: Account, amount: int) -> Transaction:
    """Pay `amount` minor units from the settlement account, cleared at once; `account` is read again."""
    unit = uuid7()
    leg = posting.Leg(
        id=unit,
        kind="exchange",
        debit=system_account_id(SystemPurpose.SETTLEMENT, account.currency),
        credit=account.id,
        amount=amount,
        currency=account.currency,
        reference="funded by a test",
    )
    posting.post_pending(
        actor=system_actor(), legs=[leg], key=uuid4().hex, operation="test", request_hash=bytes(32), request_id=""
    )
    with transaction.atomic():
        steps.approve([unit])
    assert dict(posting.clear(limit=1, actor=system_actor(), request_id="", only=[unit])) == {unit: "cleared"}
    account.refresh_from_db()
    return Transaction.objects.get(id=unit)


def session_token(user: User) -> str:
    """The token of a session in which the user is logged in."""
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    assert session.session_key is not None
    return session.session_key


def api_client(who: Customer | User | None = None) -> APIClient:
    """Speaks JSON to the API over the project's middleware; logged in as a customer or a user, or as nobody."""
    client = APIClient(raise_request_exception=False)
    if who is not None:
        client.credentials(HTTP_X_SESSION_TOKEN=session_token(who if isinstance(who, User) else who.user))
    return client


def keyed() -> dict[str, str]:
    """Headers with a new idempotency key, for a client's call: `client.post(..., headers=keyed())`."""
    return {"Idempotency-Key": uuid4().hex}


def forget_nudges(nudges: list[str]) -> None:
    """Start to listen: what was sent so far is forgotten, and nudges of the last two seconds hold no new ones back."""
    nudges.clear()
    for topic in settings.NUDGES:
        lower_flag(topic)
