"""A customer requests an account and gets an answer at once."""

import re
import threading
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, transaction

import accounts.steps
from accounts.models import Account, IdempotencyClaim, StateChange
from tests.support.factories import (
    actor_of,
    api_client,
    forget_nudges,
    keyed,
    make_account,
    make_customer,
    reject,
    verify,
)
from wallet_project.utils.context import SYSTEM_PRINCIPAL_ID, system_actor

pytestmark = pytest.mark.django_db

URL = "/api/v1/accounts"
EUR = {"currency": "EUR", "label": "Main"}


def states(subject_id: UUID | str) -> list[tuple[str, str]]:
    changes = StateChange.objects.filter(subject_id=subject_id).order_by("id")
    return list(changes.values_list("from_state", "to_state"))


def test_the_first_account_is_requested_and_starts_the_identity_check(nudges: list[str]) -> None:
    customer = make_customer(verified=False)
    answer = api_client(customer).post(URL, EUR, headers=keyed())
    assert answer.status_code == 202
    body = answer.json()
    assert body == {
        "id": body["id"],
        "currency": "EUR",
        "label": "Main",
        "status": "requested",
        "status_reason": None,
        "balances": {"cleared": 0, "reserved": 0, "available": 0},
        "created_at": body["created_at"],
    }
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", body["created_at"])
    assert "Idempotent-Replayed" not in answer
    customer.refresh_from_db()
    assert customer.kyc_status == "pending"
    assert states(body["id"]) == [("", "requested")]
    assert states(customer.id) == [("", "unverified"), ("unverified", "pending")]
    assert nudges == ["compliance.run_checks"]


def test_requests_made_meanwhile_share_the_check(nudges: list[str]) -> None:
    customer = make_customer(verified=False)
    first, second = make_account(customer), make_account(customer, "USD")
    assert [first.status, second.status] == ["requested", "requested"]
    assert states(customer.id) == [("", "unverified"), ("unverified", "pending")]
    forget_nudges(nudges)
    make_account(customer, "GBP")
    assert nudges == [], "the check that runs is enough"


def test_verification_opens_what_was_requested() -> None:
    customer = make_customer(verified=False)
    requested = [make_account(customer), make_account(customer, "USD")]
    customer.refresh_from_db()
    with transaction.atomic():
        assert accounts.steps.mark_verified(
            customer_id=customer.id, profile_id=customer.profile_id, actor=system_actor(), reason="provider approved"
        )
    for account in requested:
        assert api_client(customer).get(f"{URL}/{account.id}").json()["status"] == "open"
        assert states(account.id) == [("", "requested"), ("requested", "open")]
    assert states(customer.id)[-1] == ("pending", "verified")


def test_rejection_rejects_what_was_requested_with_a_reason_that_may_be_seen() -> None:
    customer = make_customer(verified=False)
    account = make_account(customer)
    customer.refresh_from_db()
    with transaction.atomic():
        assert accounts.steps.mark_rejected(
            customer_id=customer.id,
            profile_id=customer.profile_id,
            actor=system_actor(),
            customer_reason="The document has expired.",
            reason="provider: document_expired",
        )
    seen = api_client(customer).get(f"{URL}/{account.id}").json()
    assert (seen["status"], seen["status_reason"]) == ("rejected", "The document has expired.")
    log = StateChange.objects.filter(subject_id=account.id).latest("id")
    assert log.reason == "provider: document_expired"


def test_rejection_leaves_open_accounts_as_they_are() -> None:
    customer = make_customer()
    account = make_account(customer)
    reject(customer)
    account.refresh_from_db()
    assert account.status == "open"


def test_a_verified_customers_account_opens_at_once_and_both_steps_are_logged(nudges: list[str]) -> None:
    customer = make_customer()
    forget_nudges(nudges)
    answer = api_client(customer).post(URL, EUR, headers=keyed())
    assert (answer.status_code, answer.json()["status"]) == (202, "open")
    changes = StateChange.objects.filter(subject_id=answer.json()["id"]).order_by("id")
    assert [(c.from_state, c.to_state, c.actor_id) for c in changes] == [
        ("", "requested", customer.user.principal.id),
        ("requested", "open", SYSTEM_PRINCIPAL_ID),
    ]
    assert nudges == []


def test_an_expired_identity_is_checked_again() -> None:
    customer = make_customer()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE accounts_customer SET kyc_status = 'expired' WHERE id = %s", [customer.id])
    assert make_account(customer).status == "requested"
    customer.refresh_from_db()
    assert customer.kyc_status == "pending"


