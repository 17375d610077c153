"""The API's money: shapes, refusals, keys, pages, and how much the database is asked."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
import structlog
from django.db import transaction
from rest_framework.test import APIClient

from accounts.models import Account
from ledger import steps
from ledger.models import Transaction
from ledger.services import payments
from tests.ledger import flows
from tests.ledger.test_escalations import freeze
from tests.support.factories import api_client, keyed, make_account, make_customer, make_user
from tests.support.pipeline import run_until_idle, verify

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("both_ways")]

SHAPE = [
    "id", "kind", "status", "stage", "amount", "currency", "source", "destination", "reference", "metadata", "failure",
    "created_at", "cleared_at", "capture", "group", "fee", "reverses", "reversed_amount",
]  # fmt: skip
UNKNOWN_ID = "01980000-0000-7000-8000-000000000000"


def post(client: APIClient, path: str, body: Any, **headers: str) -> Any:
    return client.post(f"/api/v1/{path}", body, format="json", headers=headers or keyed())


def transfer_body(source: Account, destination: Account, amount: Any = 2_000, **changes: Any) -> dict[str, Any]:
    body = {"source": str(source.id), "destination": str(destination.id), "amount": amount, "currency": "EUR"}
    return body | changes


def owner(account: Account) -> APIClient:
    return api_client(account.customer)


def test_a_transfer_is_answered_at_once_with_what_it_is() -> None:
    source, destination = make_account(funded=10_000), make_account()
    body = transfer_body(source, destination, reference=" rent ", metadata={"flat": "4b"})
    answer = post(owner(source), "transfers", body)
    assert answer.status_code == 202
    made = answer.json()
    assert list(made) == SHAPE
    assert {name: made[name] for name in SHAPE if name not in ("id", "created_at")} == {
        "kind": "transfer",
        "status": "pending",
        "stage": "processing",
        "amount": 2_000,
        "currency": "EUR",
        "source": str(source.id),
        "destination": str(destination.id),
        "reference": "rent",
        "metadata": {"flat": "4b"},
        "failure": None,
        "cleared_at": None,
        "capture": {"mode": "automatic", "expires_at": None, "captured_amount": None, "captured_at": None},
        "group": None,
        "fee": None,
        "reverses": None,
        "reversed_amount": 0,
    }
    assert made["created_at"].endswith("Z")
    assert owner(source).get(f"/api/v1/transactions/{made['id']}").json() == made


def test_the_log_names_the_transaction_that_a_request_made_and_the_next_request_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    source, destination = make_account(funded=10_000), make_account()
    client = owner(source)
    # What use cases that tests have called themselves, in this very thread, have left behind.
    structlog.contextvars.clear_contextvars()
    made = post(client, "transfers", transfer_body(source, destination)).json()
    client.get("/api/v1/accounts")
    about_it, next_one = [record.msg for record in caplog.records if "request_finished" in str(record.msg)]
    assert isinstance(about_it, dict)
    assert about_it["transaction_id"] == made["id"]
    assert "transaction_id" not in next_one


def test_a_deposit_has_no_source_and_a_withdrawal_no_destination() -> None:
    account = make_account(funded=10_000)
    client = owner(account)
    money = {"account": str(account.id), "amount": 500, "currency": "EUR"}
    deposited = post(client, "deposits", {**money, "reference": "from savings"}).json()
    assert (deposited["source"], deposited["destination"]) == (None, str(account.id))
    beneficiary = {"name": "Ada Lovelace", "iban": "de89 3704 0044 0532 0130 00"}
    withdrawn = post(client, "withdrawals", {**money, "beneficiary": beneficiary}).json()
    assert (withdrawn["source"], withdrawn["destination"], list(withdrawn)) == (str(account.id), None, SHAPE)
    assert Transaction.objects.get(id=withdrawn["id"]).beneficiary == {
        "name": "Ada Lovelace",
        "iban": "DE89370400440532013000",
    }


def test_lack_of_funds_is_a_422_that_names_the_failed_transaction() -> None:
    source, destination = make_account(funded=1_000), make_account()
    client, key = owner(source), keyed()
    answer = post(client, "transfers", transfer_body(source, destination, 1_001), **key)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "insufficient_funds")
    recorded = client.get(f"/api/v1/transactions/{problem['transaction']}").json()
    assert (recorded["status"], recorded["stage"]) == ("failed", None)
    assert recorded["failure"]["code"] == "insufficient_funds"
    again = post(client, "transfers", transfer_body(source, destination, 1_001), **key)
    assert (again.status_code, again.json()["transaction"]) == (422, problem["transaction"])
    assert again["Idempotent-Replayed"] == "true"


def test_the_same_key_again_is_the_same_answer_as_things_are_now() -> None:
    source, destination = make_account(funded=10_000), make_account()
    client, key = owner(source), keyed()
    body = transfer_body(source, destination)
    first = post(client, "transfers", body, **key)
    assert "Idempotent-Replayed" not in first
    run_until_idle()
    again = post(client, "transfers", body, **key)
    assert (again.status_code, again["Idempotent-Replayed"]) == (202, "true")
    assert (again.json()["id"], again.json()["status"]) == (first.json()["id"], "cleared")
    assert flows.balances(source) == (8_000, 8_000)
    verify("--no-bank")


@pytest.mark.parametrize("changes", [{"amount": 2_001}, {"reference": "other"}, {"metadata": {"a": "b"}}])
def test_the_same_key_with_another_body_is_refused(changes: dict[str, Any]) -> None:
    source, destination = make_account(funded=10_000), make_account()
    client, key = owner(source), keyed()
    post(client, "transfers", transfer_body(source, destination), **key)
    answer = post(client, "transfers", transfer_body(source, destination) | changes, **key)
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert Transaction.objects.filter(kind="transfer").count() == 1


def test_the_same_key_for_another_operation_is_refused() -> None:
    account = make_account(funded=10_000)
    client, key = owner(account), keyed()
    money = {"account": str(account.id), "amount": 500, "currency": "EUR"}
    post(client, "deposits", money, **key)
    beneficiary = {"name": "Ada", "iban": flows.IBAN}
    answer = post(client, "withdrawals", {**money, "beneficiary": beneficiary}, **key)
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")


def test_the_same_key_of_two_people_is_two_keys() -> None:
    one, two = make_account(funded=1_000), make_account(funded=1_000)
    key = keyed()
    assert post(owner(one), "transfers", transfer_body(one, two, 10), **key).status_code == 202
    assert post(owner(two), "transfers", transfer_body(two, one, 10), **key).status_code == 202


def test_a_post_without_a_key_makes_nothing() -> None:
    source, destination = make_account(funded=1_000), make_account()
    answer = owner(source).post("/api/v1/transfers", transfer_body(source, destination), format="json")
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_required")
    assert not Transaction.objects.filter(kind="transfer").exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"amount": 0},
        {"amount": -1},
        {"amount": 10**15 + 1},
        {"amount": "2000"},
        {"amount": 20.0},
        {"amount": True},
        {"amount": None},
        {"currency": "eur"},
        {"currency": "XAU"},
        {"source": "mine"},
        {"status": "cleared"},
        {"kind": "exchange"},
        {"reference": "x" * 141},
        {"reference": "a\tb"},
        {"metadata": {"a": 1}},
        {"metadata": []},
    ],
)
def test_a_body_that_is_not_understood_leaves_no_trace(changes: dict[str, Any]) -> None:
    source, destination = make_account(funded=10_000), make_account()
    key = keyed()
    answer = post(owner(source), "transfers", transfer_body(source, destination) | changes, **key)
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
    assert answer.json()["errors"][0]["field"].split(".")[0] in changes
    assert not Transaction.objects.filter(kind="transfer").exists()
    assert post(owner(source), "transfers", transfer_body(source, destination), **key).status_code == 202


@pytest.mark.parametrize("iban", ["DE89370400440532013001", "DE8937", "", "NO-IBAN", "DE89370400440532013000" * 2])
def test_an_iban_with_a_wrong_digit_is_refused(iban: str) -> None:
    account = make_account(funded=10_000)
    body = {"account": str(account.id), "amount": 500, "currency": "EUR", "beneficiary": {"name": "Ada", "iban": iban}}
    answer = post(owner(account), "withdrawals", body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "beneficiary.iban")


def test_what_may_not_be_paid_from_or_to() -> None:
    mine, theirs = make_account(funded=10_000), make_account(funded=10_000)
    dollars, frozen = make_account(currency="USD"), make_account(funded=100)
    freeze(frozen)
    client = owner(mine)
    requested = make_account(make_customer(verified=False))
    wanted = {
        "somebody else's": (transfer_body(theirs, mine), 404, "account_not_found"),
        "nobody's": (transfer_body(mine, mine) | {"source": UNKNOWN_ID}, 404, "account_not_found"),
        "to nobody": (transfer_body(mine, mine) | {"destination": UNKNOWN_ID}, 404, "account_not_found"),
        "to itself": (transfer_body(mine, mine), 422, "same_account"),
        "another currency": (transfer_body(mine, dollars), 422, "currency_mismatch"),
        "not open yet": (transfer_body(mine, requested), 422, "account_not_open"),
    }
    for body, status, code in wanted.values():
        answer = post(client, "transfers", body)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
    answer = post(owner(frozen), "transfers", transfer_body(frozen, mine, 1))
    assert (answer.status_code, answer.json()["code"]) == (422, "account_not_open")
    assert post(client, "transfers", transfer_body(mine, frozen, 1)).status_code == 202
    not_mine = {"account": str(theirs.id), "amount": 1, "currency": "EUR"}
    assert post(client, "deposits", not_mine).status_code == 404
    beneficiary = {"name": "Ada", "iban": flows.IBAN}
    assert post(client, "withdrawals", {**not_mine, "beneficiary": beneficiary}).status_code == 404
    verify("--no-bank")


def test_staff_and_strangers_move_nothing() -> None:
    source, destination = make_account(funded=10_000), make_account()
    staff = api_client(make_user(is_staff=True, is_superuser=True))
    answer = post(staff, "transfers", transfer_body(source, destination))
    assert (answer.status_code, answer.json()["code"]) == (403, "not_a_customer")
    assert post(api_client(), "transfers", transfer_body(source, destination)).status_code == 401
    assert not Transaction.objects.filter(kind="transfer").exists()


def test_a_money_post_asks_the_database_once(django_assert_num_queries: Callable[..., Any]) -> None:
    source, destination = make_account(funded=10_000), make_account()
    client, key = owner(source), keyed()
    money = {"account": str(source.id), "amount": 500, "currency": "EUR"}
    beneficiary = {"name": "Ada", "iban": flows.IBAN}
    post(client, "deposits", money)
    with django_assert_num_queries(1):
        assert post(client, "deposits", money).status_code == 202
    with django_assert_num_queries(1):
        assert post(client, "withdrawals", {**money, "beneficiary": beneficiary}).status_code == 202
    with django_assert_num_queries(1):
        assert post(client, "transfers", transfer_body(source, destination), **key).status_code == 202
    with django_assert_num_queries(1):
        assert post(client, "transfers", transfer_body(source, destination, 10**6)).status_code == 422
    with django_assert_num_queries(2):
        assert post(client, "transfers", transfer_body(source, destination), **key).status_code == 202


def test_reading_asks_the_database_a_fixed_number_of_times(django_assert_num_queries: Callable[..., Any]) -> None:
    source, destination = make_account(funded=10_000), make_account()
    made = [flows.transfer(source, destination, 10) for _ in range(5)]
    run_until_idle()
    client = owner(source)
    client.get("/api/v1/transactions")
    for path, queries in (
        (f"transactions/{made[0].id}", 1),
        ("transactions", 1),
        (f"accounts/{source.id}/transactions", 2),
        (f"accounts/{source.id}/entries", 2),
    ):
        with django_assert_num_queries(queries):
            assert client.get(f"/api/v1/{path}").status_code == 200


def everything(client: APIClient, path: str) -> list[dict[str, Any]]:
    """All the pages of a list."""
    url, found = f"/api/v1/{path}", []
    while url:
        page = client.get(url).json()
        found += page["results"]
        url = page["next"]
    return found


def test_lists_are_pages_newest_first_without_gap_or_repetition() -> None:
    source, destination = make_account(funded=10_000), make_account()
    made = [flows.transfer(source, destination, 1 + n) for n in range(7)]
    client = owner(source)
    listed = everything(client, "transactions?limit=3&kind=transfer")
    assert [row["id"] for row in listed] == [str(view.id) for view in reversed(made)]
    run_until_idle()
    seen = everything(client, f"accounts/{source.id}/transactions?limit=2")
    assert [row["type"] for row in seen] == ["debit"] * 7 + ["credit"]
    assert list(seen[0]) == [*SHAPE, "type"]
    lines = everything(client, f"accounts/{source.id}/entries?limit=3")
    assert [line["sequence"] for line in lines] == list(range(8, 0, -1))
    assert [line["balance_after"] for line in reversed(lines)] == [
        10_000,
        *(10_000 - n * (n + 1) // 2 for n in range(1, 8)),
    ]
    assert list(lines[0]) == [
        "sequence", "transaction", "kind", "type", "amount", "currency", "balance_after", "counterparty", "reference",
        "created_at",
    ]  # fmt: skip


def test_lists_are_filtered_by_status_and_kind() -> None:
    account, other = make_account(funded=10_000), make_account()
    client = owner(account)
    flows.transfer(account, other, 10)
    run_until_idle()
    flows.transfer(account, other, 20)
    assert [row["amount"] for row in everything(client, "transactions?status=pending")] == [20]
    assert [row["amount"] for row in everything(client, "transactions?status=cleared&kind=transfer")] == [10]
    assert [row["amount"] for row in everything(client, f"accounts/{account.id}/transactions?status=pending")] == [20]
    assert client.get("/api/v1/transactions?status=lost").status_code == 400
    assert client.get("/api/v1/transactions?cursor=%00").status_code == 400


def test_a_transfer_between_ones_own_accounts_is_listed_once() -> None:
    customer = make_customer()
    one, two = make_account(customer, funded=1_000), make_account(customer)
    made = flows.transfer(one, two, 10)
    run_until_idle()
    client = api_client(customer)
    assert [row["id"] for row in everything(client, "transactions?kind=transfer")] == [str(made.id)]
    assert [row["type"] for row in everything(client, f"accounts/{two.id}/transactions")] == ["credit"]


def test_nobody_sees_what_is_somebody_elses() -> None:
    source, destination, stranger = make_account(funded=1_000), make_account(), make_account()
    made = flows.transfer(source, destination, 10, metadata={"secret": "s"})
    for client in (owner(destination), owner(stranger)):
        assert client.get(f"/api/v1/transactions/{made.id}").status_code == 404
        assert everything(client, "transactions") == []
        assert client.get(f"/api/v1/accounts/{source.id}/entries").status_code == 404
        assert client.get(f"/api/v1/accounts/{source.id}/transactions").status_code == 404
        assert client.post(f"/api/v1/transactions/{made.id}/cancel").status_code == 404
        assert client.post(f"/api/v1/accounts/{source.id}/close").status_code == 404
    run_until_idle()
    assert owner(destination).get(f"/api/v1/transactions/{made.id}").json()["metadata"] == {}
    assert owner(stranger).get(f"/api/v1/transactions/{made.id}").status_code == 404
    # The wallet's own account is in it, and is nobody's to see.
    assert owner(source).get(f"/api/v1/accounts/{UNKNOWN_ID}/entries").status_code == 404


def test_a_customer_can_not_tell_that_an_officer_is_looking() -> None:
    source, destination = make_account(funded=10_000), make_account()
    made = flows.transfer(source, destination, 10)
    with transaction.atomic():
        assert steps.hold_for_review([made.id]) == {made.id}
    assert owner(source).get(f"/api/v1/transactions/{made.id}").json()["stage"] == "processing"
    with transaction.atomic():
        steps.fail([made.id], code="screening_rejected", actor=flows.owner(source), reason="rule 7")
    failure = owner(source).get(f"/api/v1/transactions/{made.id}").json()["failure"]
    assert failure["code"] == "not_permitted"


def test_the_document_names_every_refusal() -> None:
    document = api_client().get("/api/v1/openapi.json").json()
    wanted = {
        "transfers": {"202", "400", "401", "403", "404", "406", "409", "413", "415", "422", "429", "500", "503"},
        "withdrawals": {"202", "400", "401", "403", "404", "406", "409", "413", "415", "422", "429", "500", "503"},
        "deposits": {"202", "400", "401", "403", "404", "406", "409", "413", "415", "422", "429", "500", "503"},
    }
    for path, statuses in wanted.items():
        assert set(document["paths"][f"/api/v1/{path}"]["post"]["responses"]) == statuses
    codes = str(document["paths"]["/api/v1/transfers"]["post"]["responses"]["422"])
    for refusal in (*payments.REFUSALS[1:4], payments.InsufficientFunds, payments.SameAccount):
        assert refusal.code in codes
    cancel = document["paths"]["/api/v1/transactions/{transaction_id}/cancel"]["post"]["responses"]
    assert {"200", "404", "409"} <= set(cancel)


def test_a_key_is_as_long_as_it_says() -> None:
    source, destination = make_account(funded=1_000), make_account()
    answer = post(
        owner(source), "transfers", transfer_body(source, destination), **{"Idempotency-Key": uuid4().hex * 8}
    )
    assert answer.status_code == 400
