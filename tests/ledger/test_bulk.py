"""Transfers in bulk: each is as if it were sent alone, and the whole can be sent again."""

import random
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from accounts.models import Account, IdempotencyClaim
from accounts.services.handles import claim_handle
from ledger import posting
from ledger.models import Transaction
from tests.ledger import flows
from tests.ledger.test_api import UNKNOWN_ID
from tests.ledger.test_escalations import freeze
from tests.ledger.test_races import at_once
from tests.support.factories import api_client, keyed, make_account
from tests.support.pipeline import run_until_idle, verify
from wallet_project.utils.nudges import lower_flag

pytestmark = pytest.mark.django_db

FEES = {"transfer": {"EUR": [{"flat": 5}]}}


def item(source: Account, destination: Account | str, amount: Any = 100, **more: Any) -> dict[str, Any]:
    to = destination if isinstance(destination, str) else str(destination.id)
    wanted = {"source": str(source.id), "destination": to, "amount": amount, "currency": "EUR"}
    return {"key": uuid4().hex, **wanted, **more}


def body(*items: dict[str, Any], mode: str = "independent") -> dict[str, Any]:
    return {"mode": mode, "transfers": list(items)}


def send(payer: Account, said: Any, *, key: str = "") -> Any:
    headers = {"Idempotency-Key": key} if key else keyed()
    return api_client(payer.customer).post("/api/v1/transfers/bulk", said, format="json", headers=headers)


def alone(payer: Account, one: dict[str, Any]) -> Any:
    said = {name: value for name, value in one.items() if name != "key"}
    headers = {"Idempotency-Key": one["key"]}
    return api_client(payer.customer).post("/api/v1/transfers", said, format="json", headers=headers)


def named(account: Account, handle: str) -> None:
    claim_handle(actor=flows.owner(account), handle=handle, now=timezone.now())


def outcomes(answer: Any) -> list[str]:
    assert answer.status_code == 202, answer.content
    return [
        result["outcome"] + (" " + result["problem"]["code"] if result["problem"] else "")
        for result in answer.json()["results"]
    ]


def test_each_is_answered_in_order_as_if_it_were_sent_alone(nudges: list[str]) -> None:
    payer, payee, closed_to = make_account(funded=1_000), make_account(), make_account()
    freeze(frozen := make_account(payer.customer))
    used = item(payer, payee, 1)
    assert alone(payer, {**used, "amount": 2}).status_code == 202
    said = body(
        item(payer, payee, 700, reference="salary", metadata={"month": "11"}),
        item(payer, payee, 400),
        item(payer, UNKNOWN_ID),
        item(payer, payer),
        item(frozen, payee),
        item(closed_to, payee),
        item(payer, "@nobody.at.all"),
        item(payer, payee, 100, fee=3),
        used,
        item(payer, payee, 200),
    )
    lower_flag("compliance.screen_due")
    nudges.clear()
    answer = send(payer, said)
    assert outcomes(answer) == [
        "accepted",
        "refused insufficient_funds",
        "rejected account_not_found",
        "rejected same_account",
        "rejected account_not_open",
        "rejected account_not_found",
        "rejected payee_not_found",
        "rejected fee_changed",
        "rejected idempotency_key_reused",
        "accepted",
    ]
    assert nudges == ["compliance.screen_due"]
    results = answer.json()["results"]
    assert [result["key"] for result in results] == [one["key"] for one in said["transfers"]]
    assert (results[0]["transaction"]["reference"], results[0]["transaction"]["metadata"]) == (
        "salary",
        {"month": "11"},
    )
    assert results[1]["transaction"]["status"] == "failed"
    assert results[1]["problem"]["transaction"] == results[1]["transaction"]["id"]
    assert all(result["transaction"] is None for result in results[2:9])
    assert "leg" not in results[2]["problem"]
    assert flows.balances(payer) == (1_000, 98)
    # What it shows of each is what is shown of it when it is asked for.
    for result in (results[0], results[1], results[9]):
        seen = api_client(payer.customer).get(f"/api/v1/transactions/{result['transaction']['id']}").json()
        assert seen == result["transaction"]
    run_until_idle()
    assert flows.balances(payee) == (902, 902)
    verify("--no-bank")


