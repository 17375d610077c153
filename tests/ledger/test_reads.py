"""Lists by filters, what a transaction shows of holds, groups and reversals, and why a balance is what it is."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from django.db import transaction
from rest_framework.test import APIClient

from accounts.models import Account
from accounts.selectors import system_account_id
from ledger import steps
from ledger.posting import Leg, Posted
from ledger.selectors import balances, entries, lists
from tests.compliance.people import at_once
from tests.ledger import flows, history
from tests.support import money
from tests.support.factories import api_client, make_account, make_customer
from tests.support.pipeline import run_until_idle
from wallet_project.utils.ids import uuid7

pytestmark = pytest.mark.django_db

FUTURE = "2999-01-01"


def owner(account: Account) -> APIClient:
    return api_client(account.customer)


def get(client: APIClient, path: str) -> Any:
    answer = client.get(f"/api/v1/{path}")
    assert answer.status_code == 200, answer.content
    return answer.json()


def pages(client: APIClient, path: str) -> Iterator[list[dict[str, Any]]]:
    url = f"/api/v1/{path}"
    while url:
        page = client.get(url).json()
        yield page["results"]
        url = page["next"]


def everything(client: APIClient, path: str) -> list[dict[str, Any]]:
    return [row for page in pages(client, path) for row in page]


def problem(client: APIClient, path: str) -> tuple[int, str, list[str]]:
    answer = client.get(f"/api/v1/{path}")
    body = answer.json()
    return answer.status_code, body["code"], [fault["field"] for fault in body.get("errors", [])]


@pytest.fixture
def town() -> tuple[Account, Account, Account]:
    """Mine, another of mine and somebody else's, after a busy day."""
    customer = make_customer()
    mine, savings, other = make_account(customer, funded=10_000), make_account(customer), make_account(funded=5_000)
    for number in range(1, 7):
        flows.transfer(mine, other, number * 10, reference=f"invoice {number % 2}", metadata={"order": str(number % 3)})
        flows.transfer(other, mine, number * 7, reference="refund", metadata={"order": "0"})
    flows.transfer(mine, savings, 500, reference="rainy days")
    run_until_idle()
    flows.deposit(mine, 70, reference="top-up")
    for number in (1, 2):
        flows.transfer(mine, other, number, reference="later")
    return mine, savings, other


Wanted = tuple[str, Callable[[dict[str, Any]], bool]]


def filters(mine: Account, other: Account) -> list[Wanted]:
    return [
        ("status=pending", lambda row: row["status"] == "pending"),
        ("status=cleared&kind=transfer", lambda row: (row["status"], row["kind"]) == ("cleared", "transfer")),
        ("kind=deposit", lambda row: row["kind"] == "deposit"),
        ("min_amount=35", lambda row: row["amount"] >= 35),
        ("min_amount=14&max_amount=28", lambda row: 14 <= row["amount"] <= 28),
        ("reference=invoice+1", lambda row: row["reference"] == "invoice 1"),
        ("reference=INVOICE+1", lambda row: False),
        ("metadata[order]=2", lambda row: row["metadata"].get("order") == "2"),
        ("metadata[order]=0&max_amount=30", lambda row: row["metadata"] == {"order": "0"} and row["amount"] <= 30),
        (
            f"counterparty={other.id}",
            lambda row: str(other.id) in (row["source"], row["destination"]),
        ),
    ]


@pytest.mark.parametrize("looked_at", [pytest.param(1, marks=pytest.mark.thorough), 3, 5_000])
def test_a_filtered_list_has_just_what_fits_in_order_however_little_a_page_looks_at(
    town: tuple[Account, Account, Account], monkeypatch: pytest.MonkeyPatch, looked_at: int
) -> None:
    mine, _, other = town
    client = owner(mine)
    everywhere, here = everything(client, "transactions"), everything(client, f"accounts/{mine.id}/transactions")
    assert (len(everywhere), len(here)) == (17, 17)
    monkeypatch.setattr(lists, "LOOKED_AT", looked_at)
    monkeypatch.setattr(lists, "LOOKED_AT_OF_EACH", looked_at)
    for query, fits in filters(mine, other):
        assert everything(client, f"transactions?limit=4&{query}") == list(filter(fits, everywhere)), query
        assert everything(client, f"accounts/{mine.id}/transactions?limit=3&{query}") == list(filter(fits, here)), query
    came_in = [row for row in here if row["type"] == "credit"]
    assert everything(client, f"accounts/{mine.id}/transactions?type=credit") == came_in


