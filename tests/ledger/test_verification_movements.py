"""What is wrong with groups, holds, reversals, limits and staff's money is found: each is broken by hand, by somebody
who can switch guards off, and found by the check that is for it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from uuid import UUID

import psycopg
import pytest
from django.db import transaction
from django.utils import timezone

from accounts.models import Account
from ledger import posting, steps
from ledger.models import Adjustment, Transaction
from ledger.verification import checks
from tests.compliance.people import staff
from tests.support import money
from wallet_project.utils.context import system_actor
from wallet_project.utils.ids import uuid7
from wallet_project.utils.transitions import born, move
from wallet_project.utils.verification import Result, verify

pytestmark = [pytest.mark.django_db, pytest.mark.thorough]

Break = Callable[..., None]


@dataclass(frozen=True)
class Books:
    """One of each movement, all as they should be."""

    payer: Account
    payee: Account
    held: UUID
    captured: UUID
    fee: UUID
    group: UUID
    paid: UUID
    reversal: UUID
    adjustment: Adjustment


@pytest.fixture
def books(db: None) -> Books:
    payer, payee = money.new_account(100_000), money.new_account()
    for account, direction in ((payer, "out"), (payee, "in")):
        set_limit(account, direction, per_day=90_000)
    captured, fee = hold(payer, payee, 1_000, fee=33)
    capture(payee, captured, 500)
    held, _ = hold(payer, payee, 2_000, fee=10)
    unit = uuid7()
    group = [money.leg("transfer", payer, payee, amount) for amount in (300, 400)]
    money.approve(money.post(*group, actor=money.actor_of(payer.customer), unit=unit))
    paid = money.transfer(payer, payee, 5_000)
    money.approve(paid)
    money.clear()
    original = paid.transactions[0].id
    back = replace(money.leg("reversal", payee, payer, 1_000), reverses=original)
    money.approve(money.post(back, actor=money.actor_of(payee.customer)))
    money.clear()
    adjustment = adjust(money.system(purpose="fees"), payer, 5)
    assert broken() == set()
    return Books(payer, payee, held, captured, fee, unit, original, back.id, adjustment)


def results() -> dict[str, Result]:
    """Of the ledger's own checks: compliance would miss the screenings, which these tests leave out."""
    return {result.name: result for result in verify(checks(), timeout_seconds=30)}


def broken() -> set[str]:
    assert not any(result.unread for result in results().values())
    return {name for name, result in results().items() if result.offending}


def hold(payer: Account, payee: Account, amount: int, *, fee: int) -> tuple[UUID, UUID]:
    """A hold of an hour with its fee, approved; the ids of both."""
    legs = [
        replace(money.leg("transfer", payer, payee, amount), expires_in=3_600),
        replace(money.leg("fee", payer, money.system(purpose="fees"), fee), expires_in=3_600),
    ]
    money.approve(money.post(*legs, actor=money.actor_of(payer.customer)))
    return legs[0].id, legs[1].id


def capture(payee: Account, held: UUID, amount: int) -> None:
    posting.capture(
        actor=money.actor_of(payee.customer),
        transaction_id=held,
        amount=amount,
        key=str(uuid7()),
        request_hash=money.HASH,
        request_id="",
    )


def set_limit(account: Account, direction: str, *, per_day: int) -> None:
    posting.set_limit(
        owner_id=account.id,
        scope="account",
        direction=direction,
        currency=account.currency,
        per_transaction=None,
        per_day=per_day,
        per_30_days=None,
        actor=system_actor(),
        reason="as agreed",
        request_id="",
    )


def adjust(debit: Account, credit: Account, amount: int) -> Adjustment:
    """Proposed by one member of staff, posted by another."""
    maker, checker = staff("Senior officer"), staff("Senior officer")
    leg = money.leg("adjustment", debit, credit, amount)
    with transaction.atomic():
        row = Adjustment.objects.create(
            kind="correction",
            debit_account=debit,
            credit_account=credit,
            amount=amount,
            currency="EUR",
            reason="a fee too much",
            maker_id=maker.principal_id,
        )
        born(row, actor=maker)
        row.checker_id, row.decided_at, row.transaction_id = checker.principal_id, timezone.now(), leg.id
        move(row, "post", actor=checker, also=["checker", "decided_at", "transaction"])
        money.approve(money.post(leg, actor=maker))
        money.clear()
    return row


@pytest.fixture
def break_by_hand(books: Books, admin_dsn: str) -> Iterator[Break]:
    """As a superuser who switches triggers and foreign keys off, and drops what CHECKs are in the way."""
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        admin.execute("SET session_replication_role = replica")
        for table, name in admin.execute(
            "SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE contype = 'c' "
            "AND conrelid IN ('ledger_transaction'::regclass, 'ledger_adjustment'::regclass)"
        ).fetchall():
            admin.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
        yield lambda sql, *values: admin.execute(sql, values)


