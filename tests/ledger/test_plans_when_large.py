"""Every list and every hot query, on a database of `--entries` (a million in `make test-deep`): what each touches is
the same however much there is, and no table that grows is read from end to end."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection, transaction
from django.utils import timezone
from psycopg.types.json import Jsonb
from pytest_django import DjangoDbBlocker

import accounts.selectors
import compliance.selectors
from accounts.models import Account
from compliance.facts import facts_of, limits_of_facts
from compliance.limits import limits_in_force
from ledger.models import Transaction
from ledger.selectors import balances, entries, lists, movements, transactions, waiting
from ledger.selectors.lists import Filters
from tests.ledger.test_plans import nodes, plans_of
from tests.support.database import Databases
from tests.support.function_plans import plan_inside, told_plan
from wallet_project.chain.selectors import oldest_unsealed_seconds
from wallet_project.load.generate import generate
from wallet_project.utils.context import system_actor
from wallet_project.utils.ids import uuid7

pytestmark = pytest.mark.thorough

#: Rows. A smaller table is rightly read from end to end: a list may look at 2,000 lines, and an index is no quicker for
#: as large a part.
LARGE = 80_000
#: Pages of 8 kB that one of these may touch. At 100,000 entries the tables have about 25,000, at a million 250,000.
PAGES = 1_500


@dataclass(frozen=True)
class Wallet:
    """The merchant's account has a fifth of all lines of its currency; the other one as many as everybody."""

    merchant: Account
    other: Account
    beginning: datetime
    end: datetime

    @property
    def middle(self) -> datetime:
        return self.beginning + (self.end - self.beginning) / 2


