"""An account is closed at zero with nothing pending on either side, whatever arrives at the same moment."""

import pytest

from accounts.models import Account
from accounts.selectors import AccountNotFound, NotACustomer
from accounts.steps import AccountNotEmpty, WrongState
from ledger.posting import AccountNotOpen
from ledger.services.accounts import AccountHasPending, close_account
from tests.ledger import flows
from tests.ledger.test_escalations import freeze
from tests.ledger.test_races import at_once
from tests.support.factories import api_client, make_account
from tests.support.pipeline import run_until_idle, verify
from wallet_project.utils.context import system_actor

pytestmark = pytest.mark.django_db


def close(account: Account) -> Account:
    return close_account(actor=flows.owner(account), account_id=account.id)


def test_an_empty_account_is_closed_for_good() -> None:
    account, other = make_account(), make_account(funded=100)
    client = api_client(account.customer)
    first = client.post(f"/api/v1/accounts/{account.id}/close")
    assert (first.status_code, first.json()["status"]) == (200, "closed")
    assert client.post(f"/api/v1/accounts/{account.id}/close").json() == first.json()
    with pytest.raises(AccountNotOpen):
        flows.transfer(other, account, 1)
    with pytest.raises(AccountNotOpen):
        flows.deposit(account, 1)
    verify("--no-bank")


def test_money_or_anything_pending_keeps_it_open() -> None:
    account, other = make_account(funded=100), make_account()
    with pytest.raises(AccountNotEmpty):
        close(account)
    flows.transfer(account, other, 100)
    for busy in (account, other):
        with pytest.raises((AccountNotEmpty, AccountHasPending)):
            close(busy)
    answer = api_client(other.customer).post(f"/api/v1/accounts/{other.id}/close")
    assert (answer.status_code, answer.json()["code"]) == (409, "account_has_pending")
    run_until_idle()
    assert close(account).status == "closed"
    verify("--no-bank")


def test_only_its_owner_closes_it_and_not_while_it_is_frozen() -> None:
    account, other = make_account(), make_account()
    with pytest.raises(AccountNotFound):
        close_account(actor=flows.owner(other), account_id=account.id)
    with pytest.raises(NotACustomer):
        close_account(actor=system_actor(), account_id=account.id)
    freeze(account)
    with pytest.raises(WrongState):
        close(account)
    account.refresh_from_db()
    assert account.status == "frozen"


@pytest.mark.parametrize("attempt", range(5))
def test_a_payment_that_arrives_at_the_same_moment_is_seen_or_refused(attempt: int) -> None:
    source, destination = make_account(funded=1_000), make_account()
    calls = [lambda: flows.transfer(source, destination, 10) for _ in range(4)]
    *payments, closed = at_once(*calls, lambda: close(destination))
    made = [payment for payment in payments if not isinstance(payment, Exception)]
    assert all(isinstance(payment, AccountNotOpen) for payment in payments if payment not in made)
    destination.refresh_from_db()
    if made:
        assert isinstance(closed, AccountHasPending)
        assert destination.status == "open"
    else:
        assert destination.status == "closed"
    run_until_idle()
    assert flows.balances(destination) == (10 * len(made), 10 * len(made))
    assert flows.balances(source) == (1_000 - 10 * len(made), 1_000 - 10 * len(made))
    verify("--no-bank")


def test_a_payment_out_at_the_same_moment_is_seen_or_refused() -> None:
    account, other = make_account(funded=10), make_account()
    made = flows.transfer(account, other, 10)
    run_until_idle()
    assert flows.status(made) == "cleared"
    deposit, closed = at_once(lambda: flows.deposit(account, 10), lambda: close(account))
    account.refresh_from_db()
    assert isinstance(closed, Exception) == (account.status == "open")
    assert isinstance(deposit, Exception) == (account.status == "closed")
    verify("--no-bank")