def test_sent_again_the_whole_is_answered_as_it_is_now(nudges: list[str]) -> None:
    payer, payee = make_account(funded=1_000), make_account()
    said = body(item(payer, payee, 600), item(payer, payee, 600), item(payer, UNKNOWN_ID))
    first = send(payer, said, key="once")
    assert "Idempotent-Replayed" not in first
    run_until_idle()
    lower_flag("compliance.screen_due")
    nudges.clear()
    again = send(payer, said, key="once")
    assert again["Idempotent-Replayed"] == "true"
    assert nudges == [], "there is nothing new to look at"
    assert (
        outcomes(again)
        == outcomes(first)
        == [
            "accepted",
            "refused insufficient_funds",
            "rejected account_not_found",
        ]
    )
    assert [result["replayed"] for result in again.json()["results"]] == [True, True, False]
    assert again.json()["results"][0]["transaction"]["status"] == "cleared"
    for other in (body(item(payer, payee, 600)), {**said, "mode": "atomic"}, body(item(payer, UNKNOWN_ID))):
        answer = send(payer, other, key="once")
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert Transaction.objects.filter(kind="transfer").count() == 2


def test_each_key_is_that_of_the_transfer_sent_alone_also_with_what_has_become_of_its_accounts() -> None:
    payer, payee = make_account(funded=1_000), make_account()
    named(payee, "mia.example")
    by_handle, before = item(payer, "@mia.example", 10), item(payer, payee, 20, reference=" rent ")
    made = alone(payer, before).json()
    first = send(payer, body(by_handle, before))
    assert outcomes(first) == ["accepted", "accepted"]
    assert [result["replayed"] for result in first.json()["results"]] == [False, True]
    assert first.json()["results"][1]["transaction"]["id"] == made["id"]
    run_until_idle()
    named(payee, "another.name")
    freeze(payer)
    replay = alone(payer, by_handle)
    assert replay["Idempotent-Replayed"] == "true"
    third = send(payer, body(by_handle, before))
    assert [result["replayed"] for result in third.json()["results"]] == [True, True]
    assert third.json()["results"][0]["transaction"]["id"] == replay.json()["id"]


@pytest.mark.parametrize("mode", ["independent", "atomic"])
def test_a_fee_is_paid_with_each_and_what_was_asked_before_costs_what_it_did(mode: str, settings: Any) -> None:
    settings.FEES = FEES
    payer, payee = make_account(funded=1_000), make_account()
    said = body(item(payer, payee, 100, fee=5), item(payer, payee, 50), mode=mode)
    answer = send(payer, said, key="once")
    assert outcomes(answer) == ["accepted", "accepted"]
    assert [result["transaction"]["fee"] for result in answer.json()["results"]] == [5, 5]
    assert flows.balances(payer) == (1_000, 840)
    settings.FEES = {}
    assert outcomes(send(payer, said, key="once")) == ["accepted", "accepted"]
    run_until_idle()
    assert flows.balances(payer) == (840, 840)
    verify("--no-bank")


def test_of_all_or_none_the_refusal_names_each_and_leaves_no_trace() -> None:
    payer, payee = make_account(funded=1_000), make_account()
    paid = item(payer, payee, 10)
    assert alone(payer, paid).status_code == 202
    rows = Transaction.objects.count(), IdempotencyClaim.objects.count()
    said = body(
        item(payer, payee, 800), item(payer, payee, 300), item(payer, UNKNOWN_ID), paid, item(payer, "@nobody.at.all"),
        item(payer, payer), mode="atomic",
    )  # fmt: skip
    answer = send(payer, said, key="once")
    assert (answer.status_code, answer.json()["code"]) == (422, "not_all_accepted")
    told = answer.json()["refusals"]
    assert [(refusal["transfer"], refusal["code"]) for refusal in told] == [
        (1, "insufficient_funds"),
        (2, "account_not_found"),
        (4, "payee_not_found"),
        (5, "same_account"),
    ]
    assert all(refusal["key"] == said["transfers"][refusal["transfer"]]["key"] for refusal in told)
    assert all(refusal["detail"] and "leg" not in refusal for refusal in told)
    assert (Transaction.objects.count(), IdempotencyClaim.objects.count()) == rows
    assert flows.balances(payer) == (1_000, 990)
    # All keys are free, that of the whole among them.
    smaller = body(said["transfers"][0], paid, mode="atomic")
    assert outcomes(send(payer, smaller, key="once")) == ["accepted", "accepted"]
    again = send(payer, smaller, key="once")
    assert again["Idempotent-Replayed"] == "true"
    assert outcomes(again) == ["accepted", "accepted"]
    run_until_idle()
    assert flows.balances(payer) == (190, 190)
    verify("--no-bank")


