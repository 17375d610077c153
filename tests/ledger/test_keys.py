"""A key belongs to what it was first sent for: under another use case it is refused, whatever the hash says."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from accounts.idempotency import IdempotencyKeyReused
from accounts.models import Account, IdempotencyClaim
from accounts.services.accounts import create_account
from ledger.models import Transaction
from ledger.services import groups
from ledger.services.groups import Part
from tests.ledger import flows
from tests.support.factories import make_account
from wallet_project.utils.money import Money

pytestmark = pytest.mark.django_db

KEY = "the same"


def group(source: Account, destination: Account) -> UUID:
    part = Part(source=source.id, destination=destination.id, amount=Money(10, "EUR"))
    return groups.pay(actor=flows.owner(source), transfers=[part] * 2, key=KEY, request_hash=flows.HASH).id


def open_account(source: Account, _: Account) -> UUID:
    asked = {"currency": "EUR", "label": "", "key": KEY, "request_hash": flows.HASH}
    return create_account(actor=flows.owner(source), **asked).account.id  # type: ignore[arg-type]


#: By the name that is kept beside the key. A release that changes one would refuse the repetition of a request that the
#: release before it had accepted.
USE_CASES: dict[str, Callable[[Account, Account], Any]] = {
    "deposit": lambda source, _: flows.deposit(source, 10, key=KEY),
    "withdrawal": lambda source, _: flows.withdraw(source, 10, key=KEY),
    "transfer": lambda source, destination: flows.transfer(source, destination, 10, key=KEY),
    "group": group,
    "create_account": open_account,
}


@pytest.mark.parametrize("first", USE_CASES)
def test_a_key_of_one_use_case_is_refused_under_every_other(first: str) -> None:
    source, destination = make_account(funded=100), make_account()
    made = USE_CASES[first](source, destination)
    claim = IdempotencyClaim.objects.get(principal=flows.owner(source).principal_id, key=KEY)
    assert claim.operation == first
    before = (Transaction.objects.count(), Account.objects.count(), flows.balances(source))
    for other, use_case in USE_CASES.items():
        if other != first:
            with pytest.raises(IdempotencyKeyReused):
                use_case(source, destination)
    again = USE_CASES[first](source, destination)
    assert getattr(again, "id", again) == getattr(made, "id", made)
    assert (Transaction.objects.count(), Account.objects.count(), flows.balances(source)) == before