@pytest.mark.parametrize("looked_at", [pytest.param(1, marks=pytest.mark.thorough), 4, 5_000])
def test_entries_are_filtered_in_the_same_way(
    town: tuple[Account, Account, Account], monkeypatch: pytest.MonkeyPatch, looked_at: int
) -> None:
    mine, _, other = town
    client = owner(mine)
    path = f"accounts/{mine.id}/entries"
    lines = everything(client, path)
    monkeypatch.setattr(entries, "LOOKED_AT", looked_at)
    wanted: list[Wanted] = [
        ("kind=exchange", lambda line: line["kind"] == "exchange"),
        ("type=debit&min_amount=40", lambda line: line["type"] == "debit" and line["amount"] >= 40),
        ("max_amount=20", lambda line: line["amount"] <= 20),
        (f"counterparty={other.id}", lambda line: line["counterparty"] == str(other.id)),
        ("reference=refund", lambda line: line["reference"] == "refund"),
        ("metadata[order]=2", lambda line: line["reference"].startswith("invoice") and line["amount"] in (20, 50)),
    ]
    for query, fits in wanted:
        assert everything(client, f"{path}?limit=2&{query}") == list(filter(fits, lines)), query


def test_a_time_range_begins_with_its_first_instant_and_ends_before_its_last(
    town: tuple[Account, Account, Account],
) -> None:
    mine, _, _ = town
    client = owner(mine)
    for path in ("transactions", f"accounts/{mine.id}/transactions", f"accounts/{mine.id}/entries"):
        rows = everything(client, path)
        *_, since, until = sorted({row["created_at"] for row in rows})[:9]
        fits = [row for row in rows if since <= row["created_at"] < until]
        assert fits
        assert everything(client, f"{path}?limit=2&from={since}&to={until}") == fits
        assert everything(client, f"{path}?to={since[:10]}") == []
        offset = quote(datetime.fromisoformat(since).isoformat())
        assert everything(client, f"{path}?from={offset}&to={FUTURE}") == [
            row for row in rows if row["created_at"] >= since
        ]


