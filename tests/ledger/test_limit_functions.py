"""Limits at the level of the ledger's own functions: what counts, when it is given back, and who pays for counting."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import transaction
from django.utils import timezone
from psycopg.types.json import Jsonb

from accounts.models import Account
from accounts.selectors import AccountNotFound
from ledger import posting, steps
from ledger.models import Limit, LimitChange, Transaction, Usage
from ledger.posting import Posted
from tests.ledger.test_races import until_somebody_waits
from tests.support import money
from wallet_project.utils.context import system_actor

pytestmark = pytest.mark.django_db


@pytest.fixture
def payer(db: None) -> Account:
    return money.new_account(10_000)


@pytest.fixture
def payee(db: None) -> Account:
    return money.new_account()


def limit(owner: Account | UUID, direction: str = "out", *, scope: str = "account", **amounts: int | None) -> None:
    """`amounts`: per_transaction, per_day, per_30_days."""
    posting.set_limit(
        owner_id=owner.id if isinstance(owner, Account) else owner,
        scope=scope,
        direction=direction,
        currency="EUR",
        per_transaction=amounts.get("per_transaction"),
        per_day=amounts.get("per_day"),
        per_30_days=amounts.get("per_30_days"),
        actor=system_actor(),
        reason="a test",
        request_id="r",
    )


def outcome(payer: Account, payee: Account, amount: int) -> str:
    return money.transfer(payer, payee, amount).transactions[0].failure or "created"


def used(owner: Account | UUID, direction: str = "out") -> int | None:
    rows = Usage.objects.filter(owner_id=owner.id if isinstance(owner, Account) else owner, direction=direction)
    return rows.values_list("amount", flat=True).filter(day=today()).first()


def today() -> date:
    return timezone.now().date()


def fail(posted: Posted) -> None:
    with transaction.atomic():
        steps.fail([posted.transactions[0].unit_id], code="cancelled", actor=system_actor(), reason="a test")


def clear_all(*posted: Posted) -> dict[Any, str]:
    for each in posted:
        money.approve(each)
    return dict(money.clear())


def shift(owner_connection: Any, column: str, days: int) -> None:
    """Make everything asked for (or cleared) so far older by `days`."""
    owner_connection.execute("ALTER TABLE ledger_transaction DISABLE TRIGGER transaction_is_immutable")
    older = f"{column} - make_interval(days => {days})"
    times = ", ".join(older if each == column else each for each in ("created_at", "cleared_at", "failed_at"))
    owner_connection.execute(f"UPDATE ledger_transaction SET {column} = {older}, waited = ledger_wait({times})")
    owner_connection.execute("ALTER TABLE ledger_transaction ENABLE TRIGGER transaction_is_immutable")
    if column == "cleared_at":
        owner_connection.execute("ALTER TABLE ledger_entry DISABLE TRIGGER USER")
        owner_connection.execute("UPDATE ledger_entry SET created_at = created_at - %s", [timedelta(days=days)])
        owner_connection.execute("ALTER TABLE ledger_entry ENABLE TRIGGER USER")
    owner_connection.execute("UPDATE ledger_usage SET day = day - %s", [days])


def test_nobody_without_a_limit_is_counted(payer: Account, payee: Account) -> None:
    clear_all(money.transfer(payer, payee, 100))
    assert not Usage.objects.exists()


def test_one_amount_up_to_the_limit_goes_through_and_one_more_is_refused_on_record(
    payer: Account, payee: Account
) -> None:
    limit(payer, per_transaction=100)
    assert outcome(payer, payee, 100) == "created"
    assert outcome(payer, payee, 101) == "limit_exceeded"
    assert Transaction.objects.filter(failure="limit_exceeded", status="failed").count() == 1
    assert money.balances(payer) == (10_000, 9_900)
    assert used(payer) == 100


@pytest.mark.parametrize("window", ["per_day", "per_30_days"])
def test_what_is_pending_counts_at_once(payer: Account, payee: Account, window: str) -> None:
    limit(payer, **{window: 100})
    assert [outcome(payer, payee, amount) for amount in (60, 41, 40, 1)] == [
        "created",
        "limit_exceeded",
        "created",
        "limit_exceeded",
    ]
    assert used(payer) == 100


def test_what_fails_is_given_back(payer: Account, payee: Account) -> None:
    limit(payer, per_day=100)
    first = money.transfer(payer, payee, 100)
    assert outcome(payer, payee, 1) == "limit_exceeded"
    fail(first)
    assert used(payer) == 0
    assert outcome(payer, payee, 100) == "created"


def test_the_rest_of_a_partial_capture_is_given_back(payer: Account, payee: Account) -> None:
    limit(payer, per_day=100)
    hold = replace(money.leg("transfer", payer, payee, 100), expires_in=60)
    money.approve(money.post(hold, actor=money.actor_of(payer.customer)))
    posting.capture(
        actor=money.actor_of(payee.customer),
        transaction_id=hold.id,
        amount=30,
        key=None,
        request_hash=money.HASH,
        request_id="",
    )
    assert used(payer) == 30
    money.clear()
    assert used(payer) == 30
    assert outcome(payer, payee, 70) == "created"


def test_a_day_is_over_and_thirty_days_roll(payer: Account, payee: Account, owner_connection: Any) -> None:
    limit(payer, per_day=100, per_30_days=150)
    assert outcome(payer, payee, 100) == "created"
    shift(owner_connection, "created_at", 29)
    assert outcome(payer, payee, 51) == "limit_exceeded"
    assert outcome(payer, payee, 50) == "created"
    shift(owner_connection, "created_at", 1)
    assert outcome(payer, payee, 100) == "created"


def test_what_is_given_back_goes_to_the_day_it_was_asked_for(
    payer: Account, payee: Account, owner_connection: Any
) -> None:
    limit(payer, per_day=100, per_30_days=150)
    first = money.transfer(payer, payee, 100)
    shift(owner_connection, "created_at", 1)
    assert outcome(payer, payee, 50) == "created"
    fail(first)
    assert sorted(Usage.objects.values_list("day", "amount")) == [(today() - timedelta(days=1), 0), (today(), 50)]


def test_a_limit_that_is_set_counts_what_was_before(payer: Account, payee: Account, owner_connection: Any) -> None:
    clear_all(money.transfer(payer, payee, 40))
    fail(money.transfer(payer, payee, 1000))
    shift(owner_connection, "created_at", 29)
    money.transfer(payer, payee, 20)
    limit(payer, per_30_days=100)
    assert sorted(Usage.objects.values_list("amount", flat=True)) == [20, 40]
    assert outcome(payer, payee, 41) == "limit_exceeded"
    assert outcome(payer, payee, 40) == "created"
    limit(payer, per_30_days=101)
    assert outcome(payer, payee, 2) == "limit_exceeded"
    assert outcome(payer, payee, 1) == "created"


def test_what_is_older_than_thirty_days_does_not_count_from_the_start(
    payer: Account, payee: Account, owner_connection: Any
) -> None:
    money.transfer(payer, payee, 40)
    shift(owner_connection, "created_at", 30)
    limit(payer, per_30_days=100)
    assert not Usage.objects.exists()


def test_a_limit_that_is_removed_is_gone_with_its_counters_and_on_record(payer: Account, payee: Account) -> None:
    limit(payer, per_day=100)
    outcome(payer, payee, 10)
    limit(payer)
    assert not Limit.objects.exists()
    assert not Usage.objects.exists()
    assert outcome(payer, payee, 1000) == "created"
    assert list(LimitChange.objects.order_by("id").values_list("per_day", flat=True)) == [100, None]
    assert LimitChange.objects.filter(reason="a test", actor_id=system_actor().principal_id).count() == 2


def test_zero_stops_everything_that_leaves(payer: Account, payee: Account) -> None:
    limit(payer, per_day=0)
    assert outcome(payer, payee, 1) == "limit_exceeded"


def test_a_customer_s_limit_is_for_all_his_accounts_and_not_for_moves_between_them(
    payer: Account, payee: Account
) -> None:
    assert payer.customer is not None
    second = money.new_account(500, customer=payer.customer)
    limit(payer.customer.id, scope="customer", per_day=100)
    assert outcome(payer, second, 5_000) == "created"
    assert outcome(payer, payee, 60) == "created"
    assert outcome(second, payee, 41) == "limit_exceeded"
    assert outcome(second, payee, 40) == "created"
    assert used(payer.customer.id) == 100


def test_a_limit_set_for_a_customer_counts_what_was_before_without_moves_between_his_own(
    payer: Account, payee: Account
) -> None:
    assert payer.customer is not None
    second = money.new_account(500, customer=payer.customer)
    outcome(payer, second, 5_000)
    outcome(second, payee, 30)
    limit(payer.customer.id, scope="customer", per_day=100)
    assert used(payer.customer.id) == 30


def test_both_an_account_s_and_its_customer_s_limit_hold(payer: Account, payee: Account) -> None:
    assert payer.customer is not None
    limit(payer, per_day=50)
    limit(payer.customer.id, scope="customer", per_day=100)
    assert outcome(payer, payee, 51) == "limit_exceeded"
    assert (used(payer), used(payer.customer.id)) == (0, 0)
    assert outcome(payer, payee, 50) == "created"
    assert (used(payer), used(payer.customer.id)) == (50, 50)


def test_withdrawals_count_and_fees_do_not(payer: Account) -> None:
    limit(payer, per_day=100)
    bank = replace(money.leg("withdrawal", payer, money.system(), 90), beneficiary={"name": "A", "iban": "DE"})
    posted = money.post(
        bank, money.leg("fee", payer, money.system(purpose="fees"), 50), actor=money.actor_of(payer.customer)
    )
    assert posted.outcome == "created"
    assert used(payer) == 90
    fail(posted)
    assert used(payer) == 0


def test_a_group_counts_as_a_whole(payer: Account, payee: Account) -> None:
    limit(payer, per_day=100)
    actor = money.actor_of(payer.customer)
    two = [money.leg("transfer", payer, payee, 60), money.leg("transfer", payer, payee, 41)]
    assert [row.failure for row in money.post(*two, actor=actor).transactions] == ["limit_exceeded"] * 2
    two = [money.leg("transfer", payer, payee, 60), money.leg("transfer", payer, payee, 40)]
    assert money.post(*two, actor=actor).outcome == "created"
    assert money.balances(payer) == (10_000, 9_900)


def test_a_limit_of_another_currency_or_direction_is_no_limit(payer: Account, payee: Account) -> None:
    assert payer.customer is not None
    limit(payer, "in", per_day=0)
    posting.set_limit(
        owner_id=payer.customer.id,
        scope="customer",
        direction="out",
        currency="USD",
        per_transaction=0,
        per_day=0,
        per_30_days=0,
        actor=system_actor(),
        reason="a test",
        request_id="",
    )
    assert outcome(payer, payee, 100) == "created"


@pytest.mark.parametrize("amounts", [{"per_transaction": 99}, {"per_day": 99}, {"per_30_days": 99}])
def test_what_comes_in_is_limited_when_it_clears(payer: Account, payee: Account, amounts: dict[str, int]) -> None:
    limit(payee, "in", **amounts)
    posted = money.transfer(payer, payee, 100)
    assert posted.outcome == "created"
    assert clear_all(posted) == {posted.transactions[0].id: "limited"}
    assert money.balances(payee) == (0, 0)
    assert used(payee, "in") == 0


def test_of_several_credits_in_one_batch_those_clear_that_fit(payer: Account, payee: Account) -> None:
    limit(payee, "in", per_day=100)
    posted = [money.transfer(payer, payee, amount) for amount in (60, 50, 40, 1)]
    free = money.transfer(payer, money.new_account(), 500)
    verdicts = clear_all(*posted, free)
    assert [verdicts[each.transactions[0].id] for each in posted] == ["cleared", "limited", "cleared", "limited"]
    assert verdicts[free.transactions[0].id] == "cleared"
    assert money.balances(payee) == (100, 100)
    assert used(payee, "in") == 100


def test_a_group_that_brings_too_much_clears_not_at_all(payer: Account, payee: Account) -> None:
    limit(payee, "in", per_day=100)
    other = money.new_account()
    legs = [money.leg("transfer", payer, payee, 60), money.leg("transfer", payer, payee, 41)]
    posted = money.post(*legs, money.leg("transfer", payer, other, 5), actor=money.actor_of(payer.customer))
    assert clear_all(posted) == {posted.transactions[0].unit_id: "limited"}
    assert money.balances(other) == (0, 0)


def test_a_receiving_customer_s_limit_is_for_all_his_accounts(payer: Account, payee: Account) -> None:
    assert payee.customer is not None
    second = money.new_account(10, customer=payee.customer)
    clear_all(money.transfer(payer, payee, 30))
    limit(payee.customer.id, "in", scope="customer", per_day=100)
    assert used(payee.customer.id, "in") == 30
    first, too_much, own = (
        money.transfer(payer, payee, 50),
        money.transfer(payer, second, 21),
        money.transfer(second, payee, 10),
    )
    verdicts = clear_all(first, too_much, own)
    assert [verdicts[each.transactions[0].id] for each in (first, too_much, own)] == ["cleared", "limited", "cleared"]
    assert used(payee.customer.id, "in") == 80


def test_what_cleared_before_thirty_days_leaves_the_receiver_s_limit(
    payer: Account, payee: Account, owner_connection: Any
) -> None:
    limit(payee, "in", per_30_days=100)
    clear_all(money.transfer(payer, payee, 100))
    shift(owner_connection, "cleared_at", 29)
    limited = money.transfer(payer, payee, 1)
    assert clear_all(limited) == {limited.transactions[0].id: "limited"}
    shift(owner_connection, "cleared_at", 1)
    limit(payee, "in", per_30_days=101)
    assert money.clear() == {limited.transactions[0].id: "cleared"}


def test_there_is_no_limit_for_what_is_not_there(payer: Account) -> None:
    for owner, scope in ((money.system().id, "account"), (payer.id, "customer"), (payer.customer_id, "account")):
        assert owner is not None
        with pytest.raises(AccountNotFound):
            limit(owner, scope=scope, per_day=1)
    assert not LimitChange.objects.exists()


def test_a_limit_is_not_below_zero(payer: Account) -> None:
    with pytest.raises(Exception, match=r"limit_not_negative|limit_limits_something"):
        limit(payer, per_day=-1)


def test_who_counts_towards_yesterday_is_waited_for_by_who_counts_towards_today(
    payer: Account, owner_dsn: str, admin_dsn: str
) -> None:
    assert payer.customer is not None
    limit(payer.customer.id, scope="customer", per_30_days=100)
    counted = Jsonb([{"owner_id": str(payer.customer.id), "currency": "EUR", "largest": 60, "total": 60}])
    count = "SELECT ledger_within_limits('out', %s, %s)"

    def count_today() -> Any:
        with psycopg.connect(owner_dsn, autocommit=True) as connection:
            return connection.execute(count, [counted, today()]).fetchone()

    with psycopg.connect(owner_dsn) as at_midnight, ThreadPoolExecutor(1) as pool:
        assert at_midnight.execute(count, [counted, today() - timedelta(days=1)]).fetchone() == (True,)
        after_midnight = pool.submit(count_today)
        until_somebody_waits(admin_dsn, role="wallet_owner")
        at_midnight.commit()
        assert after_midnight.result(timeout=30) == (False,)