@pytest.mark.parametrize(
    ("prepare", "status", "code"),
    [
        (lambda: make_customer(verified=False, profile=None), 409, "profile_required"),
        (lambda: _rejected(), 422, "identity_rejected"),
    ],
)
def test_a_refused_request_leaves_the_key_free(prepare: Callable[[], Any], status: int, code: str) -> None:
    customer = prepare()
    answer = api_client(customer).post(URL, EUR, headers=keyed())
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert not Account.objects.filter(customer=customer).exists()
    assert not IdempotencyClaim.objects.filter(principal=customer.user.principal).exists()


def _rejected() -> Any:
    customer = make_customer(verified=False)
    reject(customer)
    return customer


def test_a_customer_may_have_so_many_accounts(settings: Any) -> None:
    settings.ACCOUNTS_PER_CUSTOMER = 2
    customer = make_customer()
    client = api_client(customer)
    first = make_account(customer)
    make_account(customer, "USD")
    refused = client.post(URL, EUR, headers=keyed())
    assert (refused.status_code, refused.json()["code"], refused.json()["limit"]) == (422, "too_many_accounts", 2)
    with transaction.atomic():
        accounts.steps.close_account(account_id=first.id, actor=system_actor())
    assert client.post(URL, EUR, headers=keyed()).status_code == 202


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"currency": "XXX"},
        {"currency": "eur"},
        {"currency": 978},
        {"currency": "EUR", "label": "x" * 61},
        {"currency": "EUR", "label": "a\tb"},
        {"currency": "EUR", "label": None},
        {"currency": "EUR", "status": "open"},
        {"currency": "EUR", "customer": "01980000-0000-7000-8000-000000000001"},
        {"currency": "EUR", "balances": {"cleared": 1}},
    ],
)
def test_a_body_that_is_not_understood_is_refused(body: dict[str, Any]) -> None:
    answer = api_client(make_customer()).post(URL, body, headers=keyed())
    assert answer.status_code == 400
    assert not Account.objects.filter(kind="customer").exists()


def test_a_key_is_required() -> None:
    answer = api_client(make_customer()).post(URL, EUR)
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_required")


def test_the_same_request_with_the_same_key_is_answered_as_before() -> None:
    client, key = api_client(make_customer()), keyed()
    first = client.post(URL, EUR, headers=key)
    again = client.post(URL, {"label": " Main ", "currency": "EUR"}, headers=key)
    assert (again.status_code, again.json()) == (202, first.json())
    assert again["Idempotent-Replayed"] == "true"
    assert Account.objects.filter(kind="customer").count() == 1


def test_another_request_with_the_same_key_is_refused() -> None:
    client, key = api_client(make_customer()), keyed()
    client.post(URL, EUR, headers=key)
    other = client.post(URL, {**EUR, "label": "Other"}, headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


def test_a_key_used_for_another_operation_is_refused() -> None:
    customer = make_customer()
    client = api_client(customer)
    client.post(URL, EUR, headers=keyed())
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO accounts_idempotencyclaim (principal_id, key, operation, request_hash, result_id) "
            "SELECT principal_id, 'b-key', 'transfer', request_hash, result_id FROM accounts_idempotencyclaim"
        )
    refused = client.post(URL, EUR, headers={"Idempotency-Key": "b-key"})
    assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")


def test_keys_belong_to_a_principal() -> None:
    key = keyed()
    one = api_client(make_customer()).post(URL, EUR, headers=key)
    other = api_client(make_customer()).post(URL, EUR, headers=key)
    assert (one.status_code, other.status_code) == (202, 202)
    assert one.json()["id"] != other.json()["id"]


def in_threads(number: int, call: Callable[[int], Any]) -> list[Any]:
    """Call at the same time from so many threads, each with a connection of its own; the results."""
    barrier, results = threading.Barrier(number), [None] * number

    def run(index: int) -> None:
        try:
            connection.ensure_connection()
            barrier.wait(timeout=10)
            results[index] = call(index)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(index,)) for index in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    return results


def test_twenty_at_once_with_one_key_make_one_account() -> None:
    customer, key = make_customer(verified=False), keyed()
    clients = [api_client(customer) for _ in range(20)]
    answers = in_threads(20, lambda index: clients[index].post(URL, EUR, headers=key))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum("Idempotent-Replayed" not in answer for answer in answers) == 1
    assert Account.objects.filter(customer=customer).count() == 1
    assert states(customer.id) == [("", "unverified"), ("unverified", "pending")]


