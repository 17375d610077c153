"""Accounts and movements at the level of the ledger's own functions: for tests of what lies below the services."""

from uuid import UUID, uuid4

from django.db import transaction

from accounts.models import Account, Customer, User
from ledger import posting, steps
from ledger.models import Transaction
from ledger.posting import Leg, Posted
from tests.support.recipes import again
from wallet_project.utils.context import Actor, system_actor
from wallet_project.utils.ids import uuid7
from wallet_project.utils.transitions import born, move

HASH = bytes(32)


def new_customer() -> Customer:
    customer = Customer.objects.create(user=User.objects.create_user(f"{uuid4().hex}@example.com", "a password"))
    born(customer, actor=actor_of(customer))
    return customer


def actor_of(customer: Customer) -> Actor:
    return Actor(principal_id=customer.user.principal.id, customer_id=customer.id, kind="user")


def new_account(cleared: int = 0, *, customer: Customer | None = None, currency: str = "EUR") -> Account:
    """An open account with `cleared` minor units, which came from the settlement account."""
    if customer is None and currency == "EUR":
        found = Account.objects.select_related("customer__user__principal")
        account = again("an account without a profile", lambda: _opened(new_customer(), currency).id, found)
    else:
        account = _opened(customer or new_customer(), currency)
    if cleared:
        fund(account, cleared)
    return account


def _opened(customer: Customer, currency: str) -> Account:
    with transaction.atomic():
        account = Account.objects.create(customer=customer, currency=currency)
        born(account, actor=system_actor())
        move(account, "open", actor=system_actor())
    return account


def fund(account: Account, amount: int) -> Transaction:
    """Post `amount` minor units from the settlement account, cleared at once."""
    return post_now("exchange", system(account.currency), account, amount)


def system(currency: str = "EUR", purpose: str = "settlement") -> Account:
    return Account.objects.get(purpose=purpose, currency=currency)


def leg(kind: str, debit: Account | UUID, credit: Account | UUID, amount: int, currency: str = "EUR") -> Leg:
    def id_of(account: Account | UUID) -> UUID:
        return account.id if isinstance(account, Account) else account

    return Leg(id=uuid7(), kind=kind, debit=id_of(debit), credit=id_of(credit), amount=amount, currency=currency)


def post(
    *legs: Leg, actor: Actor | None = None, key: str | None = None, unit: UUID | None = None, hashed: bytes = HASH
) -> Posted:
    return posting.post_pending(
        actor=actor or system_actor(),
        legs=legs,
        key=key or str(uuid4()),
        operation="test",
        request_hash=hashed,
        request_id="a-request",
        unit_id=unit or (uuid7() if len(legs) > 1 else None),
    )


def transfer(debit: Account, credit: Account, amount: int, *, key: str | None = None) -> Posted:
    """Ask, as the owner of the paying account, for a transfer of `amount` minor units."""
    assert debit.customer is not None
    return post(leg("transfer", debit, credit, amount, debit.currency), actor=actor_of(debit.customer), key=key)


def approve(posted: Posted) -> None:
    with transaction.atomic():
        steps.approve([posted.transactions[0].unit_id])


def clear(limit: int = 100) -> dict[UUID, str]:
    return dict(posting.clear(limit=limit, actor=system_actor(), request_id=""))


def post_now(kind: str, debit: Account, credit: Account, amount: int) -> Transaction:
    """Post, approve and clear one movement."""
    posted = post(leg(kind, debit, credit, amount, debit.currency))
    approve(posted)
    assert clear()[posted.transactions[0].id] == "cleared"
    return Transaction.objects.get(id=posted.transactions[0].id)


def balances(account: Account) -> tuple[int, int]:
    """(cleared, available), as they are now."""
    account.refresh_from_db()
    return account.cleared, account.available
