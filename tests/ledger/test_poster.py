"""Requests that come at the same time are posted together, and each is answered as if it had been alone."""

import multiprocessing
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from django.db import DataError, connection, connections, transaction

from accounts.idempotency import IdempotencyKeyReused
from accounts.models import Account, IdempotencyClaim
from accounts.selectors import AccountNotFound
from ledger import posting
from ledger.models import StateChange, Transaction
from ledger.posting import Asked, poster
from ledger.posting.many import post_at_once
from ledger.posting.poster import Poster
from ledger.services import payments
from tests.ledger.test_post_many import alone, asked, poison, sending, with_fee
from tests.ledger.test_races import at_once
from tests.support import money
from tests.support.pipeline import verify
from wallet_project.embedded.processes import wait_until
from wallet_project.utils.context import Actor
from wallet_project.utils.errors import TooBusy
from wallet_project.utils.money import Money

pytestmark = pytest.mark.django_db

__all__ = ["poison"]


class Together:
    """`post_at_once`, which notes what it was given, and can be held up, or break off."""

    def __init__(self) -> None:
        self.calls: list[list[Asked]] = []
        self.inside = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()
        self.dies_with: BaseException | None = None

    def __call__(self, units: Sequence[Asked]) -> Any:
        self.calls.append(list(units))
        self.inside.set()
        assert self.go_on.wait(60)
        if self.dies_with is not None:
            raise self.dies_with
        return post_at_once(units)


@pytest.fixture
def together() -> Together:
    return Together()


def patient(together: Callable[[Sequence[Asked]], Any] = post_at_once, **own: Any) -> Poster:
    """One that gives nobody up while a busy machine stands still."""
    return Poster(together, **{"wait_seconds": 30, "slow_seconds": 30, "answer_seconds": 30, **own})


@contextmanager
def somebody_posts(by: Poster) -> Iterator[None]:
    """Until the block ends."""
    somebody = poster._Unit(sending(money.new_account(), money.new_account(), 1))
    with by._lock:
        by._appoint(somebody)
    yield
    by._hand_on(somebody)


def is_posting(by: Poster) -> bool:
    return by._leader is not None


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(10) as pool:
        yield pool


def line_up(threads: ThreadPoolExecutor, by: Poster, *units: Asked) -> list[Future[Any]]:
    """They wait for whoever posts, in this order."""
    found = []
    for number, unit in enumerate(units, start=len(by._waiting) + 1):
        found.append(threads.submit(_posted, by, unit))
        assert wait_until(lambda n=number: len(by._waiting) == n, seconds=10)  # type: ignore[misc]
    return found


def _posted(by: Poster, unit: Asked) -> Any:
    try:
        return by.post(unit)
    except BaseException as error:
        return error
    finally:
        connections.close_all()


def results(futures: Sequence[Future[Any]]) -> list[Any]:
    return [future.result(timeout=30) for future in futures]


def said(result: Any) -> str:
    """The failure, or else the outcome; an error by its name."""
    if isinstance(result, BaseException):
        return type(result).__name__
    return result.transactions[0].failure or str(result.outcome)


def payer_of(account: Account) -> Actor:
    assert account.customer is not None
    return money.actor_of(account.customer)


def commits(*units: Asked) -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT xmin::text FROM ledger_transaction WHERE id = ANY(%s)",
            [[leg.id for unit in units for leg in unit.legs]],
        )
        return {row[0] for row in cursor.fetchall()}


def test_those_that_come_meanwhile_are_posted_in_one_commit_each_with_an_answer_and_a_log_of_its_own(
    together: Together, threads: ThreadPoolExecutor
) -> None:
    by = patient(together)
    payer, payee, other = money.new_account(100), money.new_account(), money.new_account(50)
    before = sending(payer, payee, 5)
    alone(before)
    fine = replace(sending(payer, payee, 60), request_id="the request of one")
    too_much = replace(sending(payer, payee, 60), request_id="of another")
    costs = replace(with_fee(other, payee, 40, 2), request_id="of a third")
    held = asked(replace(money.leg("transfer", other, payee, 1), expires_in=600), actor=payer_of(other))
    strangers = replace(sending(payer, payee, 1), actor=payer_of(other))
    again = replace(sending(payer, payee, 5), key=before.key)
    reused = replace(sending(payer, payee, 6), key=before.key, request_hash=bytes([1] * 32))
    with somebody_posts(by):
        came = line_up(threads, by, fine, too_much, costs, held, strangers, again)
    found = results(came)
    assert [said(each) for each in found] == [
        "created", "insufficient_funds", "created", "created", "AccountNotFound", "replayed",
    ]  # fmt: skip
    assert found[4].facts["side"] == "debit"
    assert found[5].transactions[0].id == before.unit_id
    assert [len(call) for call in together.calls] == [6]
    recorded = [fine, too_much, costs, held]
    assert len(commits(*recorded)) == 1
    for unit, posted in zip(recorded, found, strict=False):
        rows = Transaction.objects.filter(id__in=[leg.id for leg in unit.legs]).order_by("id")
        for row, told in zip(rows, posted.transactions, strict=True):
            for name in ("id", "status", "amount", "group_id", "failure", "created_at", "expires_at", "metadata"):
                assert getattr(told, name) == getattr(row, name), name
            assert row.initiator_id == told.initiator_id == unit.actor.principal_id
        for change in StateChange.objects.filter(subject_id__in=[leg.id for leg in unit.legs]):
            assert (change.actor_id, change.request_id) == (unit.actor.principal_id, unit.request_id)
    with pytest.raises(IdempotencyKeyReused):
        by.post(reused)
    assert not IdempotencyClaim.objects.filter(key=strangers.key).exists()
    assert (money.balances(payer), money.balances(other)) == ((100, 35), (50, 7))
    verify("--no-bank")


