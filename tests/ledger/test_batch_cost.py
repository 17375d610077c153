"""What a step of a batch reads is its batch, however much waits beside it and whatever the planner took to be there."""

from collections.abc import Callable, Collection
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import connection, transaction

from accounts.models import Account
from ledger import posting
from tests.ledger.test_post_many import outcomes, sending
from tests.support import money
from wallet_project.utils.context import system_actor

pytestmark = pytest.mark.django_db

#: Waits beside the batch.
WAITING = 2_000
BATCH = 40
#: A row is looked up, changed and checked by guards. Who looked through what waits would read 2,000 for each batch at
#: least, as who looks for each of his in it reads 80,000.
ROWS_OF_EACH = 12
_READ = """
    SELECT coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0) FROM pg_stat_user_tables
    WHERE relname = ANY (%s)"""
_TABLES = ["ledger_workitem", "ledger_pending", "ledger_transaction", "ledger_entry", "accounts_account"]


def rows_read() -> int:
    """So far, of tables that grow."""
    with connection.cursor() as cursor:
        # Takes effect when its own transaction ends.
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute(_READ, [_TABLES])
        return int((cursor.fetchone() or (0,))[0])


def read_by(step: Callable[[], Any]) -> tuple[int, Any]:
    before = rows_read()
    with transaction.atomic():
        found = step()
    return rows_read() - before, found


def post(accounts: list[Account]) -> list[UUID]:
    asked = [
        sending(accounts[number % 3 + 1], accounts[(number + number // 3) % 3 + 4], 1) for number in range(WAITING)
    ]
    for at in range(0, WAITING, 500):
        assert set(outcomes(posting.post_many(asked[at : at + 500]))) == {"created"}
    return [each.unit_id for each in asked]


def clear(limit: int) -> set[UUID]:
    return {unit for unit, _ in posting.clear(limit=limit, actor=system_actor(), request_id="")}


def fail(units: list[UUID]) -> set[UUID]:
    return posting.fail(units, code="rejected", reason="", actor=system_actor(), request_id="")


def test_it_reads_what_it_works_on_when_the_queue_was_empty_at_the_last_look(
    owner_connection: psycopg.Connection,
) -> None:
    accounts = [money.new_account(2 * WAITING) for _ in range(7)]
    with transaction.atomic():
        posting.approve(post(accounts))
    with transaction.atomic():
        assert len(clear(WAITING)) == WAITING
    owner_connection.execute("ANALYZE")
    waiting = post(accounts)

    read: dict[str, int] = {}

    def step(name: str, work: Callable[[], Collection[Any]]) -> Collection[Any]:
        """Of BATCH units."""
        read[name], found = read_by(work)
        assert len(found) == BATCH, name
        return found

    claimed = step("claim", lambda: posting.claim("screening", limit=BATCH, lease=timedelta(minutes=1)))
    held = {each.unit_id: each.token for each in claimed}
    step("approve", lambda: posting.approve(list(held), list(held.values())))
    claimed = step("claim again", lambda: posting.claim("screening", limit=BATCH, lease=timedelta(minutes=1)))
    held = {each.unit_id: each.token for each in claimed}
    step("review", lambda: posting.hold_for_review(list(held), list(held.values())))
    posting.approve(waiting[WAITING // 2 :])
    cleared = step("clear", lambda: clear(BATCH))
    others = [unit for unit in waiting[WAITING // 2 :] if unit not in cleared]
    step("park", lambda: posting.park(others[:BATCH], "held up"))
    step("resume", lambda: posting.resume(others[:BATCH]))
    step("fail", lambda: fail(others[:BATCH]))
    assert {name: rows for name, rows in read.items() if rows > ROWS_OF_EACH * BATCH} == {}, read
