from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.sandbox.calls import Caller, bank_caller, collection, eventually, payout
from wallet_project.sandbox.embedding import RunningSandbox, fresh_config, running_sandbox


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[RunningSandbox]:
    with running_sandbox(fresh_config(tmp_path)) as running:
        yield running


@pytest.fixture
def bank(sandbox: RunningSandbox) -> Iterator[Caller]:
    with bank_caller(sandbox) as caller:
        yield caller


def ended(bank: Caller, reference: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        body: dict[str, Any] = bank.get(f"/bank/v1/payments/{reference}").json()
        return body if body["status"] != "processing" else None

    found: dict[str, Any] = eventually(look)
    return found


def balance(bank: Caller, currency: str = "EUR") -> int:
    amount: int = bank.get("/bank/v1/statement", currency=currency).json()["balance"]
    return amount


def test_a_collection_is_accepted_then_settles_and_adds_to_the_balance(bank: Caller) -> None:
    answer = bank.post("/bank/v1/collections", collection(amount=2500), key="k-1")
    assert answer.status_code == 202
    assert answer.json() | {"id": ""} == {
        "id": "",
        "reference": "r-1",
        "status": "processing",
        "reason": None,
        "amount": 2500,
        "currency": "EUR",
    }
    assert ended(bank, "r-1")["status"] == "settled"
    assert balance(bank) == 2500


def test_a_payout_that_settles_takes_from_the_balance(bank: Caller) -> None:
    bank.post("/bank/v1/collections", collection("in", 2500), key="k-in")
    bank.post("/bank/v1/payouts", payout("out", 1000), key="k-out")
    assert ended(bank, "in")["status"] == ended(bank, "out")["status"] == "settled"
    assert balance(bank) == 1500
    lines = bank.get("/bank/v1/statement", currency="EUR").json()["lines"]
    assert sorted((line["direction"], line["amount"], line["reference"]) for line in lines) == [
        ("in", 2500, "in"),
        ("out", 1000, "out"),
    ]


def test_a_settlement_is_told_by_callback(sandbox: RunningSandbox, bank: Caller) -> None:
    bank.post("/bank/v1/collections", collection(), key="k-1")
    ended(bank, "r-1")
    told = bank.get("/control/callbacks").json()["callbacks"]
    assert [(entry["service"], entry["body"]["type"]) for entry in told] == [("bank", "payment.settled")]
    assert told[0]["body"]["data"] == bank.get("/bank/v1/payments/r-1").json()


def test_what_is_settled_at_once_needs_no_callback(bank: Caller) -> None:
    answer = bank.post("/bank/v1/payouts", payout(description="for SBX-SETTLE please"), key="k-1")
    assert answer.json()["status"] == "settled"
    assert balance(bank) == -1500
    assert bank.get("/control/callbacks").json()["callbacks"] == []


@pytest.mark.parametrize(
    "order",
    [
        payout(description="SBX-REJECT"),
        payout(beneficiary={"name": "SBX-REJECT Ltd", "iban": "DE1"}),
        payout(reference="SBX-REJECT"),
    ],
)
def test_a_rejection_moves_nothing(bank: Caller, order: dict[str, Any]) -> None:
    answer = bank.post("/bank/v1/payouts", order, key="k-1").json()
    assert (answer["status"], answer["reason"]) == ("rejected", "account_closed")
    assert balance(bank) == 0


def test_a_rejection_may_come_later_by_callback(bank: Caller) -> None:
    answer = bank.post("/bank/v1/payouts", payout(description="SBX-CALLBACK-REJECT"), key="k-1").json()
    assert answer["status"] == "processing"
    assert ended(bank, "r-1")["status"] == "rejected"
    assert [c["body"]["type"] for c in bank.get("/control/callbacks").json()["callbacks"]] == ["payment.rejected"]


def test_slow_and_silent_payments_stay_open(tmp_path: Path) -> None:
    with running_sandbox(fresh_config(tmp_path)) as sandbox, bank_caller(sandbox) as bank:
        for value in ("SBX-SLOW", "SBX-SILENT", "SBX-MANUAL"):
            bank.post("/bank/v1/payouts", payout(value), key=value)
        assert ended(bank, "SBX-SLOW")["status"] == "settled"
        for value in ("SBX-SILENT", "SBX-MANUAL"):
            assert bank.get(f"/bank/v1/payments/{value}").json()["status"] == "processing"
        assert sandbox.book.next_due() is None


def test_no_callback_is_told_only_to_those_who_ask(bank: Caller) -> None:
    bank.post("/bank/v1/payouts", payout(description="SBX-NO-CALLBACK"), key="k-1")
    assert ended(bank, "r-1")["status"] == "settled"
    assert bank.get("/control/callbacks").json()["callbacks"] == []


def test_a_time_out_before_accepting_leaves_nothing(bank: Caller) -> None:
    for _ in range(2):
        with pytest.raises(httpx.RemoteProtocolError):
            bank.post("/bank/v1/payouts", payout(description="SBX-TIMEOUT"), key="k-1")
    answer = bank.get("/bank/v1/payments/r-1")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_reference")
    assert balance(bank) == 0


def test_a_time_out_after_accepting_leaves_one_payment(bank: Caller) -> None:
    order = payout(description="SBX-TIMEOUT-AFTER")
    with pytest.raises(httpx.RemoteProtocolError):
        bank.post("/bank/v1/payouts", order, key="k-1")
    assert bank.post("/bank/v1/payouts", order, key="k-1").json()["reference"] == "r-1"
    assert ended(bank, "r-1")["status"] == "settled"
    assert balance(bank) == -1500


def test_it_fails_twice_and_then_works(bank: Caller) -> None:
    order = payout(description="SBX-FAIL-TWICE")
    answers = [bank.post("/bank/v1/payouts", order, key="k-1").status_code for _ in range(4)]
    assert answers == [503, 503, 202, 202]
    assert ended(bank, "r-1")["status"] == "settled"
    assert balance(bank) == -1500


def test_down_and_refused_stay_so(bank: Caller) -> None:
    for value, status in (("SBX-DOWN", 503), ("SBX-REFUSE", 422)):
        for _ in range(3):
            assert bank.post("/bank/v1/payouts", payout(value), key=value).status_code == status
        assert bank.get(f"/bank/v1/payments/{value}").status_code == 404


def test_an_answer_may_be_garbage_or_about_something_else(bank: Caller) -> None:
    assert bank.post("/bank/v1/payouts", payout("SBX-GARBAGE"), key="g").content.startswith(b"<html>")
    assert bank.post("/bank/v1/payouts", payout("SBX-GARBAGE"), key="g").json()["reference"] == "SBX-GARBAGE"
    wrong = bank.post("/bank/v1/payouts", payout("SBX-WRONG-REFERENCE"), key="w").json()
    assert (wrong["reference"], wrong["status"]) == ("SBX-WRONG-REFERENCE-of-somebody-else", "settled")
    assert ended(bank, "SBX-GARBAGE")["status"] == "settled"
    assert balance(bank) == -1500


def test_less_may_settle_than_was_ordered(bank: Caller) -> None:
    bank.post("/bank/v1/collections", collection(description="SBX-SHORT", amount=1001), key="k-1")
    assert ended(bank, "r-1")["amount"] == 500
    assert balance(bank) == 500


def test_the_same_key_and_body_is_one_payment(bank: Caller) -> None:
    first = bank.post("/bank/v1/payouts", payout(), key="k-1")
    ended(bank, "r-1")
    again = bank.post("/bank/v1/payouts", payout(), key="k-1")
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert balance(bank) == -1500


def test_the_same_key_at_once_is_one_payment(sandbox: RunningSandbox) -> None:
    def pay(_: int) -> dict[str, Any]:
        with bank_caller(sandbox) as caller:
            body: dict[str, Any] = caller.post("/bank/v1/payouts", payout(), key="k-1").json()
            return body

    with ThreadPoolExecutor(10) as threads:
        answers = list(threads.map(pay, range(20)))
    assert all(answer == answers[0] for answer in answers)
    with bank_caller(sandbox) as bank:
        ended(bank, "r-1")
        assert balance(bank) == -1500


def test_the_same_key_with_another_body_or_path_is_refused(bank: Caller) -> None:
    bank.post("/bank/v1/payouts", payout(), key="k-1")
    for path, body in (("payouts", payout(amount=1)), ("collections", collection())):
        answer = bank.post(f"/bank/v1/{path}", body, key="k-1")
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")


def test_a_reference_is_used_once(bank: Caller) -> None:
    bank.post("/bank/v1/payouts", payout(), key="k-1")
    answer = bank.post("/bank/v1/payouts", payout(), key="k-2")
    assert (answer.status_code, answer.json()["code"]) == (422, "reference_used")


def test_the_statement_comes_in_pages(sandbox: RunningSandbox, bank: Caller) -> None:
    for number in range(1, 8):
        sandbox.bank.credit({"amount": number, "currency": "EUR", "reference": f"m-{number}"})
        sandbox.bank.credit({"amount": 1000, "currency": "USD"})
    amounts: list[int] = []
    after: str | None = ""
    while after is not None:
        page = bank.get("/bank/v1/statement", currency="EUR", limit="3", after=after).json()
        assert (page["balance"], page["currency"]) == (28, "EUR")
        amounts += [line["amount"] for line in page["lines"]]
        after = page["next"]
    assert amounts == [1, 2, 3, 4, 5, 6, 7]
    assert balance(bank, "USD") == 7000
    assert bank.get("/bank/v1/statement", currency="GBP").json() == {
        "currency": "GBP",
        "balance": 0,
        "lines": [],
        "next": None,
    }


def test_a_payment_can_be_decided_by_hand_even_after_a_rejection(bank: Caller) -> None:
    bank.post("/bank/v1/collections", collection(description="SBX-MANUAL"), key="k-1")
    path = "/control/bank/payments/r-1/outcome"
    assert bank.post(path, {"status": "rejected", "reason": "no_funds"}).json()["reason"] == "no_funds"
    assert bank.post(path, {"status": "settled"}).json()["status"] == "settled"
    assert bank.post(path, {"status": "rejected"}).status_code == 409
    assert balance(bank) == 1500
    kinds = [entry["body"]["type"] for entry in bank.get("/control/callbacks").json()["callbacks"]]
    assert kinds == ["payment.rejected", "payment.settled"]


def test_money_that_nobody_expected(bank: Caller) -> None:
    answer = bank.post("/control/bank/credits", {"amount": 777, "currency": "EUR", "description": "hello"})
    assert answer.status_code == 201
    assert balance(bank) == 777
    told = bank.get("/control/callbacks").json()["callbacks"][0]["body"]
    assert (told["type"], told["data"]) == ("credit.received", answer.json())


def test_the_book_survives_a_restart(tmp_path: Path) -> None:
    config = fresh_config(tmp_path)
    with running_sandbox(config) as sandbox, bank_caller(sandbox) as bank:
        bank.post("/bank/v1/collections", collection("settled", 900), key="k-1")
        ended(bank, "settled")
        bank.post("/bank/v1/collections", collection("SBX-SLOW", 50), key="k-2")
        bank.post("/bank/v1/payouts", payout("SBX-FAIL-TWICE"), key="k-3")
    with running_sandbox(config) as sandbox, bank_caller(sandbox) as bank:
        assert bank.post("/bank/v1/collections", collection("settled", 900), key="k-1").status_code == 202
        assert ended(bank, "SBX-SLOW")["status"] == "settled"
        assert balance(bank) == 950
        answers = [bank.post("/bank/v1/payouts", payout("SBX-FAIL-TWICE"), key="k-3").status_code for _ in range(2)]
        assert answers == [503, 202]
