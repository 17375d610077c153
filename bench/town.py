"""Customers with money and sessions, made by the use cases themselves."""

import multiprocessing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from wallet_project.utils.context import Actor

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

    @property
    def actor(self) -> Actor:
        return Actor(principal_id=UUID(self.principal), customer_id=UUID(self.customer), kind="user")


def one_cent(source: str, destination: str) -> dict[str, Any]:
    """What a transfer says to the API."""
    return {"source": source, "destination": destination, "amount": 1, "currency": "EUR"}


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
    from accounts.models import User
    from accounts.services.customers import register_customer, update_profile
    from tests.support import factories

    user = User(email=f"{uuid4().hex}@example.com")
    user.set_unusable_password()  # Hashing one takes longer than all the rest, and nobody logs in.
    customer = register_customer(user=user)
    actor = factories.actor_of(customer)
    update_profile(actor=actor, profile=factories.PROFILE, now=datetime.now(UTC))
    factories.verify(customer)
    made = [factories.make_account(customer) for _ in range(ACCOUNTS_EACH)]
    accounts = tuple(str(account.id) for account in made)
    return Person(str(actor.principal_id), str(customer.id), factories.session_token(user), accounts)


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