def test_the_books_of_these_tests_are_right_and_hold_one_of_each(books: Books) -> None:
    found = results()
    assert {
        name: list(found[name].figures.values()) for name in ("Groups", "Holds", "Reversals", "Limits", "Staff")
    } == {
        "Groups": [3, 2],
        "Holds": [4, 2, 2],
        "Reversals": [1, 1],
        "Limits": [2, 2, 2],
        "Staff": [1, 1, 0],
    }


def test_what_a_capture_left_over_is_not_reserved(books: Books, break_by_hand: Break) -> None:
    held, _ = hold(books.payer, books.payee, 600, fee=6)
    capture(books.payee, held, 100)
    assert broken() == set()
    break_by_hand("UPDATE accounts_account SET reserved = reserved + 500 WHERE id = %s", books.payer.id)
    assert broken() == {"I2"}


def test_a_leg_that_went_alone(books: Books, break_by_hand: Break) -> None:
    break_by_hand(
        "UPDATE ledger_transaction SET approved_at = NULL "
        "WHERE kind = 'fee' AND captured_at IS NULL AND group_id IS NOT NULL"
    )
    assert broken() >= {"Groups"}


def test_a_leg_that_failed_alone(books: Books, break_by_hand: Break) -> None:
    break_by_hand("UPDATE ledger_transaction SET status = 'failed' WHERE id = %s", books.fee)
    assert broken() >= {"Groups"}


def test_a_fee_that_went_to_somebody(books: Books, break_by_hand: Break) -> None:
    break_by_hand("UPDATE ledger_transaction SET credit_account_id = %s WHERE id = %s", books.payee.id, books.fee)
    assert broken() >= {"Groups", "I5"}


def test_a_fee_without_its_payment(books: Books, break_by_hand: Break) -> None:
    break_by_hand("UPDATE ledger_transaction SET group_id = gen_random_uuid() WHERE id = %s", books.fee)
    assert broken() >= {"Groups", "I4"}


@pytest.mark.parametrize(
    "change",
    [
        "captured_at = expires_at",
        "captured_at = expires_at + interval '1 second'",
        "captured_amount = amount + 1",
        "captured_at = NULL",
        "expires_at = NULL",
    ],
)
def test_a_capture_that_can_not_have_been(books: Books, break_by_hand: Break, change: str) -> None:
    break_by_hand(f"UPDATE ledger_transaction SET {change} WHERE id = %s", books.captured)
    assert broken() >= {"Holds"}


def test_a_hold_that_was_posted_without_its_payee(books: Books, break_by_hand: Break) -> None:
    break_by_hand(
        "UPDATE ledger_transaction SET captured_at = NULL, captured_amount = NULL WHERE id = %s", books.captured
    )
    assert broken() >= {"Holds", "I5"}


def test_a_fee_that_was_captured_in_full_with_half_the_hold(books: Books, break_by_hand: Break) -> None:
    assert Transaction.objects.get(id=books.fee).captured_amount == 16
    break_by_hand("UPDATE ledger_transaction SET captured_amount = 33 WHERE id = %s", books.fee)
    assert broken() >= {"Holds", "I5"}


def test_a_hold_that_nothing_has_swept(books: Books, break_by_hand: Break) -> None:
    break_by_hand(
        "UPDATE ledger_transaction SET expires_at = now() - interval '16 minutes' "
        "WHERE expires_at IS NOT NULL AND captured_at IS NULL"
    )
    break_by_hand("UPDATE ledger_workitem SET next_at = now() - interval '16 minutes' WHERE stage = 'held'")
    assert broken() == {"Holds"}


@pytest.mark.parametrize("change", ["status = 'closed'", "customer_id = NULL"])
def test_a_hold_without_an_owner(books: Books, break_by_hand: Break, change: str) -> None:
    break_by_hand("ALTER TABLE accounts_account DROP CONSTRAINT account_belongs_to_a_customer_or_has_a_purpose")
    break_by_hand(f"UPDATE accounts_account SET {change} WHERE id = %s", books.payee.id)
    assert broken() >= {"Holds"}


@pytest.mark.parametrize("change", ["stage = 'clearing'", "stage = 'screening'", "next_at = NULL", "next_at = now()"])
def test_a_hold_at_a_stage_that_does_not_fit(books: Books, break_by_hand: Break, change: str) -> None:
    break_by_hand(f"UPDATE ledger_workitem SET {change} WHERE stage = 'held'")
    assert broken() == {"Holds"}


def test_no_hold_where_one_is_waited_for(books: Books, break_by_hand: Break) -> None:
    pending = money.transfer(books.payer, books.payee, 7).transactions[0]
    break_by_hand("UPDATE ledger_workitem SET stage = 'held' WHERE unit_id = %s", pending.id)
    assert broken() == {"Holds"}


def test_more_given_back_than_was_paid(books: Books, break_by_hand: Break) -> None:
    break_by_hand("UPDATE ledger_transaction SET amount = 5001 WHERE id = %s", books.reversal)
    assert broken() >= {"Reversals"}