def test_many_at_once_with_their_own_keys_keep_the_limit(settings: Any) -> None:
    settings.ACCOUNTS_PER_CUSTOMER = 3
    customer = make_customer(verified=False)
    clients = [api_client(customer) for _ in range(8)]
    answers = in_threads(8, lambda index: clients[index].post(URL, EUR, headers=keyed()))
    assert sorted(answer.status_code for answer in answers) == [202] * 3 + [422] * 5
    assert Account.objects.filter(customer=customer).count() == 3
    assert states(customer.id) == [("", "unverified"), ("unverified", "pending")], "one check for all"


def test_a_request_and_the_end_of_the_check_at_the_same_moment_leave_no_account_behind() -> None:
    """However the two come in order, the account is open in the end."""
    for _ in range(5):
        customer = make_customer(verified=False)
        make_account(customer)
        customer.refresh_from_db()
        actor = actor_of(customer)

        def both(index: int, customer: Any = customer, actor: Any = actor) -> None:
            if index == 0:
                make_account(customer, "USD")
            else:
                with transaction.atomic():
                    accounts.steps.mark_verified(
                        customer_id=customer.id, profile_id=customer.profile_id, actor=system_actor()
                    )

        in_threads(2, both)
        assert set(Account.objects.filter(customer=customer).values_list("status", flat=True)) == {"open"}


def test_while_the_first_request_is_in_flight_the_second_waits_and_then_hears_409(app_connection: Any) -> None:
    customer = make_customer()
    insert = (
        "INSERT INTO accounts_idempotencyclaim (principal_id, key, operation, request_hash, result_id) "
        "VALUES (%s, 'held', 'create_account', %s, gen_random_uuid())"
    )
    with app_connection.transaction():
        app_connection.execute(insert, [customer.user.principal.id, bytes(32)])
        answer = api_client(customer).post(URL, EUR, headers={"Idempotency-Key": "held"})
    assert (answer.status_code, answer.json()["code"]) == (409, "request_in_progress")


def test_another_customers_account_is_not_there() -> None:
    account = make_account()
    stranger = api_client(make_customer())
    for path in (f"{URL}/{account.id}", f"{URL}/01980000-0000-7000-8000-000000000001"):
        answer = stranger.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "account_not_found")
    assert stranger.get(f"{URL}/not-an-id").status_code == 404
    assert stranger.get(URL).json() == {"results": [], "next": None}


def test_the_wallets_own_accounts_are_nobodys() -> None:
    system = Account.objects.filter(kind="system").first()
    assert system is not None
    assert api_client(make_customer()).get(f"{URL}/{system.id}").status_code == 404


def test_accounts_are_listed_page_by_page_newest_first() -> None:
    customer = make_customer()
    made = [str(make_account(customer, currency).id) for currency in ("EUR", "USD", "GBP")]
    client = api_client(customer)
    first = client.get(URL, {"limit": 2}).json()
    assert [account["id"] for account in first["results"]] == [made[2], made[1]]
    last = client.get(first["next"]).json()
    assert ([account["id"] for account in last["results"]], last["next"]) == ([made[0]], None)


def test_balances_are_shown() -> None:
    account = make_account(funded=12_500)
    shown = api_client(account.customer).get(f"{URL}/{account.id}").json()
    assert shown["balances"] == {"cleared": 12_500, "reserved": 0, "available": 12_500}


@pytest.mark.parametrize("method", ["get", "post"])
def test_nobody_is_told_to_log_in(method: str) -> None:
    answer = getattr(api_client(), method)(URL)
    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")


def test_each_endpoint_costs_so_many_queries(django_assert_num_queries: Any) -> None:
    """With the session known to Redis already."""
    customer = make_customer(verified=False)
    client = api_client(customer)
    account = make_account(customer)
    client.get(URL)
    with django_assert_num_queries(1):
        client.get(URL)
    with django_assert_num_queries(1):
        client.get(f"{URL}/{account.id}")
    # Between BEGIN and COMMIT: the claim, the customer, the count, the account, its birth, its opening, that logged.
    verify(customer)
    with django_assert_num_queries(9):
        assert client.post(URL, EUR, headers=keyed()).status_code == 202
    key = keyed()
    client.post(URL, EUR, headers=key)
    # Between BEGIN and COMMIT: the claim that fails, the one that stands, the account.
    with django_assert_num_queries(5):
        assert client.post(URL, EUR, headers=key)["Idempotent-Replayed"]


def test_the_list_is_served_by_an_index() -> None:
    customer = make_customer()
    page = Account.objects.filter(customer=customer).order_by("-id")[:51]
    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")
        plan = page.explain()
        cursor.execute("RESET enable_seqscan")
    assert "Index Scan Backward using account_by_customer" in plan
    assert "Sort" not in plan
