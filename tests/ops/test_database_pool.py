"""Threads that share connections: how many there are at most, who has to wait, and what a restart does to them."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event
from typing import Any

import psycopg
import pytest
from django.db import connection, connections

from ledger.models import Transaction
from tests.support import factories
from tests.support.door import DoorClient, in_the_loop
from wallet_project.door import tellers_with_connections
from wallet_project.embedded.processes import wait_until
from wallet_project.settings import pool_options

SIZE = 2


@pytest.fixture
def pooled(db: None) -> Iterator[dict[str, Any]]:
    """Django's connections come from a pool of SIZE; gives the options of the next pool that is made."""
    connection.close()
    config = connections.settings["default"]
    own = {name: config[name] for name in ("CONN_MAX_AGE", "OPTIONS")}
    options = pool_options(SIZE)
    config.update(CONN_MAX_AGE=0, OPTIONS={**config["OPTIONS"], "pool": options})
    try:
        yield options
    finally:
        connection.close()
        connection.close_pool()  # type: ignore[attr-defined]
        config.update(own)


@pytest.fixture
def pay(pooled: None) -> Callable[[], Any]:
    """A payment through the door, on whose way back its connection goes to the pool."""
    source, destination = factories.make_account(funded=10_000), factories.make_account()
    assert source.customer is not None
    token = factories.session_token(source.customer.user)
    body = {"source": str(source.id), "destination": str(destination.id), "amount": 1, "currency": "EUR"}
    connection.close()

    def send() -> Any:
        client = DoorClient()
        client.credentials(HTTP_X_SESSION_TOKEN=token)
        return client.post("/api/v1/transfers", body, format="json", headers=factories.keyed())

    return send


def holding(count: int, go_on: Event) -> tuple[ThreadPoolExecutor, Barrier]:
    """So many threads that hold a connection until told to go on."""
    ready = Barrier(count + 1)

    def hold() -> None:
        connection.ensure_connection()
        ready.wait(10)
        assert go_on.wait(10)
        connection.close()

    threads = ThreadPoolExecutor(count)
    for _ in range(count):
        threads.submit(hold)
    return threads, ready


def sessions(admin_dsn: str) -> list[int]:
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        found = admin.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND usename = 'wallet_app'"
        )
        return [row[0] for row in found]


def test_however_many_pay_at_once_the_pool_has_its_few_connections(pay: Callable[[], Any], admin_dsn: str) -> None:
    with ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(lambda _: pay(), range(36)))
    assert [answer.status_code for answer in answers] == [202] * 36
    assert len(sessions(admin_dsn)) <= SIZE


def test_who_gets_no_connection_in_time_is_told_to_come_again_and_nothing_is_half_done(
    pooled: dict[str, Any], pay: Callable[[], Any]
) -> None:
    before = Transaction.objects.count()
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]
    pooled["timeout"] = 0.05
    go_on = Event()
    threads, ready = holding(SIZE, go_on)
    with threads:
        ready.wait(10)
        refused = pay()
        assert (refused.status_code, refused.json()["code"]) == (503, "database_unavailable")
        assert refused["Retry-After"] == "1"
        go_on.set()
    assert pay().status_code == 202
    assert Transaction.objects.count() == before + 1


def test_a_payment_after_a_restart_finds_no_connection_that_died(pay: Callable[[], Any], admin_dsn: str) -> None:
    assert pay().status_code == 202
    go_on = Event()
    threads, ready = holding(SIZE, go_on)
    with threads:
        ready.wait(10)
        go_on.set()
    assert len(sessions(admin_dsn)) == SIZE
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        for pid in sessions(admin_dsn):
            admin.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    assert pay().status_code == 202


def test_a_teller_whose_place_was_taken_gives_his_connection_back(pooled: dict[str, Any]) -> None:
    """He was held up; after as many times as it has connections the pool would have none for anybody."""
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]
    pooled["timeout"] = 0.5
    failed: list[Exception] = []

    def serve(visitors: Any) -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
        except Exception as error:
            failed.append(error)
        for may_go_on in visitors:
            assert may_go_on.wait(30)

    tellers: Any = tellers_with_connections(serve, slow_seconds=0.05, wait_seconds=30, answer_seconds=60)
    for _ in range(2 * SIZE):
        held_up, free = Event(), Event()
        first = in_the_loop(tellers.visit(held_up))
        assert wait_until(lambda: tellers._all and not tellers._queue, seconds=30)
        free.set()
        in_the_loop(tellers.visit(free)).result(30)
        held_up.set()
        first.result(30)
        assert wait_until(lambda: len(tellers._all) == 1, seconds=30)
    assert failed == []