def test_whoever_finds_nobody_posting_posts_alone(together: Together, django_assert_num_queries: Any) -> None:
    payer, payee = money.new_account(10), money.new_account()
    by = patient(together)
    with django_assert_num_queries(1) as asked_of_the_database:
        assert said(by.post(sending(payer, payee, 1))) == "created"
    assert "ledger_post_pending" in asked_of_the_database[0]["sql"]
    assert together.calls == []
    assert not is_posting(by)


def test_a_poisoned_unit_fails_alone(together: Together, threads: ThreadPoolExecutor, poison: str) -> None:
    by = patient(together)
    payer, payee = money.new_account(100), money.new_account()
    units = [sending(payer, payee, 1) for _ in range(5)]
    bad = units[2] = replace(units[2], legs=[replace(units[2].legs[0], reference=poison)])
    with somebody_posts(by):
        came = line_up(threads, by, *units)
    assert [said(each) for each in results(came)] == ["created", "created", "DataError", "created", "created"]
    assert isinstance(came[2].result(), DataError)
    assert money.balances(payer) == (100, 96)
    assert not IdempotencyClaim.objects.filter(key=bad.key).exists()
    assert said(by.post(sending(payer, payee, 1))) == "created"


def test_who_finds_no_place_to_wait_is_told_to_come_again_and_nothing_is_done(
    together: Together, threads: ThreadPoolExecutor
) -> None:
    by = patient(together, most_waiting=2)
    payer, payee = money.new_account(100), money.new_account()
    units = [sending(payer, payee, 1) for _ in range(3)]
    with somebody_posts(by):
        came = line_up(threads, by, *units[:2])
        with pytest.raises(TooBusy) as told:
            by.post(units[2])
    assert told.value.retry_after == 1
    assert [said(each) for each in results(came)] == ["created", "created"]
    assert not IdempotencyClaim.objects.filter(key=units[2].key).exists()
    assert said(by.post(units[2])) == "created"


def test_who_has_waited_too_long_is_told_so_and_is_never_posted(
    together: Together, threads: ThreadPoolExecutor
) -> None:
    by = patient(together, wait_seconds=0.05)
    payer, payee = money.new_account(100), money.new_account()
    units = [sending(payer, payee, 1) for _ in range(3)]
    with somebody_posts(by):
        [first] = line_up(threads, by, units[0])
        assert said(first.result(timeout=10)) == "TooBusy"
        assert len(by._waiting) == 0
    assert said(by.post(units[1])) == "created"
    assert together.calls == []
    assert not IdempotencyClaim.objects.filter(key=units[0].key).exists()
    assert money.balances(payer) == (100, 99)


def test_when_whoever_posts_for_others_dies_they_post_their_own(
    together: Together, threads: ThreadPoolExecutor
) -> None:
    by = patient(together)
    together.dies_with = SystemExit("in the middle of it")
    payer, payee = money.new_account(100), money.new_account()
    units = [sending(payer, payee, 1) for _ in range(4)]
    with somebody_posts(by):
        came = line_up(threads, by, *units)
    assert [said(each) for each in results(came)] == ["SystemExit", "created", "created", "created"]
    assert not is_posting(by)
    assert said(by.post(units[0])) == "created"
    assert Transaction.objects.filter(debit_account=payer).count() == 4


