"""The rails that we have, held to the contract; and that the setting chooses between them."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ledger.rails import (
    BankBook,
    BankMovement,
    HttpPaymentRail,
    PaymentRail,
    RailAnswer,
    RailOrder,
    configured_rail,
    match_report,
    read_report,
)
from tests.ledger.rail_contract import BankUnderTest, RailContract
from wallet_project.sandbox.bank import Bank
from wallet_project.sandbox.embedding import RunningSandbox, fresh_config, running_sandbox
from wallet_project.sandbox.exchange import Problem
from wallet_project.utils.http_client import (
    CallLimits,
    ProviderClient,
    ProviderNotConfigured,
    ProviderRefused,
    ProviderUnavailable,
)

NOBODY = "http://127.0.0.1:9"


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[RunningSandbox]:
    with running_sandbox(fresh_config(tmp_path)) as running:
        yield running


class BankOverHttp(BankUnderTest):
    def __init__(self, sandbox: RunningSandbox) -> None:
        self._sandbox = sandbox
        self._client = ProviderClient(base_url=sandbox.url, api_key=sandbox.config.bank_api_key)
        self.rail = HttpPaymentRail(self._client)

    def decide(self, reference: str, outcome: str) -> None:
        self._sandbox.bank.decide(reference, outcome, "no reason" if outcome == "rejected" else "")

    def unreachable(self) -> PaymentRail:
        limits = CallLimits(connect_seconds=0.3, total_seconds=0.5)
        return HttpPaymentRail(ProviderClient(base_url=NOBODY, api_key="k", limits=limits))


class RailByCall:
    """A bank in the same process, as one behind a message queue or a file might be: no HTTP anywhere."""

    def __init__(self, bank: Bank | None) -> None:
        self._bank = bank

    def submit(self, order: RailOrder) -> RailAnswer:
        body: dict[str, Any] = {
            "reference": order.reference,
            "amount": order.amount,
            "currency": order.currency,
            "description": order.description,
        }
        if order.beneficiary is not None:
            body["beneficiary"] = dict(order.beneficiary)
        try:
            answer = self._reached().pay(order.direction, body, order.reference)
        except Problem as problem:
            raise ProviderRefused(problem.message, status=problem.status, body={}) from problem
        assert isinstance(answer.body, dict)
        return match_report(read_report(answer.body), order)

    def status(self, order: RailOrder) -> RailAnswer | None:
        try:
            raw = self._reached().view(order.reference)
        except Problem:
            return None
        return match_report(read_report(raw), order)

    def book(self, currency: str, *, after: str | None = None) -> BankBook:
        page = self._reached().statement(currency, after or "", limit=10_000)
        lines = tuple(
            BankMovement(
                id=line["id"],
                direction=line["direction"],
                amount=line["amount"],
                currency=line["currency"],
                reference=line["reference"],
                booked_at=datetime.fromisoformat(line["booked_at"]),
            )
            for line in page["lines"]
        )
        return BankBook(currency, page["balance"], lines, lines[-1].id if lines else after)

    def _reached(self) -> Bank:
        if self._bank is None:
            raise ProviderUnavailable("nobody is there", may_have_reached=False)
        return self._bank


class BankByCall(BankUnderTest):
    def __init__(self, sandbox: RunningSandbox) -> None:
        self._sandbox = sandbox
        self.rail = RailByCall(sandbox.bank)

    def decide(self, reference: str, outcome: str) -> None:
        self._sandbox.bank.decide(reference, outcome, "no reason" if outcome == "rejected" else "")

    def unreachable(self) -> PaymentRail:
        return RailByCall(None)


class TestHttpRail(RailContract):
    @pytest.fixture
    def bank(self, sandbox: RunningSandbox) -> BankUnderTest:
        return BankOverHttp(sandbox)


class TestRailWithoutHttp(RailContract):
    @pytest.fixture
    def bank(self, sandbox: RunningSandbox) -> BankUnderTest:
        return BankByCall(sandbox)


def nobodys_rail() -> PaymentRail:
    return RailByCall(None)


def test_the_setting_chooses_the_rail(settings: Any) -> None:
    assert isinstance(configured_rail(), HttpPaymentRail)
    settings.PAYMENT_RAIL = f"{__name__}.nobodys_rail"
    assert isinstance(configured_rail(), RailByCall)


def test_without_a_bank_there_is_no_rail(settings: Any) -> None:
    settings.BANK_URL = ""
    with pytest.raises(ProviderNotConfigured):
        configured_rail()
