"""Customers with money and sessions, made by the use cases themselves."""

import multiprocessing
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import UUID, uuid4

CUSTOMERS = 300
ACCOUNTS_EACH = 5
#: Minor units in each account: enough for every slice.
FUNDS = 1_000_000_000
_LEGS = 500


@dataclass(frozen=True, slots=True)
class Person:
    principal: str
    customer: str
    token: str
    accounts: tuple[str, ...]


def build() -> list[Person]:
    """Everybody, in two processes: signing up costs a processor, not the database."""
    share = CUSTOMERS // 2
    with multiprocessing.get_context("fork").Pool(2) as pool:
        halves = pool.map(_settle, [share, CUSTOMERS - share])
    people = [person for half in halves for person in half]
    _fund([UUID(account) for person in people for account in person.accounts])
    return people


def write(people: list[Person], path: Path) -> None:
    """A line "token account" for each account, for the load generator."""
    lines = [f"{person.token} {account}" for person in people for account in person.accounts]
    path.write_text("\n".join(lines) + "\n")


def _settle(count: int) -> list[Person]:
    return [_person() for _ in range(count)]


def _person() -> Person:
    from django.db import transaction

    import accounts.steps as steps
    from accounts.models import User
    from accounts.profiles import Profile
    from accounts.services.accounts import create_account
    from accounts.services.customers import register_customer, update_profile
    from wallet_project.utils.context import Actor, system_actor

    user = User(email=f"{uuid4().hex}@example.com")
    user.set_unusable_password()
    customer = register_customer(user=user)
    actor = Actor(principal_id=user.principal.id, customer_id=customer.id, kind="user")
    profile = Profile("Ada", "Example", date(1985, 12, 10), "DE", "Example Street 1", "passport", "C01X00T47")
    update_profile(actor=actor, profile=profile, now=datetime.now(UTC))
    customer.refresh_from_db()
    assert customer.profile_id is not None
    with transaction.atomic():
        steps.request_verification(customer_id=customer.id, actor=system_actor())
        steps.mark_verified(customer_id=customer.id, profile_id=customer.profile_id, actor=system_actor())
    made = [
        create_account(actor=actor, currency="EUR", label="", key=uuid4().hex, request_hash=bytes(32)).account
        for _ in range(ACCOUNTS_EACH)
    ]
    return Person(str(actor.principal_id), str(customer.id), _session(user), tuple(str(row.id) for row in made))


def _session(user: object) -> str:
    from django.conf import settings
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.sessions.backends.db import SessionStore

    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)  # type: ignore[attr-defined]
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()  # type: ignore[attr-defined]
    session.save()
    assert session.session_key is not None
    return session.session_key


def _fund(accounts: list[UUID]) -> None:
    """From the exchange account, in groups: what comes from the bank would have to be in the bank's book."""
    from django.db import transaction

    from accounts.selectors import system_account_id
    from accounts.states import SystemPurpose
    from ledger import posting, steps
    from wallet_project.utils.context import system_actor
    from wallet_project.utils.ids import uuid7

    source = system_account_id(SystemPurpose.FX, "EUR")
    for start in range(0, len(accounts), _LEGS):
        legs = [
            posting.Leg(id=uuid7(), kind="exchange", debit=source, credit=account, amount=FUNDS, currency="EUR")
            for account in accounts[start : start + _LEGS]
        ]
        unit = uuid7()
        posting.post_pending(
            actor=system_actor(), legs=legs, key=uuid4().hex, operation="bench", request_hash=bytes(32),
            request_id="", unit_id=unit,
        )  # fmt: skip
        with transaction.atomic():
            steps.approve([unit])
        verdicts = dict(posting.clear(limit=1, actor=system_actor(), request_id="", only=[unit]))
        assert verdicts == {unit: "cleared"}, verdicts