def test_nobody_waits_for_whoever_is_held_up_and_what_he_was_sent_with_is_done_once(
    together: Together, threads: ThreadPoolExecutor
) -> None:
    by = patient(together, wait_seconds=2, slow_seconds=0.2, answer_seconds=0.2)
    payer, payee = money.new_account(100), money.new_account()
    units = [sending(payer, payee, 1) for _ in range(3)]
    together.go_on.clear()
    with somebody_posts(by):
        leading, with_him = line_up(threads, by, units[0], units[1])
    assert together.inside.wait(10)
    # The one that was sent with him learns that nobody knows; it may still be done.
    unknown = with_him.result(timeout=30)
    assert isinstance(unknown, TooBusy)
    assert "took too long" in str(unknown)
    # By now he has taken too long for the next one to wait for him.
    assert said(by.post(units[2])) == "created"
    assert not is_posting(by)
    together.go_on.set()
    assert said(leading.result(timeout=10)) == "created"
    replayed = by.post(units[1])
    assert (replayed.outcome, replayed.transactions[0].id) == ("replayed", units[1].unit_id)
    assert Transaction.objects.filter(debit_account=payer).count() == 3


def test_with_fifty_at_once_a_sender_spends_what_is_there_and_no_more(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.GROUP_POSTING = True
    monkeypatch.setattr(poster, "_of_this_process", patient())
    payer, payees = money.new_account(1_000), [money.new_account() for _ in range(5)]

    def pay(number: int) -> Any:
        return payments.transfer(
            actor=payer_of(payer),
            source=payer.id,
            destination=payees[number % 5].id,
            amount=Money(70, "EUR"),
            key=uuid4().hex,
            request_hash=money.HASH,
        )

    found = at_once(*[partial(pay, number) for number in range(50)])
    refused = [each for each in found if isinstance(each, payments.InsufficientFunds)]
    assert (len(found) - len(refused), len(refused)) == (14, 36)
    assert money.balances(payer) == (1_000, 20)
    assert Transaction.objects.filter(debit_account=payer, status="failed").count() == 36
    verify("--no-bank")


def test_the_same_key_twenty_times_at_once_makes_one_transaction() -> None:
    by = patient()
    payer, payee = money.new_account(1_000), money.new_account()
    found = at_once(*[partial(by.post, sending(payer, payee, 300, key="once")) for _ in range(20)])
    assert sorted(said(each) for each in found) == ["created"] + ["replayed"] * 19
    assert len({each.transactions[0].id for each in found}) == 1
    assert money.balances(payer) == (1_000, 700)


def test_single_ones_and_groups_of_two_processes_race_without_a_deadlock() -> None:
    accounts = [money.new_account(10_000) for _ in range(4)]
    keys = [uuid4().hex for _ in range(20)]
    one, other = patient(), patient()

    def ring(post: Callable[[Asked], Any], step: int) -> list[str]:
        pairs = [(accounts[n % 4], accounts[(n + step) % 4]) for n in range(20)]
        return [said(post(sending(*pair, 1, key=key))) for pair, key in zip(pairs, keys, strict=True)]

    # Each key comes six times, in opposite directions, so that it is reused for something else, too.
    found = at_once(*[partial(ring, post, step) for post in (one.post, other.post, alone) for step in (1, -1) * 2])
    assert [each for each in found if isinstance(each, Exception)] == []
    assert sum(each.count("created") for each in found) == 20
    assert sum(balances[0] - balances[1] for balances in map(money.balances, accounts)) == 20
    verify("--no-bank")


def test_nothing_is_posted_with_others_where_it_must_not_be(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    payer, payee = money.new_account(100), money.new_account()
    by = patient()
    monkeypatch.setattr(poster, "_of_this_process", by)
    with somebody_posts(by):
        settings.GROUP_POSTING = False
        assert said(posting.post(sending(payer, payee, 1))) == "created"
        settings.GROUP_POSTING = True
        with transaction.atomic():
            assert said(posting.post(sending(payer, payee, 1))) == "created"
        legs = [money.leg("transfer", payer, payee, 1) for _ in range(3)]
        assert said(posting.post(asked(*legs, actor=payer_of(payer)))) == "created"
    with transaction.atomic(), pytest.raises(AssertionError):
        by.post(sending(payer, payee, 1))


def test_a_child_does_not_wait_for_those_who_post_in_its_parent() -> None:
    with somebody_posts(poster._of_this_process), multiprocessing.get_context("fork").Pool(1) as child:
        assert child.apply(_is_posting) is False


def _is_posting() -> bool:
    return is_posting(poster._of_this_process)


def test_a_refusal_without_a_trace_is_each_ones_own(together: Together, threads: ThreadPoolExecutor) -> None:
    by = patient(together)
    payer, stranger = money.new_account(100), uuid4()
    units = [asked(money.leg("transfer", payer, stranger, 1), actor=payer_of(payer)) for _ in range(2)]
    with somebody_posts(by):
        came = line_up(threads, by, *units)
    found = results(came)
    assert [type(each) for each in found] == [AccountNotFound] * 2
    assert [each.facts["leg"] for each in found] == [str(unit.legs[0].id) for unit in units]
