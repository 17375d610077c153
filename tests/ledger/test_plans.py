"""Lists stay cheap when the tables are large: each goes through its index and stops after a page."""

from collections.abc import Callable
from functools import partial
from typing import Any

import psycopg
import pytest
from django.db import connection

from accounts.models import Account
from accounts.selectors import system_account_id
from ledger import selectors
from tests.support.factories import make_account

pytestmark = pytest.mark.django_db

ROWS = 8_000


@pytest.fixture
def busy(owner_connection: psycopg.Connection) -> Account:
    """An account with many transactions and entries, among as many of somebody else's."""
    account, other = make_account(), make_account()
    settlement = system_account_id("settlement", "EUR")
    assert account.customer is not None
    initiator = account.customer.user.principal.id
    for table in ("ledger_transaction", "ledger_entry"):
        owner_connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    for receiver in (account, other):
        owner_connection.execute(
            "INSERT INTO ledger_transaction (id, kind, status, debit_account_id, credit_account_id, amount, currency, "
            " initiator_id, reference, metadata, failure, approved_at, cleared_at) "
            "SELECT gen_random_uuid(), 'adjustment', 'cleared', %s, %s, 1, 'EUR', %s, '', '{}', '', now(), now() "
            "FROM generate_series(1, %s)",
            [settlement, receiver.id, initiator, ROWS],
        )
        owner_connection.execute(
            "INSERT INTO ledger_entry (transaction_id, account_id, direction, amount, balance_after, sequence) "
            "SELECT id, credit_account_id, 'credit', 1, n, n FROM "
            "(SELECT id, credit_account_id, row_number() OVER (ORDER BY id) AS n FROM ledger_transaction "
            " WHERE credit_account_id = %s) t",
            [receiver.id],
        )
    owner_connection.execute("ANALYZE")
    return account


def plan_of(read: Callable[[], Any]) -> str:
    """The plan of the last query that `read` makes, as it was carried out."""
    asked: list[tuple[str, Any]] = []

    def remember(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        asked.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(remember):
        read()
    sql, params = asked[-1]
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) " + sql, params)
        return "\n".join(row[0] for row in cursor.fetchall())


def test_each_list_is_read_from_its_index_and_stops_after_a_page(busy: Account) -> None:
    customer = busy.customer_id
    assert customer is not None
    filters: list[dict[str, str]] = [{}, {"kind": "exchange"}, {"status": "cleared"}]
    for wanted in filters:
        plan = plan_of(partial(selectors.transactions_of_customer, customer, before=None, limit=51, **wanted))
        assert_a_page(plan, "transaction_by_credit_account", "ledger_transaction")
    plan = plan_of(partial(selectors.transactions_of_account, busy.id, customer_id=customer, before=None, limit=51))
    assert_a_page(plan, "transaction_by_credit_account", "ledger_transaction")
    plan = plan_of(lambda: list(selectors.entries_of_account(busy.id).filter(sequence__lt=ROWS // 2)[:51]))
    assert_a_page(plan, "entry_sequence_unique_in_account", "ledger_entry")


def assert_a_page(plan: str, index: str, table: str) -> None:
    assert index in plan
    assert f"Seq Scan on {table}" not in plan
    assert f"rows={ROWS}" not in plan
