"""What waits is a row: workers may die anywhere, and nudges and Redis may be lost; money arrives all the same."""

import time
from typing import Any
from uuid import UUID

import pytest

from tests.e2e.town import SECONDS, Town, kill
from wallet_project.demo.customer import Customer
from wallet_project.embedded import processes

CLEARED = {"status": "cleared"}
PENDING = {"status": "pending"}


def deposit(customer: Customer, amount: int, **more: Any) -> str:
    body = {"account": customer.account, "amount": amount, "currency": "EUR", **more}
    return str(customer.post("/deposits", body, expect=PENDING)["id"])


def transfer(payer: Customer, payee: Customer, amount: int) -> str:
    body = {"source": payer.account, "destination": payee.account, "amount": amount, "currency": "EUR"}
    return str(payer.post("/transfers", body, expect=PENDING)["id"])


def cleared(customer: Customer, transaction: str) -> None:
    customer.wait_for(f"/transactions/{transaction}", expect=CLEARED, meanwhile=PENDING)


def lines_at_the_bank(town: Town, transaction: str) -> list[int]:
    movements = town.sandbox.book.movements("EUR", after=0, limit=10_000)
    return [row["amount"] for row in movements if row["reference"] == f"wallet-{transaction}"]


@pytest.mark.thorough
def test_nudges_alone_carry_money_from_the_request_to_the_end(town: Town) -> None:
    with town.worker():
        ada, ben = town.customer("Ada"), town.customer("Ben")
        cleared(ada, deposit(ada, 10_000))
        cleared(ada, transfer(ada, ben, 4_000))
        ada.balances(cleared=6_000, reserved=0, available=6_000)
        ben.balances(cleared=4_000, reserved=0, available=4_000)
    town.verify()


def test_a_worker_killed_while_it_screens_leaves_its_work_to_the_sweep(town: Town) -> None:
    with town.worker() as doomed:
        ada = town.customer("Ada")
        # The decision to collect the money can't be written, but the claim has been.
        with town.stuck_at("ledger_railtransfer") as stuck:
            asked = deposit(ada, 10_000)
            stuck.wait_for_somebody()
            kill(doomed)
            stuck.end_their_sessions()
    assert work_item(town, asked) == ("screening", 1)
    ada.balances(cleared=0, reserved=0, available=0)
    with town.worker(sweeps=True):
        cleared(ada, asked)
    ada.balances(cleared=10_000, reserved=0, available=10_000)
    screenings = "SELECT count(*) || '/' || min(attempts) FROM compliance_screening WHERE transaction_id = %s"
    assert town.value(screenings, UUID(asked)) == "1/2"
    assert lines_at_the_bank(town, asked) == [10_000]
    town.verify()


def test_a_worker_killed_while_it_clears_leaves_its_work_to_the_sweep(town: Town) -> None:
    with town.worker() as doomed:
        ada, ben = town.customer("Ada"), town.customer("Ben")
        cleared(ada, deposit(ada, 10_000))
        with town.stuck_at("ledger_entry") as stuck:
            sent = transfer(ada, ben, 4_000)
            stuck.wait_for_somebody()
            kill(doomed)
            stuck.end_their_sessions()
    assert work_item(town, sent)[0] == "clearing"
    ada.balances(cleared=10_000, reserved=4_000, available=6_000)
    with town.worker(sweeps=True):
        cleared(ada, sent)
    ada.balances(cleared=6_000, reserved=0, available=6_000)
    ben.balances(cleared=4_000, reserved=0, available=4_000)
    town.verify()


@pytest.mark.thorough
def test_a_worker_killed_while_it_waits_for_the_bank_does_not_collect_twice(town: Town) -> None:
    with town.worker() as doomed:
        ada = town.customer("Ada")
        # The bank takes it, and its answer does not come.
        asked = deposit(ada, 10_000, reference="SBX-TIMEOUT-AFTER")
        taken = processes.wait_until(lambda: lines_at_the_bank(town, asked) == [10_000], seconds=SECONDS)
        kill(doomed)
        assert taken
    with town.worker(sweeps=True):
        cleared(ada, asked)
    ada.balances(cleared=10_000, reserved=0, available=10_000)
    assert lines_at_the_bank(town, asked) == [10_000]
    town.verify()


@pytest.mark.thorough
def test_without_redis_requests_are_answered_and_money_waits_for_it(town: Town) -> None:
    with town.worker(sweeps=True):
        ada, ben = town.customer("Ada"), town.customer("Ben")
        cleared(ada, deposit(ada, 10_000))
        town.valkey.stop()
        try:
            started = time.monotonic()
            sent = transfer(ada, ben, 4_000)
            ada.get("/me", expect={"kyc_status": "verified"})
            ada.balances(cleared=10_000, reserved=4_000, available=6_000)
            assert time.monotonic() - started < 10
        finally:
            town.valkey.start()
        cleared(ada, sent)
        ben.balances(cleared=4_000, reserved=0, available=4_000)
    town.verify()


def work_item(town: Town, transaction: str) -> tuple[str, int]:
    found = town.value(
        "SELECT json_build_array(stage, attempts) FROM ledger_workitem WHERE unit_id = %s", UUID(transaction)
    )
    stage, attempts = found
    return stage, attempts