def test_of_all_or_none_nothing_is_posted_where_only_what_is_seen_beforehand_is_refused(settings: Any) -> None:
    settings.FEES = FEES
    payer, payee = make_account(funded=1_000), make_account()
    rows = Transaction.objects.count(), IdempotencyClaim.objects.count()
    fine = [item(payer, payee, 10), item(payer, payee, 20)]
    answer = send(payer, body(*fine, item(payer, payee, 30, fee=3), mode="atomic"), key="once")
    (refusal,) = answer.json()["refusals"]
    assert (refusal["transfer"], refusal["code"], refusal["fee"], refusal["currency"]) == (2, "fee_changed", 5, "EUR")
    assert (Transaction.objects.count(), IdempotencyClaim.objects.count()) == rows
    assert flows.balances(payer) == (1_000, 1_000)
    assert outcomes(send(payer, body(*fine, mode="atomic"), key="once")) == ["accepted", "accepted"]


def test_all_or_none_is_given_up_where_accounts_change_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []

    def changed(asked: Any, whole: Any) -> Any:
        tried.append(len(asked))
        raise posting.AccountsChanged()

    monkeypatch.setattr("ledger.services.bulk.posting.post_all_or_none", changed)
    payer = make_account(funded=100)
    answer = send(payer, body(item(payer, make_account(), 1), mode="atomic"))
    assert (answer.status_code, answer["Retry-After"] != "") == (503, True)
    assert tried == [1, 1, 1]


def test_a_bulk_of_which_nothing_can_be_posted_does_not_pass_over_that_its_key_was_used() -> None:
    payer, payee = make_account(funded=100), make_account()
    nothing = body(item(payer, payer))
    assert outcomes(send(payer, nothing, key="free")) == ["rejected same_account"]
    assert not IdempotencyClaim.objects.filter(key="free").exists()
    assert outcomes(send(payer, body(item(payer, payee, 1)), key="used")) == ["accepted"]
    answer = send(payer, nothing, key="used")
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")


def test_what_a_crash_left_out_is_posted_when_the_whole_comes_again() -> None:
    payer, payee = make_account(funded=1_000), make_account()
    said = body(item(payer, payee, 1), item(payer, payee, 2))
    assert outcomes(send(payer, said, key="once")) == ["accepted", "accepted"]
    # As after a commit of its first half alone.
    left_out = {**said, "transfers": [*said["transfers"], item(payer, payee, 3)]}
    other = send(payer, left_out, key="another")
    assert [result["replayed"] for result in other.json()["results"]] == [True, True, False]
    assert flows.balances(payer) == (1_000, 994)


