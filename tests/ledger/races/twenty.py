"""Requests that a barrier lets go together, and what came of them."""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from accounts.models import Account
from ledger.models import Transaction
from tests.ledger import flows
from tests.ledger.test_races import at_once
from tests.support.factories import api_client, session_token

TWENTY = 20


def request(account: Account, path: str, body: Any = None, *, key: str = "") -> Callable[[], Any]:
    """A POST by the account's owner, to be sent later; with a key of its own unless one is given."""
    assert account.customer is not None
    client = api_client()
    client.credentials(HTTP_X_SESSION_TOKEN=session_token(account.customer.user))
    headers = {"Idempotency-Key": key or uuid4().hex}
    return partial(client.post, f"/api/v1/{path}", body, format="json", headers=headers)


def transfer(source: Account, destination: Account, amount: int, *, key: str = "", **more: Any) -> Callable[[], Any]:
    body = {
        "source": str(source.id),
        "destination": str(destination.id),
        "amount": amount,
        "currency": source.currency,
        **more,
    }
    return request(source, "transfers", body, key=key)


def deposit(account: Account, amount: int, *, key: str = "") -> Callable[[], Any]:
    body = {"account": str(account.id), "amount": amount, "currency": account.currency}
    return request(account, "deposits", body, key=key)


def withdraw(account: Account, amount: int, *, key: str = "") -> Callable[[], Any]:
    beneficiary = {"name": "Ada Lovelace", "iban": flows.IBAN}
    body = {"account": str(account.id), "amount": amount, "currency": account.currency, "beneficiary": beneficiary}
    return request(account, "withdrawals", body, key=key)


def pay(source: Account, *parts: tuple[Account, int], key: str = "") -> Callable[[], Any]:
    transfers = [
        {"source": str(source.id), "destination": str(to.id), "amount": amount, "currency": source.currency}
        for to, amount in parts
    ]
    return request(source, "groups", {"transfers": transfers}, key=key)


def answers(requests: Sequence[Callable[[], Any]]) -> list[Any]:
    """What they were answered, in their order; none may have been answered with a fault of ours."""
    answered = at_once(*requests)
    faults = [answer for answer in answered if isinstance(answer, Exception) or answer.status_code >= 500]
    assert faults == []
    return answered


def outcomes(answered: Sequence[Any]) -> Counter[str]:
    """How many went through, and how many were refused with which code."""
    return Counter(
        "done" if answer.status_code < 300 else f"{answer.status_code} {answer.json()['code']}" for answer in answered
    )


def rows(answered: Sequence[Any]) -> list[Transaction]:
    """The transactions of those that went through."""
    ids = [UUID(answer.json()["id"]) for answer in answered if answer.status_code < 300]
    return list(Transaction.objects.filter(id__in=ids))