def test_a_filter_that_fits_little_costs_a_page_that_is_short_and_not_the_last(
    town: tuple[Account, Account, Account], monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, _, _ = town
    monkeypatch.setattr(lists, "LOOKED_AT", 3)
    found = list(pages(owner(mine), f"accounts/{mine.id}/transactions?kind=deposit"))
    assert [len(page) for page in found].count(0) == len(found) - 1
    assert 2 < len(found) < 8


def test_nobody_finds_money_by_what_is_not_told_to_him(town: tuple[Account, Account, Account]) -> None:
    mine, _, other = town
    receiver = owner(other)
    assert everything(receiver, "transactions?metadata[order]=2") == []
    assert everything(receiver, f"accounts/{other.id}/entries?metadata[order]=2") == []
    # What is pending for him he does not see; nor can he ask which of his money came through the wallet's own accounts.
    assert everything(receiver, "transactions?status=pending") == []
    settlement = system_account_id("settlement", "EUR")
    for path in ("transactions", f"accounts/{mine.id}/transactions", f"accounts/{mine.id}/entries"):
        assert everything(owner(mine), f"{path}?counterparty={settlement}") == []


def test_a_list_says_which_parameter_it_does_not_know_or_understand(town: tuple[Account, Account, Account]) -> None:
    mine, _, _ = town
    client = owner(mine)
    wanted = {
        "transactions?stauts=pending": ("unknown_parameter", ["stauts"]),
        "transactions?metadata=x": ("unknown_parameter", ["metadata"]),
        "transactions?label[a]=x": ("unknown_parameter", ["label[a]"]),
        "transactions?type=debit": ("unknown_parameter", ["type"]),
        f"accounts/{mine.id}/entries?status=cleared": ("unknown_parameter", ["status"]),
        "accounts?status=open": ("unknown_parameter", ["status"]),
        f"accounts/{mine.id}/explain?x=": ("unknown_parameter", ["x"]),
        "transactions?kind=transfer&kind=deposit": ("repeated_parameter", ["kind"]),
        "transactions?status=": ("invalid_input", ["status"]),
        "transactions?kind=loan": ("invalid_input", ["kind"]),
        "transactions?reference=": ("invalid_input", ["reference"]),
        "transactions?min_amount=0": ("invalid_input", ["min_amount"]),
        "transactions?min_amount=1.5": ("invalid_input", ["min_amount"]),
        "transactions?min_amount=3&max_amount=2": ("invalid_input", ["max_amount"]),
        "transactions?counterparty=me": ("invalid_input", ["counterparty"]),
        "transactions?from=yesterday": ("invalid_input", ["from"]),
        "transactions?from=2026-02-30": ("invalid_input", ["from"]),
        "transactions?from=2026-11-22T09:00:00+01:00": ("invalid_input", ["from"]),
        "transactions?from=2026-11-22&to=2026-11-22": ("invalid_input", ["to"]),
        "transactions?metadata[a%20b]=1": ("invalid_input", ["metadata"]),
        f"accounts/{mine.id}/balance?at=now": ("invalid_input", ["at"]),
        f"accounts/{mine.id}/balance?at={FUTURE}": ("in_the_future", []),
    }
    for path, (code, fields) in wanted.items():
        assert problem(client, path) == (400, code, fields), path
    for at in ("0001-01-01", "0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-14:00"):
        assert client.get(f"/api/v1/transactions?from={at}").status_code in (200, 400)


def hold(source: Account, destination: Account, amount: int, fee: int) -> tuple[Posted, Leg]:
    """A hold with its fee, as the use case asks for one."""
    assert source.customer is not None
    payment = Leg(uuid7(), "transfer", source.id, destination.id, amount, "EUR", "table for two", expires_in=600)
    of_fee = Leg(
        uuid7(), "fee", source.id, system_account_id("fees", "EUR"), fee, "EUR", metadata={"fee_of": str(payment.id)},
        expires_in=600,
    )  # fmt: skip
    return money.post(payment, of_fee, actor=money.actor_of(source.customer)), payment


def test_a_hold_is_shown_to_its_receiver_once_he_may_take_it_and_says_what_he_took() -> None:
    source, destination = make_account(funded=1_000), make_account()
    posted, payment = hold(source, destination, 400, 8)
    path = f"transactions/{payment.id}"
    assert owner(destination).get(f"/api/v1/{path}").status_code == 404
    assert everything(owner(destination), "transactions") == []
    money.approve(posted)
    mine, his = get(owner(source), path), get(owner(destination), path)
    assert (mine["stage"], mine["amount"], mine["fee"], mine["capture"]["mode"]) == ("held", 400, 8, "manual")
    assert mine["capture"]["expires_at"] > mine["created_at"]
    assert mine["group"] == str(posted.transactions[0].group_id)
    assert (his["stage"], his["fee"], his["group"]) == ("held", None, None)
    assert everything(owner(destination), "transactions") == [his]
    history.capture(Posted("created", [row for row in posted.transactions if row.id == payment.id]), destination, 300)
    seen = get(owner(destination), path)
    assert (seen["amount"], seen["capture"]["captured_amount"], seen["stage"]) == (400, 300, "processing")
    money.clear()
    seen = get(owner(source), path)
    assert (seen["amount"], seen["capture"]["captured_amount"], seen["fee"]) == (400, 300, 6)
    [line] = everything(owner(destination), f"accounts/{destination.id}/entries")
    assert (line["amount"], line["counterparty"]) == (300, str(source.id))


def test_a_transaction_says_what_it_takes_back_and_how_much_of_it_was_taken_back() -> None:
    source, destination = make_account(funded=1_000), make_account()
    paid = money.post_now("transfer", source, destination, 600)
    assert destination.customer is not None
    back = Leg(uuid7(), "reversal", destination.id, source.id, 250, "EUR", reverses=paid.id)
    posted = money.post(back, actor=money.actor_of(destination.customer))
    shown = get(owner(source), f"transactions/{paid.id}")
    assert (shown["reverses"], shown["reversed_amount"]) == (None, 0)
    money.approve(posted)
    money.clear()
    for client in (owner(source), owner(destination)):
        assert get(client, f"transactions/{paid.id}")["reversed_amount"] == 250
        assert get(client, f"transactions/{back.id}")["reverses"] == str(paid.id)


def test_a_page_is_one_question_to_the_database_whatever_its_rows_have(
    django_assert_num_queries: Callable[..., Any],
) -> None:
    source, destination = make_account(funded=10_000), make_account()
    for _ in range(3):
        hold(source, destination, 400, 8)
        paid = money.post_now("transfer", source, destination, 600)
        assert destination.customer is not None
        money.post(
            Leg(uuid7(), "reversal", destination.id, source.id, 5, "EUR", reverses=paid.id),
            actor=money.actor_of(destination.customer),
        )
    client = owner(source)
    client.get("/api/v1/transactions")
    for path, queries in (
        ("transactions?status=pending&reference=table+for+two", 1),
        ("transactions?limit=2", 1),
        (f"accounts/{source.id}/transactions", 2),
        (f"accounts/{source.id}/entries?limit=3", 2),
        (f"accounts/{source.id}/entries?from=2026-01-01", 3),
        (f"accounts/{source.id}/balance", 2),
        (f"accounts/{source.id}/explain", 2),
        (f"accounts/{source.id}/explain?limit=1", 2),
        (f"accounts/{source.id}/statement?from=2026-01-01&to={FUTURE}", 3),
    ):
        with django_assert_num_queries(queries):
            get(client, path)


def test_how_long_a_transaction_waited_is_told_by_its_class(owner_connection: psycopg.Connection) -> None:
    """What is given too high a class is found all the same, only by looking further back each time."""
    waits = [("0", "1 minute"), ("61 s", "1 hour"), ("3601 s", "48 hours"), ("49 hours", "768 hours"), ("33 d", "1 y")]
    for ended in ("now() + %s::interval, NULL", "NULL, now() + %s::interval"):
        asked = f"SELECT ledger_wait(now(), {ended})"
        classes = [owner_connection.execute(asked, [wait]).fetchone() for pair in waits for wait in pair]  # type: ignore[arg-type]
        # What failed at birth was never pending; what failed later was, however soon.
        second = 0 if ended.endswith("NULL") else 1
        assert classes == [(kind,) for kind in (0, second, 1, 1, 2, 2, 3, 3, 4, 4)]
    assert owner_connection.execute("SELECT ledger_wait(now(), NULL, NULL)").fetchone() == (0,)


def test_a_balance_in_the_past_is_asked_for_by_its_instant() -> None:
    account, other = make_account(funded=1_000), make_account()
    client = owner(account)
    path = f"accounts/{account.id}/balance"
    flows.transfer(account, other, 300)
    reserved = history.database_now()
    run_until_idle()
    answer = get(client, f"{path}?at={reserved.isoformat().replace('+00:00', 'Z')}")
    assert answer == {
        "account": str(account.id),
        "currency": "EUR",
        "at": reserved.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "balances": {"cleared": 1_000, "reserved": 300, "available": 700},
        "final": False,
    }
    assert get(client, path)["balances"] == {"cleared": 700, "reserved": 0, "available": 700}
    long_ago = get(client, f"{path}?at=2020-01-01")
    assert (long_ago["balances"], long_ago["final"]) == ({"cleared": 0, "reserved": 0, "available": 0}, True)
    assert owner(other).get(f"/api/v1/{path}").status_code == 404


def test_the_available_balance_is_explained_by_what_reserves_it() -> None:
    source, destination = make_account(funded=1_000), make_account()
    looked_at = flows.transfer(source, destination, 100, reference="under review")
    with transaction.atomic():
        assert steps.hold_for_review([looked_at.id])
    flows.withdraw(source, 50)
    posted, payment = hold(source, destination, 400, 8)
    money.approve(posted)
    answer = get(owner(source), f"accounts/{source.id}/explain")
    assert answer["balances"] == {"cleared": 1_000, "reserved": 558, "available": 442}
    assert [(row["kind"], row["stage"], row["reserved"]) for row in answer["reservations"]] == [
        ("fee", "held", 8),
        ("transfer", "held", 400),
        ("withdrawal", "processing", 50),
        ("transfer", "processing", 100),
    ]
    nothing = {"count": 0, "reserved": 0}
    assert (answer["newer"], answer["older"], answer["next"]) == (nothing, nothing, None)
    history.capture(Posted("created", [row for row in posted.transactions if row.id == payment.id]), destination, 200)
    captured = get(owner(source), f"accounts/{source.id}/explain")
    assert captured["balances"] == {"cleared": 1_000, "reserved": 354, "available": 646}
    assert [row["reserved"] for row in captured["reservations"]] == [4, 200, 50, 100]
    assert owner(destination).get(f"/api/v1/accounts/{source.id}/explain").status_code == 404


def explained(client: APIClient, url: str | None) -> Iterator[dict[str, Any]]:
    """Each page of an explanation; it adds up in itself, whatever was asked for since the one before."""
    while url:
        page = client.get(url).json()
        shown = sum(row["reserved"] for row in page["reservations"])
        assert page["newer"]["reserved"] + shown + page["older"]["reserved"] == page["balances"]["reserved"]
        yield page
        url = page["next"]


def test_an_explanation_is_paged_through_to_its_end_and_each_page_adds_up() -> None:
    source, destination = make_account(funded=10_000), make_account()
    made = [history.pay(source, destination, 10 + number) for number in range(5)]
    client, path = owner(source), f"/api/v1/accounts/{source.id}/explain?limit=2"
    counted = [
        [page["newer"]["count"], len(page["reservations"]), page["older"]["count"]] for page in explained(client, path)
    ]
    assert counted == [[0, 2, 3], [2, 2, 1], [4, 1, 0]]

    pages_read = explained(client, path)
    shown = next(pages_read)["reservations"]
    # What is paid and what ends meanwhile is seen in the balances of the next page, and moves no other payment.
    history.pay(source, destination, 100)
    history.fail(made[1])
    second = next(pages_read)
    assert (second["newer"], second["older"]) == ({"count": 3, "reserved": 127}, {"count": 0, "reserved": 0})
    assert second["balances"] == {"cleared": 10_000, "reserved": 149, "available": 9_851}
    assert (second["next"], next(pages_read, None)) == (None, None)
    assert [row["reserved"] for row in shown + second["reservations"]] == [14, 13, 12, 10]
    # The newest of all is on the first page again; after the last one there is nothing.
    assert get(client, f"accounts/{source.id}/explain")["reservations"][0]["reserved"] == 100
    for wrong in ("cursor=x", "limit=0", "limit=101"):
        assert client.get(f"/api/v1/accounts/{source.id}/explain?{wrong}").status_code == 400


def test_an_explanation_adds_up_also_while_payments_come_and_go() -> None:
    source, destination = make_account(funded=10_000), make_account()
    assert source.customer_id is not None
    customer_id = source.customer_id

    def pay() -> None:
        for number in range(15):
            posted = history.pay(source, destination, 10 + number)
            if number % 2:
                history.fail(posted)
            else:
                money.approve(posted)
                money.clear()

    def ask() -> None:
        for _ in range(40):
            why = balances.explain(source.id, customer_id=customer_id, before=None, limit=5)
            assert why.reserved == sum(map(balances.reserves, why.rows)) + why.older.amount
            assert why.newer == balances.Part(0, 0)

    assert at_once(pay, ask, pay, ask) == [None] * 4
    source.refresh_from_db()
    at = history.database_now()
    was = balances.balance_at(source.id, at=at, now=at)
    assert (was.cleared, was.reserved) == (source.cleared, source.reserved)