def test_many_small_reversals_that_add_up_to_too_much(books: Books, break_by_hand: Break) -> None:
    for amount in (3_000, 1_000):
        back = replace(money.leg("reversal", books.payee, books.payer, amount), reverses=books.paid)
        money.approve(money.post(back, actor=money.actor_of(books.payee.customer)))
    assert broken() == set()
    break_by_hand("UPDATE ledger_transaction SET amount = 1001 WHERE id = %s", back.id)
    assert broken() >= {"Reversals"}


@pytest.mark.parametrize("change", ["reverses_id = NULL", "reverses_id = '{fee}'", "currency = 'USD'"])
def test_a_reversal_of_something_else(books: Books, break_by_hand: Break, change: str) -> None:
    break_by_hand(f"UPDATE ledger_transaction SET {change.format(fee=books.fee)} WHERE id = %s", books.reversal)
    assert broken() >= {"Reversals"}


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE ledger_usage SET amount = amount + 1 WHERE direction = 'out'",
        "UPDATE ledger_usage SET amount = amount - 1 WHERE direction = 'in'",
        "DELETE FROM ledger_usage WHERE direction = 'in'",
        "UPDATE ledger_usage SET day = day - 1",
        "INSERT INTO ledger_usage (owner_id, direction, currency, day, amount) "
        "VALUES (gen_random_uuid(), 'in', 'EUR', now(), 0)",
        "UPDATE ledger_limit SET per_day = 91000",
        "DELETE FROM ledger_limit WHERE direction = 'out'",
        "UPDATE ledger_limit SET scope = 'customer' WHERE direction = 'in'",
    ],
)
def test_a_limit_or_its_use_that_nobody_set(books: Books, break_by_hand: Break, change: str) -> None:
    break_by_hand(change)
    assert broken() == {"Limits"}


def test_a_day_that_is_over_counts_for_thirty_days_and_no_longer(books: Books, break_by_hand: Break) -> None:
    for days, held in ((29, False), (30, True)):
        break_by_hand(
            "INSERT INTO ledger_usage (owner_id, direction, currency, day, amount) "
            "VALUES (%s, 'out', 'EUR', (now() AT TIME ZONE 'UTC')::date - %s::int, 5)",
            books.payer.id,
            days,
        )
        if held:
            assert broken() == set()
        else:
            assert broken() == {"Limits"}
        break_by_hand("DELETE FROM ledger_usage WHERE day < now()::date - 1")


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM ledger_adjustment",
        "UPDATE ledger_adjustment SET checker_id = maker_id",
        "UPDATE ledger_adjustment SET transaction_id = NULL",
        "UPDATE ledger_adjustment SET amount = amount + 1",
        "UPDATE ledger_adjustment SET credit_account_id = debit_account_id",
    ],
)
def test_staffs_money_without_two_people(books: Books, break_by_hand: Break, change: str) -> None:
    break_by_hand(change)
    assert broken() >= {"Staff"}


@pytest.mark.parametrize("kind", ["reversal", "withdrawal"])
def test_money_that_staff_moved_alone(books: Books, break_by_hand: Break, kind: str) -> None:
    if kind == "reversal":
        break_by_hand(
            "UPDATE ledger_transaction SET initiator_id = '00000000-0000-7000-8000-000000000001' WHERE id = %s",
            books.reversal,
        )
    else:
        break_by_hand(
            "UPDATE ledger_transaction SET kind = 'withdrawal' WHERE id = %s", books.adjustment.transaction_id
        )
        break_by_hand("DELETE FROM ledger_adjustment")
    assert broken() >= {"Staff"}


def test_a_captures_key_that_captured_nothing(books: Books, break_by_hand: Break) -> None:
    break_by_hand("UPDATE accounts_idempotencyclaim SET result_id = %s WHERE operation = 'capture'", books.held)
    assert broken() == {"I4"}


def suspended(amount: int) -> UUID:
    """Money that moved at the bank and belongs to nobody, booked as the bank's messages are."""
    with transaction.atomic():
        item, _ = steps.post_to_suspense(
            key=str(uuid7()), direction="in", amount=amount, currency="EUR", bank_key="who", why="nobody expected it"
        )
    return item


def test_money_in_suspense_that_nobody_is_to_see_to(books: Books, break_by_hand: Break) -> None:
    suspended(300)
    assert broken() == set(), "the escalation follows at once, or a message is acted on again"
    break_by_hand("UPDATE ledger_transaction SET cleared_at = cleared_at - interval '16 minutes'")
    assert broken() >= {"Suspense"}


def test_money_in_suspense_that_is_on_no_item(books: Books, break_by_hand: Break) -> None:
    suspended(300)
    break_by_hand("UPDATE accounts_account SET cleared = cleared + 1 WHERE purpose = 'suspense' AND currency = 'EUR'")
    assert broken() >= {"Suspense", "I1", "I2"}