@pytest.fixture(scope="module")
def wallet(
    databases: Databases, request: pytest.FixtureRequest, django_db_blocker: DjangoDbBlocker
) -> Iterator[Wallet]:
    many = int(request.config.getoption("--entries"))
    end = timezone.now() - timedelta(hours=4)
    beginning = end - timedelta(days=365)
    with databases.own(), django_db_blocker.unblock():
        generate(accounts=max(many // 100, 200), entries=many, beginning=beginning, end=end, say=lambda _: None)
        of_customers = Account.objects.filter(kind="customer", currency="EUR").select_related(
            "customer__user__principal"
        )
        merchant, *_, other = of_customers.order_by("-last_sequence")
        assert merchant.last_sequence > many // 25
        yield Wallet(merchant, other, beginning, end)


def reads(wallet: Wallet, account: Account) -> dict[str, Callable[[], Any]]:
    """What the API reads, of an account and of its customer."""
    customer = account.customer
    assert customer is not None
    some = Transaction.objects.filter(debit_account=account).order_by("id")[3]
    middle = wallet.middle
    filters = {
        "all": Filters(),
        "pending": Filters(status="pending"),
        "a kind": Filters(kind="exchange"),
        "a reference": Filters(reference="invoice 7"),
        "a time": Filters(since=middle, until=middle + timedelta(days=1)),
        "an amount": Filters(max_amount=1),
    }
    found: dict[str, Callable[[], Any]] = {
        "a balance in the past": lambda: balances.balance_at(account.id, at=middle, now=timezone.now()),
        "why it is what it is": lambda: balances.explain(account.id, customer_id=customer.id, before=None, limit=50),
        "a statement": lambda: entries.statement_of(
            account, since=middle, until=middle + timedelta(days=30), now=timezone.now()
        ),
        "a transaction": lambda: transactions.transaction_of_customer(customer.id, some.id),
        "its reversals": lambda: movements.reversals_of(customer.id, some.id, before=None, limit=51),
        "a group": lambda: movements.group_of_customer(customer.id, uuid4()),
        "accounts": lambda: list(accounts.selectors.accounts_of(customer.id)),
        "an account": lambda: accounts.selectors.account_of(customer.id, account.id),
    }
    for name, wanted in filters.items():
        found |= {
            f"transactions of a customer: {name}": lambda w=wanted: lists.transactions_of_customer(
                customer.id, before=None, limit=51, wanted=w
            ),
            f"transactions of an account: {name}": lambda w=wanted: lists.transactions_of_account(
                account.id, customer_id=customer.id, before=None, limit=51, wanted=w
            ),
        }
        if name != "pending":
            found[f"lines: {name}"] = lambda w=wanted: entries.entries_of_account(
                account, before=None, limit=51, wanted=w
            )
    return found


def sweeps() -> dict[str, Callable[[], Any]]:
    """What workers, metrics and officers ask, again and again."""
    return {
        "waiting units": waiting.waiting_units,
        "the oldest that waits": waiting.oldest_waiting_seconds,
        "open escalations": waiting.open_escalation_count,
        "waiting cases": compliance.selectors.waiting_cases,
        "overdue cases": compliance.selectors.overdue_cases,
        "checks that wait": compliance.selectors.oldest_waiting_seconds,
        "the queue": lambda: list(compliance.selectors.case_queue()[:50]),
        "what is not sealed": oldest_unsealed_seconds,
    }


def read_from_end_to_end(plans: list[dict[str, Any]]) -> set[str]:
    """Tables that grow with the wallet's use."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT relname FROM pg_class WHERE relkind = 'r' AND reltuples > %s", [LARGE])
        large = {name for (name,) in cursor.fetchall()}
    assert {"ledger_entry", "ledger_statechange"} <= large
    return {
        node["Relation Name"]
        for plan in plans
        for node in nodes(plan)
        if node["Node Type"] == "Seq Scan" and node["Actual Loops"] > 0 and node["Relation Name"] in large
    }


def pages(plans: list[dict[str, Any]]) -> int:
    return sum(int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]) for plan in plans)


@pytest.mark.parametrize("whose", ["merchant", "other"])
def test_every_list_and_balance_goes_by_its_index(wallet: Wallet, whose: str) -> None:
    for name, read in reads(wallet, getattr(wallet, whose)).items():
        plans = list(plans_of(read))
        assert plans, name
        assert not read_from_end_to_end(plans), name
        # A list that is filtered by what no index has looks at as many lines as it may, and no more: each with its
        # payment and an account, of which an index has four levels at a million.
        assert pages(plans) < (PAGES if ":" not in name else 12 * entries.LOOKED_AT), name


def test_a_balance_in_the_past_never_sums_a_lifetime(wallet: Wallet) -> None:
    """By the line that was the last one then: with five million entries, 220,000 of them the merchant's, 170 pages."""
    for part in (0.01, 0.5, 0.99):
        at = wallet.beginning + (wallet.end - wallet.beginning) * part
        found = list(plans_of(lambda at=at: balances.balance_at(wallet.merchant.id, at=at, now=timezone.now())))
        assert found
        assert not read_from_end_to_end(found)
        assert pages(found) < 400


def test_what_is_asked_every_second_reads_what_waits_and_no_history(wallet: Wallet) -> None:
    for name, read in sweeps().items():
        plans = list(plans_of(read))
        assert plans, name
        assert not read_from_end_to_end(plans), name
        assert pages(plans) < PAGES, name


def test_a_payment_touches_few_pages_from_request_to_entries(wallet: Wallet) -> None:
    unit = uuid7()
    payer = wallet.other.customer
    assert payer is not None
    asked = [
        payer.user.principal.id,
        payer.id,
        uuid4().hex,
        "transfer",
        bytes(32),
        unit,
        Jsonb([leg(unit, wallet)]),
        "",
    ]
    assert touched("SELECT * FROM ledger_post_pending(%s, %s, %s, %s, %s, %s, %s, %s)", asked) < PAGES
    assert Transaction.objects.get(id=unit).status == "pending"

    assert pages(list(plans_of(lambda: facts_of([unit], limits_in_force())))) < PAGES
    facts = plan_inside("compliance_facts", [[unit], *limits_of_facts(limits_in_force())], analyze=True)
    assert not read_from_end_to_end([facts])

    assert touched("SELECT * FROM ledger_claim('screening', 200, interval '1 minute')", []) < PAGES
    assert touched("SELECT * FROM ledger_approve(%s, NULL)", [[unit]]) < PAGES
    assert touched("SELECT * FROM ledger_clear(200, NULL, %s, '')", [system_actor().principal_id]) < PAGES
    assert Transaction.objects.get(id=unit).status == "cleared"


@pytest.mark.parametrize("direction", ["out", "in"])
def test_to_set_a_limit_reads_the_thirty_days_that_count_and_no_more(wallet: Wallet, direction: str) -> None:
    """They are a twelfth of what the merchant has."""
    read = """SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'ledger_transaction'"""
    set_limit = "SELECT ledger_set_limit(%s, 'account', %s, 'EUR', NULL, 1, NULL, %s, 'as agreed', '')"
    with transaction.atomic(), connection.cursor() as cursor:
        # What the connection did before may not have been told to the server yet, and then counts here.
        cursor.execute(read)
        [before] = cursor.fetchone() or [0]
        cursor.execute(set_limit, [wallet.merchant.id, direction, system_actor().principal_id])
        cursor.execute(read)
        [after] = cursor.fetchone() or [0]
    assert 0 < after - before < wallet.merchant.last_sequence // 4


def leg(unit: UUID, wallet: Wallet) -> dict[str, Any]:
    return {
        "id": str(unit),
        "kind": "transfer",
        "debit": str(wallet.other.id),
        "credit": str(wallet.merchant.id),
        "amount": 1,
        "currency": "EUR",
    }


def touched(sql: str, values: list[Any]) -> int:
    """Pages that a function touches, which it is asked for once."""
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + sql, values)
        return pages([told_plan(cursor)])
