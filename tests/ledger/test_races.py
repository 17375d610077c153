"""Many at once, with real threads that start together: the database decides, and it decides once."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import connections, transaction

from accounts.idempotency import RequestInProgress
from ledger import posting, steps
from ledger.models import Entry, Transaction, WorkItem
from tests.support import money
from wallet_project.utils.context import system_actor

pytestmark = pytest.mark.django_db


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Run the calls in threads that a barrier lets go together; an exception is returned as a result."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        try:
            barrier.wait(timeout=30)
            return call()
        except Exception as error:
            return error
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def test_twenty_withdrawals_at_once_spend_what_is_there_and_no_more() -> None:
    source, settlement = money.new_account(1000), money.system()
    actor = money.actor_of(source.customer)
    results = at_once(
        *[lambda: money.post(money.leg("withdrawal", source, settlement, 300), actor=actor) for _ in range(20)]
    )
    assert sorted(r.outcome for r in results) == ["created"] * 3 + ["refused"] * 17
    assert money.balances(source) == (1000, 100)


def test_the_same_key_twenty_times_at_once_makes_one_transaction() -> None:
    source, destination = money.new_account(1000), money.new_account()
    actor = money.actor_of(source.customer)
    results = at_once(
        *[
            lambda: money.post(money.leg("transfer", source, destination, 300), actor=actor, key="once")
            for _ in range(20)
        ]
    )
    assert sorted(r.outcome for r in results) == ["created"] + ["replayed"] * 19
    assert len({r.transactions[0].id for r in results}) == 1
    assert Transaction.objects.filter(kind="transfer").count() == 1
    assert money.balances(source) == (1000, 700)


def test_opposing_transfers_and_their_clearing_never_deadlock() -> None:
    one, two = money.new_account(10_000), money.new_account(10_000)

    def send(debit: Any, credit: Any) -> list[str]:
        outcomes = []
        for _ in range(25):
            posted = money.transfer(debit, credit, 7)
            money.approve(posted)
            outcomes.append(posted.outcome)
        return outcomes

    def clear_all() -> list[Any]:
        return [money.clear(limit=5) for _ in range(25)]

    results = at_once(
        lambda: send(one, two),
        lambda: send(two, one),
        lambda: send(one, two),
        lambda: send(two, one),
        clear_all,
        clear_all,
    )
    assert [r for r in results if isinstance(r, Exception)] == []
    while money.clear():
        pass
    assert (money.balances(one), money.balances(two)) == ((10_000, 10_000), (10_000, 10_000))


def test_workers_that_clear_at_once_post_each_unit_once() -> None:
    payers = [money.new_account(100) for _ in range(6)]
    merchant = money.new_account()
    for payer in payers * 5:
        money.approve(money.transfer(payer, merchant, 10))
    results = at_once(*[lambda: [money.clear(limit=4) for _ in range(10)] for _ in range(5)])
    assert [r for r in results if isinstance(r, Exception)] == []
    while money.clear():
        pass
    cleared = [unit for worker in results for batch in worker for unit in batch]
    assert len(cleared) == len(set(cleared))
    assert money.balances(merchant) == (300, 300)
    assert list(
        Entry.objects.filter(account=merchant).order_by("sequence").values_list("balance_after", flat=True)
    ) == [10 * n for n in range(1, 31)]


@pytest.mark.parametrize("_round", range(5))
def test_of_approving_and_failing_at_once_one_wins(_round: int) -> None:
    source, destination = money.new_account(100), money.new_account()
    unit = money.transfer(source, destination, 60).transactions[0].id

    def approve() -> set[UUID]:
        with transaction.atomic():
            approved = steps.approve([unit])
        money.clear()
        return approved

    def fail() -> set[UUID]:
        with transaction.atomic():
            return steps.fail([unit], code="cancelled", actor=system_actor(), reason="")

    at_once(approve, fail, approve, fail)
    money.clear()
    status = Transaction.objects.get(id=unit).status
    assert (status, money.balances(source), money.balances(destination)) in [
        ("cleared", (40, 40), (60, 60)),
        ("failed", (100, 100), (0, 0)),
    ]


def test_a_key_that_is_being_used_is_waited_for_and_then_answered_with_409(app_connection: Any) -> None:
    source, destination = money.new_account(100), money.new_account()
    actor = money.actor_of(source.customer)
    app_connection.execute("BEGIN")
    app_connection.execute(
        "INSERT INTO accounts_idempotencyclaim (principal_id, key, operation, request_hash, result_id) "
        "VALUES (%s, 'held', 'test', %s, gen_random_uuid())",
        [actor.principal_id, money.HASH],
    )
    with pytest.raises(RequestInProgress):
        money.post(money.leg("transfer", source, destination, 1), actor=actor, key="held")
    app_connection.execute("ROLLBACK")
    assert money.post(money.leg("transfer", source, destination, 1), actor=actor, key="held").outcome == "created"


def test_a_connection_that_died_is_replaced_and_the_request_made_once(admin_dsn: str) -> None:
    source, destination = money.new_account(100), money.new_account()
    actor = money.actor_of(source.customer)
    wanted = money.leg("transfer", source, destination, 60)
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
            "AND usename = 'wallet_app'"
        )
    assert money.post(wanted, actor=actor, key="k").outcome == "created"
    assert money.balances(source) == (100, 40)


def test_a_payment_that_waited_for_its_account_is_younger_than_what_was_made_meanwhile(
    app_connection: Any, admin_dsn: str
) -> None:
    """Or screening's windows, which end with a payment's own time, would miss each other's."""
    one = money.new_account(100)
    two, destination = money.new_account(100, customer=one.customer), money.new_account()
    app_connection.execute("BEGIN")
    app_connection.execute("SELECT FROM accounts_account WHERE id = %s FOR NO KEY UPDATE", [one.id])

    def meanwhile() -> Any:
        until_somebody_waits(admin_dsn)
        try:
            return money.transfer(two, destination, 10)
        finally:
            app_connection.execute("COMMIT")

    made = at_once(lambda: money.transfer(one, destination, 10), meanwhile)
    waited, faster = (Transaction.objects.get(id=each.transactions[0].id) for each in made)
    assert waited.created_at > faster.created_at
    assert waited.created_at == made[0].transactions[0].created_at


def until_somebody_waits(admin_dsn: str, *, role: str = "wallet_app") -> None:
    waiting = """SELECT count(*) FROM pg_stat_activity
                 WHERE datname = current_database() AND usename = %s AND wait_event_type = 'Lock'"""
    deadline = time.monotonic() + 10
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        while admin.execute(waiting, [role]).fetchone() == (0,):
            assert time.monotonic() < deadline


def test_a_unit_goes_on_from_where_its_rows_stand_once_it_is_locked(app_connection: Any, admin_dsn: str) -> None:
    source, settlement = money.new_account(100), money.system()
    made = money.post(money.leg("withdrawal", source, settlement, 60)).transactions[0]
    with transaction.atomic():
        steps.approve([made.id])
    app_connection.execute("UPDATE ledger_railtransfer SET status = 'submitted'")
    app_connection.execute("BEGIN")
    app_connection.execute("SELECT ledger_lock(ARRAY[%s]::uuid[], NULL)", [made.id])
    app_connection.execute("UPDATE ledger_railtransfer SET status = 'confirmed'")

    def confirm() -> None:
        until_somebody_waits(admin_dsn)
        app_connection.execute("COMMIT")

    assert at_once(lambda: posting.resume([made.id]), confirm)[0] == {made.id}
    assert WorkItem.objects.get(unit_id=made.id).stage == "clearing"
