"""`manage.py generate_load`: what it fills a database with verifies, and it fills no database that is in use."""

from datetime import timedelta
from io import StringIO
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection, connections
from django.db.models import Max
from django.utils import timezone

from accounts.models import Account, Customer
from compliance.facts import limits_of_facts
from compliance.limits import limits_in_force
from compliance.models import Screening
from compliance.rules import FACTS, Version
from compliance.services.backtests import replay
from compliance.states import RuleAction
from ledger.models import Entry, Transaction
from tests.support.factories import make_account, make_customer
from wallet_project.chain.sealing import seal_all
from wallet_project.chain.selectors import oldest_unsealed_seconds
from wallet_project.embedded import processes

pytestmark = [pytest.mark.django_db, pytest.mark.thorough]


@pytest.fixture(autouse=True)
def settings_of_development(settings: Any) -> None:
    settings.DEBUG = True


def generate(**options: Any) -> str:
    said = StringIO()
    call_command("generate_load", **{"accounts": 20, "entries": 2_400, **options}, stdout=said)
    return said.getvalue()


def indexes() -> dict[str, str]:
    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'")
        return dict(cursor.fetchall())


_FACTS_THEN = """
    WITH off AS (
        SELECT a.customer_id, t.created_at
        FROM ledger_transaction t JOIN accounts_account a ON a.id = t.debit_account_id
        WHERE t.failure = 'cancelled'
    )
    SELECT count(*), count(*) FILTER (WHERE (s.facts ->> 'debits_1h')::int > 1),
           count(*) FILTER (WHERE s.facts <> to_jsonb(f)
               - ARRAY['id', 'unit_id', 'customer_id', 'destination_name', 'iban']
               || '{"destination_score": 0, "customer_risk": 0}'),
           count(*) FILTER (WHERE EXISTS (
               SELECT FROM off WHERE off.customer_id = f.customer_id
                   AND off.created_at BETWEEN t.created_at - interval '24 hours' AND t.created_at))
    FROM facts_then((SELECT array_agg(transaction_id) FROM compliance_screening),
        %s::text[], %s::bigint[], %s::text[], %s::bigint[], %s::bigint[]) f
    JOIN compliance_screening s ON s.transaction_id = f.id
    JOIN ledger_transaction t ON t.id = f.id
    WHERE NOT EXISTS (
        SELECT FROM off WHERE off.customer_id = f.customer_id AND off.created_at <= t.created_at
            AND off.created_at > t.created_at - interval '3 hours')"""


def verifies() -> None:
    """Once all is sealed: what is generated is dated back, and what other tests have open here holds a seal up."""

    def all_is_sealed() -> bool:
        seal_all()
        return oldest_unsealed_seconds()[0][1] < 60

    assert processes.wait_until(all_is_sealed, seconds=120, every=0.1)
    said = StringIO()
    try:
        call_command("verify_ledger", no_bank=True, stdout=said)
    except SystemExit:
        pytest.fail(said.getvalue())


def test_what_is_generated_verifies_down_to_guards_and_chain() -> None:
    generate()

    verifies()
    assert Entry.objects.count() == 2_400
    assert Account.objects.filter(kind="customer", status="open").count() == 20
    assert Customer.objects.filter(kyc_status="verified").count() == 10
    assert set(Transaction.objects.values_list("status", flat=True)) == {"cleared", "failed"}
    assert Screening.objects.filter(status="approved").count() == 1_200 - 20
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM ledger_entry e JOIN chain_block b ON e.xact < b.from_xact AND b.number = 1"
        )
        assert cursor.fetchone() == (0,)
        cursor.execute(
            "SELECT sum(row_count) FROM chain_section s JOIN chain_source o ON o.id = s.source_id"
            " WHERE o.table_name = 'ledger_entry'"
        )
        assert cursor.fetchone() == (2_400,)


def test_indexes_are_as_they_were_also_where_a_run_before_was_killed() -> None:
    before = indexes()
    with connections["owner"].cursor() as cursor:
        cursor.execute("DROP INDEX transaction_by_debit_account, compliance_change_by_subject")

    generate()

    assert indexes() == before


def test_facts_are_those_that_screening_would_have_found() -> None:
    """Asked of its own function, which is told to look at what has ended as well. What was called off within the three
    hours before, and not yet then, it can't know any more."""
    generate(accounts=4, entries=6_000, months=1)

    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT pg_get_functiondef('compliance_facts'::regproc)")
        (function,) = cursor.fetchone() or ("",)
        of_all = function.replace("compliance_facts(", "facts_then(").replace("WHERE leg.status = 'pending'", "")
        assert "facts_then" in of_all
        assert "leg.status" not in of_all
        cursor.execute(of_all.replace("%", "%%"))
        cursor.execute(_FACTS_THEN, limits_of_facts(limits_in_force()))
        compared, in_an_hour, off, others = cursor.fetchone() or (0, 0, 0, 0)
    assert compared > 2_000
    assert in_an_hour > 100, "windows have something in them"
    assert others > 50, "and something was called off in them"
    assert off == 0


def test_a_backtest_finds_the_facts_that_screening_would_have_found() -> None:
    generate(entries=4_000)

    last = Screening.objects.select_related("transaction__debit_account").order_by("-id")[0]
    assert last.created_at == Screening.objects.aggregate(latest=Max("created_at"))["latest"], "ids go up with time"
    paid = last.transaction
    before = Transaction.objects.filter(
        debit_account__customer=paid.debit_account.customer_id,
        created_at__gte=paid.created_at - timedelta(days=30),
        created_at__lt=paid.created_at,
    ).exclude(failure="insufficient_funds")
    # The other currency is filled at the same time, and what was called off counted until it was.
    least = before.filter(currency=paid.currency).exclude(status="failed").count()
    assert 0 < least <= last.facts["debits_30d"] <= before.count()
    assert set(last.facts) == set(FACTS)

    version = Version(uuid4(), "again", 1, "debits_30d > 0 && amount > 5000", "{amount as money}", RuleAction.REVIEW)
    report = replay(version, since=paid.created_at - timedelta(days=60), until=timezone.now(), progress=lambda _: None)
    assert not report.errors
    assert 0 < report.hits.total() < report.transactions


def test_lines_of_an_account_are_in_the_order_of_their_times() -> None:
    generate(entries=4_000)

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FILTER (WHERE created_at < before), max(sequence) FROM (SELECT sequence, created_at,"
            " lag(created_at) OVER (PARTITION BY account_id ORDER BY sequence) AS before FROM ledger_entry) line"
        )
        backwards, longest = cursor.fetchone() or (None, 0)
    assert backwards == 0
    assert longest > 200, "a merchant whom everyone pays"


def test_a_wallet_that_was_filled_goes_on_paying() -> None:
    generate()
    account = make_account(funded=5_000)

    assert account.cleared == 5_000
    verifies()


def test_a_database_with_customers_is_left_alone() -> None:
    make_customer()

    with pytest.raises(CommandError, match="has customers"):
        generate()

    assert not Entry.objects.exists()
    generate(force=True)
    assert Entry.objects.count() == 2_400
    verifies()


def test_production_is_left_alone_even_by_force(settings: Any) -> None:
    settings.DEBUG = False

    with pytest.raises(CommandError, match="production"):
        generate(force=True)

    assert not Customer.objects.exists()


@pytest.mark.parametrize("wrong", [{"entries": 2_401}, {"entries": 30}, {"accounts": 3}])
def test_what_can_not_add_up_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(CommandError):
        generate(**wrong)
    assert not Customer.objects.exists()
