"""The bank's client against the sandbox, and against a bank that makes no sense."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ledger.rails import HttpPaymentRail, RailOrder, http_rail, match_report, read_report
from tests.sandbox.calls import eventually
from wallet_project.sandbox.embedding import RunningSandbox, fresh_config, running_sandbox
from wallet_project.utils.http_client import (
    CallLimits,
    ProviderAnswerMismatch,
    ProviderClient,
    ProviderRefused,
    ProviderUnavailable,
)

BENEFICIARY = {"name": "Ada Lovelace", "iban": "DE89370400440532013000"}
PAYOUT = RailOrder("p-1", "payout", 1500, "EUR", BENEFICIARY, "rent")
COLLECTION = RailOrder("c-1", "collection", 2500, "EUR", None, "top-up")


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[RunningSandbox]:
    with running_sandbox(fresh_config(tmp_path)) as running:
        yield running


@pytest.fixture
def rail(sandbox: RunningSandbox) -> Iterator[HttpPaymentRail]:
    client = ProviderClient(base_url=sandbox.url, api_key=sandbox.config.bank_api_key)
    yield HttpPaymentRail(client)
    client.close()


def settled(rail: HttpPaymentRail, order: RailOrder) -> None:
    def look() -> bool:
        answer = rail.status(order)
        return answer is not None and answer.status == "settled"

    eventually(look)


def test_a_payout_and_a_collection_are_accepted_and_settle(sandbox: RunningSandbox, rail: HttpPaymentRail) -> None:
    for order in (PAYOUT, COLLECTION):
        answer = rail.submit(order)
        assert (answer.status, answer.reason) == ("processing", "")
        assert answer.bank_reference.startswith("pay_")
        assert answer.raw["reference"] == order.reference
        settled(rail, order)
    assert sandbox.book.balance("EUR") == 1000


def test_asking_again_makes_no_second_payment(sandbox: RunningSandbox, rail: HttpPaymentRail) -> None:
    first = rail.submit(PAYOUT)
    settled(rail, PAYOUT)
    assert rail.submit(PAYOUT) == first
    assert sandbox.book.balance("EUR") == -1500


def test_a_rejection_has_a_reason(rail: HttpPaymentRail) -> None:
    answer = rail.submit(replace(PAYOUT, description="SBX-REJECT"))
    assert (answer.status, answer.reason) == ("rejected", "account_closed")


def test_a_payment_that_the_bank_never_heard_of_has_no_status(rail: HttpPaymentRail) -> None:
    assert rail.status(PAYOUT) is None


def test_a_reference_cannot_leave_its_place_in_the_path(rail: HttpPaymentRail) -> None:
    assert rail.status(replace(PAYOUT, reference="../statement?currency=EUR#")) is None


def test_not_found_at_a_wrong_door_is_not_an_unknown_payment(sandbox: RunningSandbox) -> None:
    client = ProviderClient(base_url=f"{sandbox.url}/elsewhere", api_key=sandbox.config.bank_api_key)
    with pytest.raises(ProviderRefused) as caught:
        HttpPaymentRail(client).status(PAYOUT)
    client.close()
    assert caught.value.status == 404


def test_a_wrong_key_is_a_refusal(sandbox: RunningSandbox) -> None:
    client = ProviderClient(base_url=sandbox.url, api_key="wrong")
    for ask in (HttpPaymentRail(client).submit, HttpPaymentRail(client).status):
        with pytest.raises(ProviderRefused):
            ask(PAYOUT)
    client.close()


def test_a_bank_that_fails_twice_works_the_third_time(rail: HttpPaymentRail) -> None:
    order = replace(PAYOUT, description="SBX-FAIL-TWICE")
    for _ in range(2):
        with pytest.raises(ProviderUnavailable) as caught:
            rail.submit(order)
        assert caught.value.status == 503
    assert rail.submit(order).status == "processing"


def test_a_time_out_leaves_the_outcome_open_until_the_bank_is_asked(sandbox: RunningSandbox) -> None:
    quick = CallLimits(total_seconds=0.2)
    rail = http_rail(sandbox.url, sandbox.config.bank_api_key, quick)
    before = replace(PAYOUT, reference="before", description="SBX-TIMEOUT")
    after = replace(PAYOUT, reference="after", description="SBX-TIMEOUT-AFTER")
    for order in (before, after):
        with pytest.raises(ProviderUnavailable) as caught:
            rail.submit(order)
        assert caught.value.may_have_reached
    assert rail.status(before) is None
    settled(rail, after)
    assert sandbox.book.balance("EUR") == -1500


@pytest.mark.parametrize("value", ["SBX-WRONG-REFERENCE"])
def test_a_settlement_of_something_else_is_no_settlement(rail: HttpPaymentRail, value: str) -> None:
    with pytest.raises(ProviderAnswerMismatch):
        rail.submit(replace(PAYOUT, description=value))


def test_a_settlement_in_another_amount_is_no_settlement(sandbox: RunningSandbox, rail: HttpPaymentRail) -> None:
    order = replace(COLLECTION, description="SBX-SHORT")
    rail.submit(order)
    eventually(lambda: sandbox.book.balance("EUR") == 1250)
    with pytest.raises(ProviderAnswerMismatch) as caught:
        rail.status(order)
    assert read_report(caught.value.raw).amount == 1250


def test_garbage_is_a_passing_failure_and_the_payment_stands(rail: HttpPaymentRail) -> None:
    order = replace(PAYOUT, description="SBX-GARBAGE")
    with pytest.raises(ProviderUnavailable):
        rail.submit(order)
    settled(rail, order)


REPORT: dict[str, Any] = {
    "id": "pay_1",
    "reference": "p-1",
    "status": "settled",
    "reason": None,
    "amount": 1500,
    "currency": "EUR",
}


def test_a_report_about_the_order_is_its_answer() -> None:
    answer = match_report(read_report(REPORT), PAYOUT)
    assert (answer.status, answer.bank_reference, answer.reason, answer.raw) == ("settled", "pay_1", "", REPORT)


@pytest.mark.parametrize(
    "change",
    [
        {"status": "approved"},
        {"status": "SETTLED"},
        {"status": None},
        {"status": ["settled"]},
        {"reference": "p-2"},
        {"reference": None},
        {"id": ""},
        {"id": 7},
        {"amount": 1499},
        {"amount": 1500.0},
        {"amount": "1500"},
        {"amount": True},
        {"amount": -1500},
        {"currency": "USD"},
        {"currency": None},
    ],
)
def test_a_report_that_does_not_match_is_an_error(change: dict[str, Any]) -> None:
    with pytest.raises(ProviderAnswerMismatch):
        match_report(read_report(REPORT | change), PAYOUT)


def test_the_book_is_read_to_its_end(sandbox: RunningSandbox, rail: HttpPaymentRail) -> None:
    with sandbox.book.transaction():
        for number in range(1, 251):
            sandbox.bank.credit({"amount": number, "currency": "EUR", "reference": f"m-{number}"})
    started = datetime.now(UTC)
    book = rail.book("EUR")
    assert (book.currency, book.balance) == ("EUR", 250 * 251 // 2)
    assert [movement.amount for movement in book.movements] == list(range(1, 251))
    assert book.movements[9].reference == "m-10"
    assert all(movement.direction == "in" and movement.booked_at <= started for movement in book.movements)

    sandbox.bank.credit({"amount": 9, "currency": "EUR"})
    later = rail.book("EUR", after=book.last)
    assert (later.balance, [movement.amount for movement in later.movements]) == (book.balance + 9, [9])
    assert rail.book("EUR", after=later.last) == replace(later, movements=())


def test_an_empty_book_has_no_last_line(rail: HttpPaymentRail) -> None:
    book = rail.book("GBP")
    assert (book.balance, book.movements, book.last) == (0, (), None)


def test_an_order_has_a_beneficiary_exactly_when_it_is_a_payout() -> None:
    with pytest.raises(ValueError, match="beneficiary"):
        replace(PAYOUT, beneficiary=None)
    with pytest.raises(ValueError, match="beneficiary"):
        replace(COLLECTION, beneficiary=BENEFICIARY)


def test_one_rail_is_kept_per_bank() -> None:
    assert http_rail("http://bank.test", "k") is http_rail("http://bank.test", "k")
    assert http_rail("http://bank.test", "k") is not http_rail("http://bank.test", "other")
