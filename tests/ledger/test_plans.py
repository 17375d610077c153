"""Reads stay cheap when the tables are large: each goes through its index, and what it reads does not grow."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import connection, connections
from pytest_django import DjangoDbBlocker

from accounts.models import Account
from ledger.selectors import balances, entries, lists
from ledger.selectors.lists import Filters
from ledger.selectors.transactions import IN_ORDER
from tests.support.database import Databases
from tests.support.factories import make_account
from tests.support.function_plans import told_plan

pytestmark = pytest.mark.thorough

#: Payments out of the account, an hour apart, and as many into it. Each tenth waited for three days.
PAYMENTS = 15_000
BEGINNING = datetime(2024, 1, 1, tzinfo=UTC)
END = BEGINNING + timedelta(hours=PAYMENTS)
#: What a page looks at in these tests, of each side of an account.
LOOKED_AT = 300

_PAYMENTS = """
    INSERT INTO ledger_transaction (id, kind, status, debit_account_id, credit_account_id, amount, currency,
        initiator_id, reference, metadata, failure, created_at, approved_at, cleared_at, waited)
    SELECT (lpad(to_hex((extract(epoch FROM p.at) * 1000)::bigint), 12, '0') || '7000'
            || substr(md5(p.n::text || %(debit)s || %(credit)s), 1, 16))::uuid,
        'transfer', 'cleared', %(debit)s, %(credit)s, 1 + p.n %% 1000, 'EUR', %(initiator)s,
        CASE p.n %% 3 WHEN 0 THEN '' ELSE 'invoice ' || p.n %% 1000 END, '{}', '', p.at, p.at,
        p.at + CASE p.n %% 10 WHEN 0 THEN interval '72 hours' ELSE interval '1 second' END,
        ledger_wait(p.at, p.at + CASE p.n %% 10 WHEN 0 THEN interval '72 hours' ELSE interval '1 second' END, NULL)
    FROM (SELECT n, %(beginning)s::timestamptz + n * interval '1 hour' AS at FROM generate_series(1, %(many)s) n) p"""
_LINES = """
    INSERT INTO ledger_entry (transaction_id, account_id, direction, amount, balance_after, sequence, created_at)
    SELECT t.id, a.id, CASE a.id WHEN t.debit_account_id THEN 'debit' ELSE 'credit' END, t.amount, 1,
           row_number() OVER (PARTITION BY a.id ORDER BY t.cleared_at, t.id), t.cleared_at
    FROM ledger_transaction t JOIN accounts_account a ON a.id IN (t.debit_account_id, t.credit_account_id)"""


@pytest.fixture(autouse=True)
def few_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "LOOKED_AT", LOOKED_AT)
    monkeypatch.setattr(lists, "LOOKED_AT_OF_EACH", LOOKED_AT)
    monkeypatch.setattr(entries, "LOOKED_AT", LOOKED_AT)


@pytest.fixture(scope="module")
def busy(databases: Databases, django_db_blocker: DjangoDbBlocker) -> Iterator[Account]:
    """An account with a long history, among as much of somebody else's."""
    with databases.own() as made, django_db_blocker.unblock():
        yield _busy(made.owner_dsn)


def _busy(owner_dsn: str) -> Account:
    account, other, third = make_account(), make_account(), make_account()
    assert account.customer is not None
    with psycopg.connect(owner_dsn, autocommit=True) as owner, psycopg.ClientCursor(owner) as cursor:
        for table in ("ledger_transaction", "ledger_entry"):
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        for debit, credit in ((account, other), (other, account), (other, third)):
            values = {
                "debit": str(debit.id),
                "credit": str(credit.id),
                "initiator": account.customer.user.principal.id,
                "beginning": BEGINNING,
                "many": PAYMENTS,
            }
            cursor.execute(_PAYMENTS, values)
        cursor.execute(_LINES)
        cursor.execute("UPDATE accounts_account SET last_sequence = %s WHERE id = %s", [2 * PAYMENTS, account.id])
        cursor.execute("ANALYZE")
    account.refresh_from_db()
    return account


