"""Use cases in one line, for tests: each acts as the account's owner, with a key of its own unless one is given."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

from django.utils import timezone

from accounts.models import Account
from compliance.services.screening import screen_due
from ledger.models import Transaction
from ledger.selectors import TransactionView
from ledger.services import payments
from tests.support.factories import actor_of
from tests.support.pipeline import run_until, run_until_idle
from wallet_project.sandbox.embedding import RunningSandbox
from wallet_project.utils.context import Actor
from wallet_project.utils.money import Money

HASH = bytes(32)
IBAN = "DE89370400440532013000"


def owner(account: Account) -> Actor:
    assert account.customer is not None
    return actor_of(account.customer)


def deposit(account: Account, amount: int, *, reference: str = "top-up", key: str = "") -> TransactionView:
    return payments.deposit(
        actor=owner(account),
        account=account.id,
        amount=Money(amount, account.currency),
        reference=reference,
        key=key or uuid4().hex,
        request_hash=HASH,
    ).transaction


def withdraw(
    account: Account, amount: int, *, name: str = "Ada Lovelace", iban: str = IBAN, key: str = ""
) -> TransactionView:
    return payments.withdraw(
        actor=owner(account),
        account=account.id,
        amount=Money(amount, account.currency),
        beneficiary={"name": name, "iban": iban},
        key=key or uuid4().hex,
        request_hash=HASH,
    ).transaction


def transfer(source: Account, destination: Account, amount: int, *, key: str = "", **more: Any) -> TransactionView:
    return payments.transfer(
        actor=owner(source),
        source=source.id,
        destination=destination.id,
        amount=Money(amount, source.currency),
        key=key or uuid4().hex,
        request_hash=HASH,
        **more,
    ).transaction


def approve(*made: TransactionView) -> None:
    """Screening, which finds nothing in amounts as small as these."""
    screen_due(now=timezone.now())
    assert not Transaction.objects.filter(id__in=[view.id for view in made], approved_at=None).exists()


def status(made: TransactionView | UUID) -> str:
    row = Transaction.objects.get(id=made if isinstance(made, UUID) else made.id)
    return f"failed: {row.failure}" if row.failure else str(row.status)


def is_status(made: TransactionView, wanted: str) -> Callable[[], bool]:
    return lambda: status(made) == wanted


def balances(account: Account) -> tuple[int, int]:
    """(cleared, available), as they are now."""
    account.refresh_from_db()
    return account.cleared, account.available


def fund_over_the_bank(account: Account, amount: int, sandbox: RunningSandbox) -> None:
    """A deposit that the bank settles at once, so that its book has the money too."""
    made = deposit(account, amount, reference="SBX-SETTLE")
    approve(made)
    run_until(is_status(made, "cleared"), sandbox=sandbox, ledger_only=True)


def settle_everything() -> None:
    run_until_idle(ledger_only=True)