def test_the_questions_to_the_database_do_not_grow_with_the_transfers(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    payer, payee = make_account(funded=100_000), make_account()
    named(payee, "mia.example")
    assert send(payer, body(item(payer, payee))).status_code == 202
    client = api_client(payer.customer)
    client.get("/api/v1/me")
    for count in (2, 100):
        said = body(*[item(payer, payee if number % 2 else "mia.example") for number in range(count)])
        # The handles, and the transfers; sent again the claim, the transfers, and how they stand.
        headers = {"Idempotency-Key": f"a-bulk-of-{count}"}
        with django_assert_num_queries(2):
            assert client.post("/api/v1/transfers/bulk", said, headers=headers).status_code == 202
        with django_assert_num_queries(5):
            assert client.post("/api/v1/transfers/bulk", said, headers=headers).status_code == 202


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"mode": "some"}, 400, "invalid_input"),
        ({"transfers": []}, 400, "invalid_input"),
        ({"transfers": {}}, 400, "invalid_input"),
        ({"transfers": [{}] * 1_001}, 400, "invalid_input"),
        ({"transfers": ["a"]}, 400, "invalid_input"),
        ({"transfers": [None]}, 400, "invalid_input"),
        ({"transfers": [{"key": "x"}]}, 400, "invalid_input"),
        ({"more": 1}, 400, "invalid_input"),
        ({"transfers": [{"key": "a" * 1_048_576}]}, 413, "body_too_large"),
    ],
)
def test_a_body_that_is_not_understood_leaves_no_trace(change: dict[str, Any], status: int, code: str) -> None:
    payer, payee = make_account(funded=1_000), make_account()
    answer = send(payer, {**body(item(payer, payee)), **change}, key="once")
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert not Transaction.objects.filter(kind="transfer").exists()
    assert not IdempotencyClaim.objects.filter(key="once").exists()


def test_a_fault_names_the_transfer_and_the_field() -> None:
    payer, payee = make_account(funded=1_000), make_account()
    good = item(payer, payee)
    for change, field in (
        ({"amount": 1.5}, "amount"),
        ({"amount": True}, "amount"),
        ({"key": "two words"}, "key"),
        ({"key": good["key"]}, "key"),
        ({"currency": "eur"}, "currency"),
        ({"destination": ""}, "destination"),
        ({"reference": None}, "reference"),
        ({"metadata": {"a": 1}}, "metadata"),
        ({"capture": "manual"}, "capture"),
    ):
        answer = send(payer, body(good, item(payer, payee) | change))
        assert answer.status_code == 400, change
        [fault] = answer.json()["errors"]
        assert fault["field"] == f"transfers.1.{field}", fault


def test_the_same_bulk_twenty_times_at_once_is_posted_once() -> None:
    payer, payee = make_account(funded=1_000), make_account()
    for mode in ("independent", "atomic"):
        said = body(*[item(payer, payee, 10) for _ in range(10)], mode=mode)
        answers = at_once(*[partial(send, payer, said, key=mode)] * 20)
        assert {answer.status_code for answer in answers} == {202}
        assert sum("Idempotent-Replayed" not in answer for answer in answers) == 1
        assert len({tuple(r["transaction"]["id"] for r in answer.json()["results"]) for answer in answers}) == 1
    assert flows.balances(payer) == (1_000, 800)
    verify("--no-bank")


def test_opposing_bulks_and_single_ones_with_the_same_keys_never_deadlock() -> None:
    one, two = make_account(funded=5_000), make_account(funded=5_000)
    there, back = ([item(*pair, 5) for _ in range(30)] for pair in ((one, two), (two, one)))
    mixed = random.Random(1)

    def shuffled(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return mixed.sample(items, len(items))

    bulks = [
        partial(send, payer, body(*shuffled(items), mode=mode))
        for payer, items in ((one, there), (two, back))
        for mode in ("independent", "atomic", "independent")
    ]
    singles = [partial(alone, payer, said) for payer, items in ((one, there), (two, back)) for said in items[:7]]
    answers = at_once(*bulks, *singles)
    assert [getattr(answer, "status_code", answer) for answer in answers] == [202] * 20
    assert Transaction.objects.filter(kind="transfer").count() == 60
    run_until_idle()
    assert (flows.balances(one), flows.balances(two)) == ((5_000, 5_000), (5_000, 5_000))
    verify("--no-bank")


def test_of_atomic_bulks_at_once_those_are_accepted_whole_that_are_paid_for() -> None:
    payer, payee = make_account(funded=1_000), make_account()
    asked = [body(item(payer, payee, 150), item(payer, payee, 150), mode="atomic") for _ in range(20)]
    answers = at_once(*[partial(send, payer, said) for said in asked])
    assert sorted(answer.status_code for answer in answers) == [202] * 3 + [422] * 17
    assert flows.balances(payer) == (1_000, 100)
    assert Transaction.objects.filter(kind="transfer").count() == 6
    verify("--no-bank")