def plans_of(read: Callable[[], Any]) -> Iterator[dict[str, Any]]:
    """The plans of all queries that `read` makes, as they were carried out."""
    asked: list[tuple[str, Any]] = []

    def remember(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        asked.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(remember):
        read()
    for sql, params in asked:
        with connection.cursor() as cursor:
            text = sql if isinstance(sql, str) else sql.as_string(connection.connection)
            # What is set for a query is set for its plan, too.
            first = IN_ORDER if text.startswith(IN_ORDER) else ""
            cursor.execute(f"{first}EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {text.removeprefix(IN_ORDER)}", params)
            if first:
                cursor.nextset()
            told = told_plan(cursor)
        yield told


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from nodes(inner)


def rows_read(read: Callable[[], Any]) -> int:
    """Rows of the ledger's tables that were looked at, those that were passed over among them."""
    found = 0
    for plan in plans_of(read):
        for node in nodes(plan):
            if node.get("Relation Name", "").startswith("ledger_") or node["Node Type"] == "Bitmap Index Scan":
                found += (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
    return int(found)


def pages_touched(read: Callable[[], Any]) -> int:
    """Pages of 8 kB that were touched, also by the functions that were called."""
    return sum(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] for plan in plans_of(read))


#: Filters that an index answers, that fit some rows, and that fit nearly none.
FILTERS = [
    Filters(),
    Filters(status="cleared"),
    Filters(status="pending"),
    Filters(type="credit", min_amount=990),
    Filters(kind="exchange"),
    Filters(max_amount=1, metadata={"invoice": "7"}),
    Filters(counterparty=UUID(int=1)),
    Filters(reference="invoice 7"),
    Filters(reference="nowhere"),
    Filters(since=BEGINNING + timedelta(days=300), until=BEGINNING + timedelta(days=310)),
    Filters(since=BEGINNING, until=BEGINNING + timedelta(days=2), kind="exchange"),
]


def test_a_page_of_a_list_reads_no_more_than_it_may_whatever_is_filtered(busy: Account) -> None:
    customer = busy.customer_id
    assert customer is not None
    for wanted in FILTERS:
        for read in (
            lambda w=wanted: lists.transactions_of_customer(customer, before=None, limit=51, wanted=w),
            lambda w=wanted: lists.transactions_of_account(
                busy.id, customer_id=customer, before=None, limit=51, wanted=w
            ),
            lambda w=wanted: entries.entries_of_account(busy, before=None, limit=51, wanted=w),
        ):
            # Each side is looked at once for what fits and once for where it stopped; accounts are joined to a page.
            assert rows_read(read) < 5 * LOOKED_AT, wanted


def test_what_an_index_answers_takes_one_page(busy: Account) -> None:
    customer = busy.customer_id
    assert customer is not None
    for wanted, fits in (
        (Filters(status="pending"), 0),
        (Filters(reference="nowhere"), 0),
        (Filters(reference="invoice 7"), 2 * PAYMENTS * 2 // 3 // 1_000),
        (Filters(since=BEGINNING, until=BEGINNING + timedelta(hours=11)), 20),
    ):
        page = lists.transactions_of_account(busy.id, customer_id=customer, before=None, limit=101, wanted=wanted)
        assert (len(page.rows), page.stopped_at) == (fits, None), wanted


@pytest.mark.parametrize("days", [1, 200, 400, 600, 5_000])
def test_a_balance_in_the_past_is_found_without_reading_the_history(busy: Account, days: int) -> None:
    at = min(BEGINNING + timedelta(days=days), END)

    def read() -> None:
        balances.balance_at(busy.id, at=at, now=END + timedelta(days=1))

    assert rows_read(read) < 400
    assert pages_touched(read) < 1_000


def test_a_statement_finds_its_place_in_a_few_looks(busy: Account) -> None:
    since = BEGINNING + timedelta(days=300)

    def read() -> None:
        statement = entries.statement_of(busy, since=since, until=since + timedelta(days=30), now=END)
        assert statement.count == 1_440
        assert len(entries.lines_of(statement, after=statement.first + 700, limit=50)) == 50

    assert rows_read(read) < 500
    assert pages_touched(read) < 1_000


def test_what_is_pending_is_explained_by_its_index_page_by_page(busy: Account) -> None:
    """The last of this file: it makes what is over pending again."""
    customer = busy.customer_id
    assert customer is not None
    assert rows_read(lambda: balances.explain(busy.id, customer_id=customer, before=None, limit=50)) < 20
    # Every other hour's: half of what is found by the order of ids alone is not pending.
    with connections["owner"].cursor() as owner:
        owner.execute(
            "WITH again AS ("
            "UPDATE ledger_transaction SET status = 'pending', cleared_at = NULL, waited = 0 "
            "WHERE debit_account_id = %s AND extract(hour FROM created_at)::int %% 2 = 0 AND created_at > %s "
            "RETURNING id, debit_account_id, credit_account_id) "
            "INSERT INTO ledger_pending (transaction_id, debit_account_id, credit_account_id, payee_sees) "
            "SELECT *, false FROM again RETURNING transaction_id",
            [busy.id, END - timedelta(hours=1_000)],
        )
        pending = owner.fetchall()
        owner.execute("ANALYZE ledger_transaction, ledger_pending")
    middle = sorted(row[0] for row in pending)[len(pending) // 2]
    for before in (None, middle):
        why = balances.explain(busy.id, customer_id=customer, before=before, limit=50)
        assert why.newer.count + len(why.rows) + why.older.count == len(pending)
        # All of them are added up, and a page of them is read, each with its row.
        read = rows_read(lambda b=before: balances.explain(busy.id, customer_id=customer, before=b, limit=50))
        assert read <= 2 * (len(pending) + 51)
