"""Whatever locks several rows locks them in the order of their ids, so that no two ever wait for each other; and what
has waited longest is worked on first."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import connections, transaction
from psycopg import sql

from accounts.models import Account
from ledger import posting, steps
from ledger.posting import Leg
from tests.ledger.test_races import until_somebody_waits
from tests.support import money
from tests.support.factories import make_account, make_customer
from wallet_project.utils.context import system_actor
from wallet_project.utils.ids import uuid7

pytestmark = pytest.mark.django_db


class Locks:
    def __init__(self, owner_dsn: str, admin_dsn: str) -> None:
        self._owner_dsn = owner_dsn
        self._admin_dsn = admin_dsn

    def are_in_order(
        self,
        table: str,
        ids: Iterable[UUID],
        call: Callable[[], Any],
        *,
        column: str = "id",
        lock: str = "NO KEY UPDATE",
    ) -> Any:
        """Hold the lowest; the call has to wait there, with none of the others locked. Returns what it then returns."""
        lowest, *others = sorted(ids)
        lock_one = sql.SQL("SELECT FROM {} WHERE {} = %s FOR {}").format(
            sql.Identifier(table), sql.Identifier(column), sql.SQL(lock)
        )
        with psycopg.connect(self._owner_dsn) as holder, ThreadPoolExecutor(1) as pool:
            # On the page the lowest now stands behind the others.
            holder.execute(
                sql.SQL("UPDATE {table} SET {column} = {column} WHERE {column} = %s").format(
                    table=sql.Identifier(table), column=sql.Identifier(column)
                ),
                [lowest],
            )
            holder.commit()
            holder.execute(lock_one, [lowest])
            answer = pool.submit(_alone, call)
            try:
                until_somebody_waits(self._admin_dsn)
                with psycopg.connect(self._owner_dsn) as prober:
                    for other in others:
                        prober.execute(lock_one + sql.SQL(" NOWAIT"), [other])
            finally:
                holder.rollback()
            return answer.result(timeout=30)


def _alone(call: Callable[[], Any]) -> Any:
    try:
        return call()
    finally:
        connections.close_all()


@pytest.fixture
def locks(owner_dsn: str, admin_dsn: str) -> Locks:
    return Locks(owner_dsn, admin_dsn)


def accounts(count: int, cleared: int = 100) -> list[Account]:
    return [money.new_account(cleared) for _ in range(count)]


def in_one_commit(step: Callable[[], Any]) -> Callable[[], Any]:
    def run() -> Any:
        with transaction.atomic():
            return step()

    return run


def fail(*units: UUID) -> Callable[[], set[UUID]]:
    return in_one_commit(lambda: steps.fail(units, code="cancelled", actor=system_actor(), reason=""))


def units_of(*posted: posting.Posted) -> list[UUID]:
    return [each.transactions[0].unit_id for each in posted]


def test_clearing_locks_accounts_in_order(locks: Locks) -> None:
    one, two, payee = accounts(3)
    made = [money.transfer(two, payee, 10), money.transfer(one, payee, 10)]
    for each in made:
        money.approve(each)
    cleared = locks.are_in_order("accounts_account", [one.id, two.id, payee.id], money.clear)
    assert cleared == dict.fromkeys(units_of(*made), "cleared")


def test_failing_locks_units_and_then_accounts_in_order(locks: Locks) -> None:
    one, two, payee = accounts(3)
    made = [money.transfer(two, payee, 10), money.transfer(one, payee, 10)]
    units = units_of(*made)
    assert locks.are_in_order("accounts_account", [one.id, two.id], fail(*units)) == set(units)
    made = [money.transfer(two, payee, 10), money.transfer(one, payee, 10)]
    units = units_of(*made)
    assert locks.are_in_order("ledger_workitem", units, fail(*units), column="unit_id") == set(units)
    assert [money.balances(account) for account in (one, two)] == [(100, 100), (100, 100)]


def test_failing_locks_what_goes_over_the_bank_in_order(locks: Locks) -> None:
    one, two = accounts(2)
    made = [money.post(money.leg("withdrawal", account, money.system(), 10)) for account in (one, two)]
    for each in made:
        money.approve(each)
    units = units_of(*made)
    assert locks.are_in_order("ledger_railtransfer", units, fail(*reversed(units))) == set(units)


def test_payers_are_locked_in_order(locks: Locks) -> None:
    one, two, payee = accounts(3)
    legs = [money.leg("transfer", payer, payee, 10) for payer in (two, one)]
    made = locks.are_in_order("accounts_account", [one.id, two.id], lambda: money.post(*legs))
    assert made.outcome == "created"


def test_payees_are_locked_in_order(locks: Locks) -> None:
    payer, one, two = accounts(3)
    legs = [money.leg("transfer", payer, payee, 10) for payee in (two, one)]
    made = locks.are_in_order("accounts_account", [one.id, two.id], lambda: money.post(*legs), lock="UPDATE")
    assert made.outcome == "created"


def test_what_is_reversed_is_locked_in_order(locks: Locks) -> None:
    payer, payee = accounts(2)
    paid = [money.transfer(payer, payee, 10) for _ in range(2)]
    for each in paid:
        money.approve(each)
    money.clear()
    originals = [each.transactions[0].id for each in paid]
    legs = [
        Leg(id=uuid7(), kind="reversal", debit=payee.id, credit=payer.id, amount=10, currency="EUR", reverses=original)
        for original in reversed(originals)
    ]
    made = locks.are_in_order(
        "ledger_transaction", originals, lambda: money.post(*legs, actor=money.actor_of(payee.customer))
    )
    assert made.outcome == "created"


def set_limit(owner: UUID, scope: str, direction: str = "out") -> None:
    posting.set_limit(
        owner_id=owner,
        scope=scope,
        direction=direction,
        currency="EUR",
        per_transaction=None,
        per_day=1_000,
        per_30_days=None,
        actor=system_actor(),
        reason="as agreed",
        request_id="",
    )


def test_a_customers_limit_locks_his_accounts_in_order(locks: Locks) -> None:
    one = money.new_account(100)
    assert one.customer is not None
    customer = one.customer
    two = money.new_account(100, customer=customer)
    locks.are_in_order("accounts_account", [one.id, two.id], lambda: set_limit(customer.id, "customer"))


def test_a_customers_limit_waits_for_an_account_that_he_is_being_given(locks: Locks) -> None:
    customer = money.new_customer()
    locks.are_in_order("accounts_customer", [customer.id], lambda: set_limit(customer.id, "customer"))


def test_no_account_is_opened_while_its_customers_limit_is_being_added_up(admin_dsn: str) -> None:
    customer = make_customer()
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            set_limit(customer.id, "customer")
            opened = pool.submit(_alone, lambda: make_account(customer))
            until_somebody_waits(admin_dsn)
            assert not Account.objects.filter(customer=customer).exists()
        account = opened.result(timeout=30)
    assert (account.customer_id, account.status) == (customer.id, "open")


def test_counters_of_limits_are_locked_in_order(locks: Locks, owner_connection: psycopg.Connection) -> None:
    payer, payee = accounts(2)
    assert payer.customer is not None
    owners = [payer.id, payer.customer.id]
    for owner, scope in zip(owners, ("account", "customer"), strict=True):
        set_limit(owner, scope)
    money.transfer(payer, payee, 10)
    made = locks.are_in_order("ledger_usage", owners, lambda: money.transfer(payer, payee, 10), column="owner_id")
    assert made.outcome == "created"
    locks.are_in_order("ledger_usage", owners, fail(*units_of(made)), column="owner_id")
    counted = owner_connection.execute("SELECT amount FROM ledger_usage").fetchall()
    assert counted == [(10,), (10,)]


def test_receivers_counters_are_locked_in_order(locks: Locks) -> None:
    payer, payee = accounts(2)
    assert payee.customer is not None
    owners = [payee.id, payee.customer.id]
    for owner, scope in zip(owners, ("account", "customer"), strict=True):
        set_limit(owner, scope, "in")
    for _ in range(2):
        money.approve(money.transfer(payer, payee, 10))
    money.clear(limit=1)
    cleared = locks.are_in_order("ledger_usage", owners, lambda: money.clear(limit=1), column="owner_id")
    assert set(cleared.values()) == {"cleared"}


def waiting_longest(owner: psycopg.Connection, units: list[UUID]) -> UUID:
    """The unit that was made last, from now on the one that has waited longest."""
    owner.execute("UPDATE ledger_workitem SET next_at = now() - interval '1 h' WHERE unit_id = %s", [units[-1]])
    for unit in units[:-1]:
        owner.execute("UPDATE ledger_workitem SET next_at = now() - interval '1 m' WHERE unit_id = %s", [unit])
    return units[-1]


def test_what_has_waited_longest_is_screened_and_cleared_first(owner_connection: psycopg.Connection) -> None:
    payer, payee = accounts(2)
    made = [money.transfer(payer, payee, 10) for _ in range(3)]
    first = waiting_longest(owner_connection, units_of(*made))
    assert [unit.unit_id for unit in posting.claim("screening", limit=1, lease=timedelta(minutes=1))] == [first]
    for each in made:
        money.approve(each)
    waiting_longest(owner_connection, units_of(*made))
    assert money.clear(limit=1) == {first: "cleared"}


def test_what_expired_first_is_released_first(owner_connection: psycopg.Connection) -> None:
    payer, payee = accounts(2)
    made = [money.post(replace(money.leg("transfer", payer, payee, 10), expires_in=3_600)) for _ in range(2)]
    earlier, later = reversed(units_of(*made))
    # Nothing that was asked ever changes; the owner has to switch the guard off.
    owner_connection.execute("ALTER TABLE ledger_transaction DISABLE TRIGGER transaction_is_immutable")
    for unit, ago in ((earlier, "2 h"), (later, "1 h")):
        owner_connection.execute(
            "UPDATE ledger_transaction SET expires_at = now() - %s::interval WHERE id = %s", [ago, unit]
        )
    assert posting.expire(limit=1, actor=system_actor(), request_id="") == [earlier]
    assert posting.expire(limit=1, actor=system_actor(), request_id="") == [later]
