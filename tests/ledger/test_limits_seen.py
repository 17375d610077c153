"""What a customer sees of his limits: those that are set, what is used and left, and nobody else's."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from drf_spectacular.generators import SchemaGenerator

from accounts.models import Account
from ledger.selectors.limits import limits_of
from ledger.services import holds, payments
from tests.api.test_contract import assert_documented
from tests.compliance.people import at_once
from tests.ledger import flows
from tests.ledger.test_limit_functions import shift
from tests.ledger.test_limits import IN, OUT, is_refused, limit_account, limit_customer
from tests.support.factories import api_client, make_account, make_customer, make_user

pytestmark = pytest.mark.django_db


def ask(account: Account, *, query: str = "", client: Any = None) -> Any:
    return (client or api_client(account.customer)).get(f"/api/v1/accounts/{account.id}/limits{query}")


def seen(account: Account) -> list[dict[str, Any]]:
    answer = ask(account)
    assert answer.status_code == 200, answer.content
    body = answer.json()
    assert (body["account"], body["currency"]) == (str(account.id), account.currency)
    limits: list[dict[str, Any]] = body["limits"]
    return limits


def allowance(limit: int, used: int) -> dict[str, int]:
    return {"limit": limit, "used": used, "left": limit - used}


def day(account: Account) -> Any:
    [limit] = seen(account)
    return limit["per_day"]


def test_where_no_limit_is_set_there_is_none_to_see() -> None:
    assert seen(make_account()) == []


def test_only_what_is_set_is_shown_the_account_s_before_the_customer_s_and_outgoing_first() -> None:
    account = make_account()
    limit_customer(account, IN, per_day=0)
    limit_account(account, IN, per_30_days=3_000)
    limit_customer(account, per_transaction=500)
    limit_account(account, per_day=1_000, per_30_days=2_000)
    nothing = {"per_transaction": None, "per_day": None, "per_30_days": None}
    assert seen(account) == [
        {
            "scope": "account",
            "direction": "out",
            **nothing,
            "per_day": allowance(1_000, 0),
            "per_30_days": allowance(2_000, 0),
        },
        {"scope": "account", "direction": "in", **nothing, "per_30_days": allowance(3_000, 0)},
        {"scope": "customer", "direction": "out", **nothing, "per_transaction": 500},
        {"scope": "customer", "direction": "in", **nothing, "per_day": allowance(0, 0)},
    ]
    limit_account(account)
    assert [(limit["scope"], limit["direction"]) for limit in seen(account)] == [
        ("account", "in"),
        ("customer", "out"),
        ("customer", "in"),
    ]


def test_limits_have_the_documented_shape() -> None:
    account = make_account()
    limit_customer(account, per_transaction=500)
    limit_account(account, IN, per_day=1_000, per_30_days=2_000)
    document = json.loads(json.dumps(SchemaGenerator().get_schema(request=None, public=True)))
    assert_documented(document, ("GET", "/api/v1/accounts/{account_id}/limits"), ask(account))


def test_who_is_refused_sees_what_is_left_and_can_send_that() -> None:
    source, destination = make_account(funded=10_000), make_account()
    limit_account(source, per_day=1_000)
    flows.transfer(source, destination, 700)
    assert is_refused(lambda: flows.transfer(source, destination, 301))
    assert day(source) == allowance(1_000, 700)
    flows.transfer(source, destination, day(source)["left"])
    assert day(source) == allowance(1_000, 1_000)


def test_what_does_not_leave_after_all_is_left_again() -> None:
    source, destination = make_account(funded=10_000), make_account()
    limit_account(source, per_day=1_000)
    cancelled = flows.transfer(source, destination, 300)
    hold = flows.transfer(source, destination, 600, expires_in=3_600)
    assert day(source) == allowance(1_000, 900)
    payments.cancel(actor=flows.owner(source), transaction_id=cancelled.id)
    assert day(source) == allowance(1_000, 600)
    flows.approve(hold)
    holds.capture(actor=flows.owner(destination), transaction_id=hold.id, amount=200, key=None, request_hash=bytes(32))
    assert day(source) == allowance(1_000, 200)


def test_what_comes_in_is_used_when_it_clears() -> None:
    source, destination = make_account(funded=1_000), make_account()
    limit_account(destination, IN, per_day=1_000)
    made = flows.transfer(source, destination, 400)
    assert day(destination) == allowance(1_000, 0)
    flows.approve(made)
    flows.settle_everything()
    assert day(destination) == allowance(1_000, 400)


@pytest.mark.parametrize(("days", "in_30_days"), [(1, 400), (29, 400), (30, 0)])
def test_what_was_used_on_another_day_is_used_of_30_days_alone(
    days: int, in_30_days: int, owner_connection: Any
) -> None:
    source = make_account(funded=1_000)
    flows.transfer(source, make_account(), 400)
    shift(owner_connection, "created_at", days)
    limit_account(source, per_day=1_000, per_30_days=2_000)
    [limit] = seen(source)
    assert (limit["per_day"], limit["per_30_days"]) == (allowance(1_000, 0), allowance(2_000, in_30_days))


def test_of_a_limit_below_what_was_used_nothing_is_left() -> None:
    source = make_account(funded=1_000)
    flows.transfer(source, make_account(), 400)
    limit_account(source, per_day=100)
    assert day(source) == {"limit": 100, "used": 400, "left": 0}


def test_a_customer_s_limit_is_seen_on_each_of_his_accounts_in_its_currency_and_an_account_s_on_its_own() -> None:
    customer = make_customer()
    one, two = make_account(customer, funded=5_000), make_account(customer, funded=5_000)
    dollars = make_account(customer, "USD")
    limit_customer(one, per_day=1_000)
    limit_account(two, per_day=2_000)
    limit_customer(one, per_day=70, currency="USD")
    flows.transfer(one, make_account(), 300)
    flows.transfer(two, make_account(), 100)
    flows.transfer(two, one, 50)
    assert [(limit["scope"], limit["per_day"]) for limit in seen(one)] == [("customer", allowance(1_000, 400))]
    assert [(limit["scope"], limit["per_day"]) for limit in seen(two)] == [
        ("account", allowance(2_000, 150)),
        ("customer", allowance(1_000, 400)),
    ]
    assert [(limit["scope"], limit["per_day"]) for limit in seen(dollars)] == [("customer", allowance(70, 0))]


def test_nobody_sees_anybody_else_s() -> None:
    mine, other = make_account(), make_account()
    limit_account(other, per_day=1_000)
    limit_customer(other, per_day=1_000)
    assert seen(mine) == []
    theirs = ask(other, client=api_client(mine.customer))
    assert (theirs.status_code, theirs.json()["code"]) == (404, "account_not_found")
    assert ask(other, client=api_client()).status_code == 401
    staff = ask(other, client=api_client(make_user(is_staff=True)))
    assert (staff.status_code, staff.json()["code"]) == (403, "not_a_customer")


@pytest.mark.parametrize("query", ["?currency=EUR", "?x=", "?limit=1&cursor=a"])
def test_a_parameter_that_nobody_reads_is_refused(query: str) -> None:
    answer = ask(make_account(), query=query)
    assert (answer.status_code, answer.json()["code"]) == (400, "unknown_parameter")


def test_limits_and_what_is_used_of_them_are_one_query(django_assert_num_queries: Callable[..., Any]) -> None:
    account = make_account(funded=1_000)
    assert account.customer_id is not None
    for direction in (OUT, IN):
        limit_account(account, direction, per_day=1_000, per_30_days=2_000)
        limit_customer(account, direction, per_day=1_000)
    flows.transfer(account, make_account(), 10)
    with django_assert_num_queries(1):
        assert len(limits_of([account.id, account.customer_id], currency="EUR")) == 4
    client = api_client(account.customer)
    ask(account, client=client)
    with django_assert_num_queries(2):
        ask(account, client=client)


def test_what_is_used_belongs_to_the_limit_it_is_shown_with_also_while_that_is_set_and_taken_away() -> None:
    source = make_account(funded=1_000)
    flows.transfer(source, make_account(), 400)

    def change() -> None:
        for _ in range(15):
            limit_account(source, per_day=1_000)
            limit_account(source)

    def look() -> None:
        for _ in range(60):
            for limit in limits_of([source.id]):
                assert (limit.per_day, limit.used_today) == (1_000, 400)

    assert at_once(change, look, look) == [None] * 3
