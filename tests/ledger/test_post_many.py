"""Many units in one round trip: each is answered, and recorded, as if it had been posted alone."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.db import connection, transaction

from accounts.idempotency import IdempotencyKeyReused, RequestInProgress
from accounts.models import Account, IdempotencyClaim
from accounts.selectors import AccountNotFound
from ledger import posting
from ledger.models import StateChange, Transaction, WorkItem
from ledger.posting import Answer, Asked, Leg
from ledger.posting.many import post_at_once
from tests.ledger.test_lock_order import Locks, set_limit
from tests.ledger.test_races import at_once, until_somebody_waits
from tests.support import money
from tests.support.pipeline import verify
from wallet_project.utils.context import Actor, system_actor
from wallet_project.utils.ids import uuid7
from wallet_project.utils.transitions import move

pytestmark = pytest.mark.django_db


def asked(*legs: Leg, actor: Actor, key: str = "", hashed: bytes = money.HASH) -> Asked:
    unit = legs[0].id if len(legs) == 1 else uuid7()
    return Asked(actor, legs, key or str(uuid4()), "test", hashed, "a-request", unit)


def sending(payer: Account, payee: Account, amount: int, **more: Any) -> Asked:
    assert payer.customer is not None
    return asked(money.leg("transfer", payer, payee, amount), actor=money.actor_of(payer.customer), **more)


def with_fee(payer: Account, payee: Account, amount: int, fee: int) -> Asked:
    assert payer.customer is not None
    legs = (
        money.leg("transfer", payer, payee, amount),
        money.leg("fee", payer, money.system(purpose="fees"), fee),
    )
    return asked(*legs, actor=money.actor_of(payer.customer))


def outcomes(answers: Sequence[Answer | Exception]) -> list[str]:
    return [each.failure or each.outcome if isinstance(each, Answer) else type(each).__name__ for each in answers]


def alone(each: Asked) -> posting.Posted:
    return posting.post_pending(
        actor=each.actor,
        legs=each.legs,
        key=each.key,
        operation=each.operation,
        request_hash=each.request_hash,
        request_id=each.request_id,
        unit_id=each.unit_id,
    )


def written(each: Asked) -> list[Any]:
    """Every row of a unit, without what differs between two of the same content."""
    ids = [leg.id for leg in each.legs]
    made = Transaction.objects.filter(id__in=ids).order_by("kind")
    rows = made.values_list(
        "kind", "status", "debit_account", "credit_account", "amount", "currency", "initiator", "reference",
        "metadata", "beneficiary", "reverses", "failure", "approved_at", "captured_amount", "cleared_at",
    )  # fmt: skip
    changes = StateChange.objects.filter(subject_id__in=ids).values_list(
        "machine", "from_state", "to_state", "actor_id", "reason", "request_id"
    )
    waiting = WorkItem.objects.filter(unit_id=each.unit_id).values_list("stage", "attempts", "last_error")
    claims = IdempotencyClaim.objects.filter(principal_id=each.actor.principal_id, key=each.key)
    return [
        list(rows),
        list(changes),
        list(waiting),
        [(claim.operation, bytes(claim.request_hash), claim.result_id == each.unit_id) for claim in claims],
        [(row.failed_at == row.created_at, row.expires_at and row.expires_at - row.created_at) for row in made],
        {row.group_id == (each.unit_id if len(ids) > 1 else None) for row in made},
    ]


def test_what_is_written_is_what_the_single_function_writes() -> None:
    payer, payee = money.new_account(1_000), money.new_account()
    assert payer.customer is not None
    actor = money.actor_of(payer.customer)

    def all_kinds() -> list[Asked]:
        plain = money.leg("transfer", payer, payee, 10)
        paid_out = replace(money.leg("withdrawal", payer, money.system(), 30), beneficiary={"name": "A", "iban": "B"})
        return [
            asked(replace(plain, reference="rent ü", metadata={"a": "b"}), actor=actor),
            asked(replace(plain, id=uuid7(), expires_in=600), actor=actor),
            asked(paid_out, actor=actor),
            asked(money.leg("deposit", money.system(), payer, 20), actor=actor),
            with_fee(payer, payee, 15, 2),
            asked(money.leg("transfer", payer, payee, 10_000), actor=actor),
        ]

    one_by_one, together = all_kinds(), all_kinds()
    single = [alone(each).outcome for each in one_by_one]
    answers = posting.post_many(together)
    assert outcomes(answers) == ["created"] * 5 + ["insufficient_funds"]
    assert [answer.outcome for answer in answers if isinstance(answer, Answer)] == single
    assert [answer.unit_id for answer in answers if isinstance(answer, Answer)] == [each.unit_id for each in together]
    assert [written(each) for each in together] == [written(each) for each in one_by_one]
    assert money.balances(payer) == (1_000, 1_000 - 2 * (10 + 10 + 30 + 17))
    verify("--no-bank")


def test_each_payment_says_what_its_account_was_asked_for_before_it() -> None:
    payer, payee = money.new_account(1_000), money.new_account()
    own = money.new_account(customer=payer.customer)

    def batch() -> list[Asked]:
        return [
            with_fee(payer, payee, 100, 7),
            sending(payer, own, 50),
            sending(payer, payee, 100_000),
            sending(payer, payee, 30),
            sending(own, payee, 1_000),
        ]

    def before(units: Sequence[Asked]) -> list[tuple[int, int]]:
        rows = {row.id: row for row in Transaction.objects.all()}
        return [(rows[leg.id].debits_before, rows[leg.id].sent_before) for unit in units for leg in unit.legs]

    single, together = batch(), batch()
    for each in single:
        alone(each)
    # Fees are no debits of their own, what stays with the customer is not sent, and what was refused was not asked for.
    assert before(single) == [(0, 0), (1, 100), (1, 100), (2, 100), (2, 100), (0, 0)]
    posting.post_many(together)
    assert before(together) == [(3, 130), (4, 230), (4, 230), (5, 230), (5, 230), (0, 0)]
    payer.refresh_from_db()
    own.refresh_from_db()
    assert (payer.debits, payer.sent) == (6, 260)
    assert (own.debits, own.sent) == (0, 0)
    verify("--no-bank")


def test_each_row_names_its_own_initiator_and_request() -> None:
    payers, payee = [money.new_account(10) for _ in range(3)], money.new_account()
    many = [replace(sending(payer, payee, 1), request_id=f"request {n}") for n, payer in enumerate(payers)]
    posting.post_many(many)
    for each in many:
        change = StateChange.objects.get(subject_id=each.unit_id)
        assert (change.actor_id, change.request_id) == (each.actor.principal_id, each.request_id)
        assert Transaction.objects.get(id=each.unit_id).initiator_id == each.actor.principal_id


def test_units_are_posted_in_one_round_trip(django_assert_num_queries: Any) -> None:
    payer, payee = money.new_account(1_000), money.new_account()
    many = [sending(payer, payee, 1) for _ in range(200)]
    with django_assert_num_queries(1):
        answers = posting.post_many(many)
    assert outcomes(answers) == ["created"] * 200
    assert money.balances(payer) == (1_000, 800)


def test_nobody_reads_all_accounts_also_when_plans_are_from_when_there_were_few(
    owner_connection: psycopg.Connection,
) -> None:
    payer, payee = money.new_account(1_000), money.new_account()
    owner_connection.execute("ANALYZE accounts_account")
    connection.close()
    posting.post_many([sending(payer, payee, 1)])  # Plans are made, and kept.
    owner_connection.execute(
        "INSERT INTO accounts_account (id, kind, purpose, customer_id, currency, label, status, status_reason, "
        "cleared, reserved, last_sequence) "
        "SELECT gen_random_uuid(), kind, purpose, customer_id, currency, '', 'requested', '', 0, 0, 0 "
        "FROM accounts_account, generate_series(1, 20000) WHERE id = %s",
        [payee.id],
    )
    many = [sending(payer, payee, 1) for _ in range(50)]
    read = "SELECT seq_tup_read FROM pg_stat_xact_user_tables WHERE relname = 'accounts_account'"
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(read)
        before = cursor.fetchone()
        posting.post_many(many)
        cursor.execute(read)
        # Foreign keys read as far as the two accounts, which stand in front.
        assert cursor.fetchone()[0] - before[0] < 20_000


def test_what_does_not_fit_is_refused_in_order_and_a_smaller_one_may_still_fit() -> None:
    payer, other, payee = money.new_account(100), money.new_account(50), money.new_account()
    wanted = [(payer, 60), (payer, 50), (other, 50), (payer, 40), (payer, 1), (other, 1)]
    # Halved, until each stands alone, they would come out the same if what is left were counted wrongly.
    answers = posting.post_at_once([sending(account, payee, amount) for account, amount in wanted])
    refused = "insufficient_funds"
    assert outcomes(answers) == ["created", refused, "created", "created", refused, refused]
    assert (money.balances(payer), money.balances(other)) == ((100, 0), (50, 0))
    assert WorkItem.objects.count() == 3
    verify("--no-bank")


def test_a_payment_and_its_fee_are_refused_together() -> None:
    payer, payee = money.new_account(100), money.new_account()
    many = [with_fee(payer, payee, amount, 1) for amount in (60, 39, 38)]
    assert outcomes(posting.post_many(many)) == ["created", "insufficient_funds", "created"]
    assert money.balances(payer) == (100, 0)
    fees = [Transaction.objects.get(id=each.legs[1].id).status for each in many]
    assert fees == ["pending", "failed", "pending"]


@pytest.mark.parametrize("scope", ["account", "customer"])
def test_limits_are_counted_in_order(scope: str) -> None:
    payer, payee, unlimited = money.new_account(5_000), money.new_account(), money.new_account(10)
    assert payer.customer is not None
    set_limit(payer.id if scope == "account" else payer.customer.id, scope)  # 1,000 a day.
    amounts = [600, 500, 400, 1]
    answers = posting.post_many([*[sending(payer, payee, amount) for amount in amounts], sending(unlimited, payee, 10)])
    assert outcomes(answers) == ["created", "limit_exceeded", "created", "limit_exceeded", "created"]
    assert money.balances(payer) == (5_000, 4_000)
    assert alone(sending(payer, payee, 1)).transactions[0].failure == "limit_exceeded"
    verify("--no-bank")


def test_what_a_limit_refuses_leaves_its_money_to_the_next() -> None:
    payer, payee = money.new_account(1_200), money.new_account()
    set_limit(payer.id, "account")
    answers = posting.post_many([sending(payer, payee, amount) for amount in (1_100, 1_000, 300)])
    assert outcomes(answers) == ["limit_exceeded", "created", "insufficient_funds"]
    assert money.balances(payer) == (1_200, 200)


def _frozen(account: Account) -> Account:
    with transaction.atomic():
        move(account, "freeze", actor=system_actor())
    return account


def _refusals() -> dict[str, Callable[[], Asked]]:
    def new() -> Account:
        return money.new_account(100)

    def of(payer: Account, leg: Leg) -> Asked:
        assert payer.customer is not None
        return asked(leg, actor=money.actor_of(payer.customer))

    def from_nowhere() -> Asked:
        return of(new(), replace(money.leg("transfer", new(), new(), 1), debit=uuid4()))

    def to(kind: str, payee: Callable[[], Any]) -> Asked:
        payer = new()
        return of(payer, money.leg(kind, payer, payee(), 1))

    def deposit_from_a_customer() -> Asked:
        payee = new()
        return of(payee, money.leg("deposit", new(), payee, 1))

    def closed_payee() -> Asked:
        payee = money.new_account()
        with transaction.atomic():
            move(payee, "close", actor=system_actor())
        return sending(new(), payee, 1)

    def foreign(payer: str, payee: str) -> Asked:
        one, two = money.new_account(currency=payer), money.new_account(currency=payee)
        return sending(one, two, 1)

    return {
        "another's account": lambda: of(new(), money.leg("transfer", new(), new(), 1)),
        "no such payer": from_nowhere,
        "no such payee": lambda: to("transfer", uuid4),
        "a transfer to the wallet": lambda: to("transfer", money.system),
        "a withdrawal to a customer": lambda: to("withdrawal", new),
        "a deposit from a customer": deposit_from_a_customer,
        "a deposit to another": lambda: of(new(), money.leg("deposit", money.system(), new(), 1)),
        "a fee to the wrong account": lambda: to("fee", money.system),
        "a frozen payer": lambda: sending(_frozen(new()), new(), 1),
        "a closed payee": closed_payee,
        "the payer's currency": lambda: foreign("USD", "EUR"),
        "the payee's currency": lambda: foreign("EUR", "USD"),
    }


@pytest.mark.parametrize("name", list(_refusals()))
def test_what_is_refused_without_a_trace_is_refused_as_it_is_alone(name: str) -> None:
    refused, payer, payee = _refusals()[name](), money.new_account(10), money.new_account()
    with pytest.raises((AccountNotFound, posting.AccountNotOpen, posting.CurrencyMismatch)) as single:
        alone(refused)
    answers = posting.post_many([sending(payer, payee, 4), refused, sending(payer, payee, 6)])
    assert outcomes(answers) == ["created", single.type.__name__, "created"]
    found = answers[1]
    assert isinstance(found, single.type)
    assert found.facts == single.value.facts
    assert not Transaction.objects.filter(id=refused.unit_id).exists()
    assert not IdempotencyClaim.objects.filter(key=refused.key).exists()


def test_a_key_that_was_used_replays_and_another_request_under_it_is_refused() -> None:
    payer, payee = money.new_account(100), money.new_account()
    first = sending(payer, payee, 60, key="one")
    alone(first)
    again, other = sending(payer, payee, 60, key="one"), sending(payer, payee, 60, key="one", hashed=bytes(31) + b"x")
    # Not halved, which would come out the same.
    answers = post_at_once([again, sending(payer, payee, 40)])
    assert outcomes(answers) == ["replayed", "created"]
    assert isinstance(answers[0], Answer)
    assert answers[0].unit_id == first.unit_id
    assert isinstance(posting.post_many([other])[0], IdempotencyKeyReused)
    # One that comes alone is posted alone: by another function than this, which answers as well.
    assert outcomes(posting.post_many([sending(payer, payee, 1), other])) == [
        "insufficient_funds",
        "IdempotencyKeyReused",
    ]
    assert money.balances(payer) == (100, 0)


def test_a_key_that_was_used_is_answered_also_when_its_account_has_been_frozen_since() -> None:
    payer, payee, other = money.new_account(100), money.new_account(), money.new_account(10)
    first = sending(payer, payee, 60, key="one")
    alone(first)
    _frozen(payer)
    again = sending(payer, payee, 60, key="one")
    reused = sending(payer, payee, 1, key="one", hashed=bytes(31) + b"x")
    assert alone(again).outcome == "replayed"
    for together in ([again], [sending(payer, payee, 1), again, sending(other, payee, 1)]):
        assert "replayed" in outcomes(posting.post_many(together))
    assert isinstance(posting.post_many([reused])[0], IdempotencyKeyReused)
    assert [money.balances(payer), money.balances(other)] == [(100, 40), (10, 9)]


def test_all_are_posted_or_none_and_each_refusal_is_named() -> None:
    payer, payee, poor, stranger = (money.new_account(amount) for amount in (100, 0, 5, 10))
    set_limit(stranger.id, "account")
    alone(sending(payer, payee, 1, key="used"))
    alone(sending(poor, payee, 6, key="refused before"))
    good = [sending(payer, payee, 10), sending(payer, payee, 1, key="used"), with_fee(payer, payee, 10, 1)]
    assert outcomes(posting.post_all_or_none(good)) == ["created", "replayed", "created"]
    bad = [
        sending(payer, payee, 1),
        sending(poor, payee, 6),
        sending(_frozen(money.new_account(10)), payee, 1),
        sending(poor, payee, 6, key="refused before"),
        sending(payer, payee, 1, key="used", hashed=bytes(31) + b"x"),
    ]
    with pytest.raises(posting.NotAllAccepted) as refusal:
        posting.post_all_or_none(bad)
    told = {
        number: why if isinstance(why, str) else type(why).__name__ for number, why in refusal.value.refused.items()
    }
    funds = "insufficient_funds"
    assert told == {1: funds, 2: "AccountNotOpen", 3: funds, 4: "IdempotencyKeyReused"}
    keys = [each.key for each in bad[:3]]
    assert not IdempotencyClaim.objects.filter(key__in=keys).exists()
    assert money.balances(payer) == (100, 78)
    verify("--no-bank")


def test_two_with_one_key_in_a_batch_are_one() -> None:
    payer, payee = money.new_account(100), money.new_account()
    answers = posting.post_many(
        [sending(payer, payee, 10, key="k"), sending(payer, payee, 20), sending(payer, payee, 10, key="k")]
    )
    assert outcomes(answers) == ["created", "created", "replayed"]
    assert money.balances(payer) == (100, 70)


def test_the_same_key_of_two_customers_is_two_keys() -> None:
    one, two, payee = money.new_account(10), money.new_account(10), money.new_account()
    answers = posting.post_many([sending(one, payee, 1, key="k"), sending(two, payee, 1, key="k")])
    assert outcomes(answers) == ["created", "created"]


def test_what_is_not_plain_is_posted_alone_with_its_own_rules() -> None:
    payer, payee = money.new_account(100), money.new_account()
    assert payee.customer is not None
    paid = money.transfer(payer, payee, 10)
    money.approve(paid)
    money.clear()
    back = replace(money.leg("reversal", payee, payer, 10), reverses=paid.transactions[0].id)
    too_much = replace(back, id=uuid7(), amount=1)
    actor = money.actor_of(payee.customer)
    answers = posting.post_many([asked(back, actor=actor), sending(payer, payee, 1), asked(too_much, actor=actor)])
    assert outcomes(answers) == ["created", "created", "ReversalExceeds"]


def test_all_or_none_takes_plain_ones_each_with_a_key_of_its_own() -> None:
    payer, payee = money.new_account(100), money.new_account()
    plain = sending(payer, payee, 1)
    of_the_wallet = asked(money.leg("transfer", payer, payee, 1), actor=system_actor())
    back = asked(replace(money.leg("transfer", payer, payee, 1), reverses=uuid7()), actor=plain.actor)
    three = asked(*(money.leg("transfer", payer, payee, 1) for _ in range(3)), actor=plain.actor)
    corrected = asked(money.leg("adjustment", payer, payee, 1), actor=plain.actor)
    others = [of_the_wallet, back, three, corrected]
    assert [each.is_plain() for each in (plain, with_fee(payer, payee, 1, 1), *others)] == [True, True] + [False] * 4
    for other in others:
        with pytest.raises(ValueError, match="not plain"):
            posting.post_all_or_none([plain, other])
    with pytest.raises(ValueError, match="one key"):
        posting.post_all_or_none([plain, sending(payer, payee, 1, key=plain.key)])
    assert money.balances(payer) == (100, 100)


@pytest.fixture
def locks(owner_dsn: str, admin_dsn: str) -> Locks:
    return Locks(owner_dsn, admin_dsn)


@pytest.mark.parametrize("side", ["payers", "payees"])
def test_accounts_are_locked_in_order(locks: Locks, side: str) -> None:
    one, two, other = (money.new_account(100) for _ in range(3))
    pairs = [(two, other), (one, other)] if side == "payers" else [(other, two), (other, one)]
    many = [sending(payer, payee, 1) for payer, payee in pairs]
    lock = "NO KEY UPDATE" if side == "payers" else "UPDATE"
    answers = locks.are_in_order("accounts_account", [one.id, two.id], lambda: posting.post_many(many), lock=lock)
    assert outcomes(answers) == ["created", "created"]


def test_counters_of_limits_are_locked_in_order(locks: Locks) -> None:
    one, two, payee = money.new_account(100), money.new_account(100), money.new_account()
    for account in (one, two):
        set_limit(account.id, "account")
        money.transfer(account, payee, 1)
    many = [sending(account, payee, 1) for account in sorted((one, two), key=lambda each: each.id, reverse=True)]
    answers = locks.are_in_order("ledger_usage", [one.id, two.id], lambda: posting.post_many(many), column="owner_id")
    assert outcomes(answers) == ["created", "created"]


def test_keys_come_before_accounts_and_in_order(app_dsn: str, admin_dsn: str) -> None:
    payer, payee = money.new_account(100), money.new_account()
    many = [sending(payer, payee, 1, key=key) for key in ("c", "b", "a")]
    claim = (
        "INSERT INTO accounts_idempotencyclaim (principal_id, key, operation, request_hash, result_id) "
        "VALUES (%s, %s, 'test', %s, gen_random_uuid())"
    )
    with psycopg.connect(app_dsn) as holder:
        holder.execute(claim, [many[0].actor.principal_id, "b", money.HASH])

        def meanwhile() -> str:
            until_somebody_waits(admin_dsn)
            with psycopg.connect(app_dsn, autocommit=True) as other:
                other.execute("SET lock_timeout = '100ms'")
                # The account is free, and so is the key after the one that is waited for.
                other.execute("SELECT FROM accounts_account WHERE id = %s FOR NO KEY UPDATE", [payer.id])
                other.execute("BEGIN")
                other.execute(claim, [many[0].actor.principal_id, "c", money.HASH])
                other.execute("ROLLBACK")
                with pytest.raises(psycopg.errors.LockNotAvailable):
                    other.execute(claim, [many[0].actor.principal_id, "a", money.HASH])
            holder.rollback()
            return "in order"

        answers, said = at_once(lambda: posting.post_many(many), meanwhile)
    assert said == "in order"
    assert outcomes(answers) == ["created"] * 3


def test_a_batch_waits_for_no_account_but_its_own(owner_connection: psycopg.Connection) -> None:
    payer, payee, other = (money.new_account(amount) for amount in (10, 0, 0))
    with owner_connection.transaction():
        owner_connection.execute("SELECT FROM accounts_account WHERE id = %s FOR UPDATE", [other.id])
        assert outcomes(post_at_once([sending(payer, payee, 1), sending(payer, payee, 2)])) == ["created"] * 2


def test_a_key_that_is_held_too_long_is_told_as_that_and_nothing_is_recorded(app_connection: Any) -> None:
    payer, payee = money.new_account(100), money.new_account()
    many = [sending(payer, payee, 1), sending(payer, payee, 1, key="held")]
    app_connection.execute("BEGIN")
    app_connection.execute(
        "INSERT INTO accounts_idempotencyclaim (principal_id, key, operation, request_hash, result_id) "
        "VALUES (%s, 'held', 'test', %s, gen_random_uuid())",
        [many[0].actor.principal_id, money.HASH],
    )
    with pytest.raises(RequestInProgress):
        posting.post_many(many)
    app_connection.execute("ROLLBACK")
    assert outcomes(posting.post_many(many)) == ["created", "created"]


def test_an_account_that_closes_while_its_lock_is_waited_for_fails_its_own_unit_alone(
    owner_connection: psycopg.Connection, admin_dsn: str
) -> None:
    payer, one, two = money.new_account(100), money.new_account(), money.new_account()
    many = [sending(payer, one, 1), sending(payer, two, 1), sending(payer, one, 1)]
    owner_connection.execute("BEGIN")
    owner_connection.execute("SELECT FROM accounts_account WHERE id = %s FOR UPDATE", [two.id])

    def close() -> None:
        until_somebody_waits(admin_dsn)
        owner_connection.execute("UPDATE accounts_account SET status = 'closed' WHERE id = %s", [two.id])
        owner_connection.execute("COMMIT")

    answers, _ = at_once(lambda: posting.post_many(many), close)
    assert outcomes(answers) == ["created", "AccountNotOpen", "created"]
    assert money.balances(payer) == (100, 98)


def test_batches_of_a_hot_sender_at_once_spend_what_is_there_and_no_more() -> None:
    payer, payee = money.new_account(100), money.new_account()
    results = at_once(
        *[lambda: outcomes(post_at_once([sending(payer, payee, 3) for _ in range(5)])) for _ in range(25)],
        *[lambda: [alone(sending(payer, payee, 3)).outcome] for _ in range(25)],
    )
    assert [result for result in results if isinstance(result, Exception)] == []
    assert sum(result.count("created") for result in results) == 33
    assert money.balances(payer) == (100, 1)
    verify("--no-bank")


def test_opposing_batches_and_single_ones_at_once_never_deadlock() -> None:
    accounts = [money.new_account(100_000) for _ in range(6)]

    def batches(seed: int) -> list[str]:
        rng = random.Random(seed)
        pairs = [[rng.sample(accounts, 2) for _ in range(12)] for _ in range(8)]
        return [told for batch in pairs for told in outcomes(post_at_once([sending(a, b, 1) for a, b in batch]))]

    def singles(seed: int) -> list[str]:
        rng = random.Random(seed)
        pairs = [rng.sample(accounts, 2) for _ in range(30)]
        return [alone(sending(payer, payee, 1)).outcome for payer, payee in pairs]

    results = at_once(*[lambda seed=seed: (batches if seed % 2 else singles)(seed) for seed in range(8)])  # type: ignore[misc]
    assert [result for result in results if isinstance(result, Exception)] == []
    assert {outcome for result in results for outcome in result} == {"created"}
    verify("--no-bank")


def test_the_same_batch_twenty_times_at_once_is_posted_once() -> None:
    payer, payee = money.new_account(1_000), money.new_account()
    many = [sending(payer, payee, 1, key=f"key {number}") for number in range(10)]

    def again() -> list[Asked]:
        fresh = [replace(each, legs=[replace(each.legs[0], id=uuid7())]) for each in many]
        return [replace(each, unit_id=each.legs[0].id) for each in random.sample(fresh, len(fresh))]

    results = at_once(*[lambda: outcomes(posting.post_many(again())) for _ in range(20)])
    told = [outcome for result in results for outcome in result]
    assert (told.count("created"), told.count("replayed")) == (10, 190)
    assert money.balances(payer) == (1_000, 990)
    verify("--no-bank")
