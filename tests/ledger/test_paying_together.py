"""Payments that come at the same time are posted together, and each is answered as if it had been alone."""

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from threading import Event
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from django.db import DataError, connection, connections
from django.http import HttpResponse
from django.test import RequestFactory

from accounts.idempotency import IdempotencyKeyReused
from accounts.models import Account, IdempotencyClaim
from accounts.selectors import AccountNotFound
from ledger.models import StateChange, Transaction
from ledger.posting import Answer, Asked
from ledger.posting.many import post_at_once
from ledger.services import payments
from ledger.services.requests import fee_leg
from tests.ledger.test_post_many import alone, asked, sending, with_fee
from tests.ledger.test_post_many_in_parts import poison
from tests.ledger.test_races import at_once
from tests.support import money
from tests.support.door import answered, in_the_loop
from tests.support.factories import session_token
from tests.support.pipeline import verify
from wallet_project.api.defaults import DIRECT_PATHS
from wallet_project.door import Door
from wallet_project.embedded.processes import wait_until
from wallet_project.gateway import Gateway, Gateways
from wallet_project.tellers import Tellers
from wallet_project.utils.context import Actor
from wallet_project.utils.nudges import lower_flag
from wallet_project.wsgi import application as django

pytestmark = pytest.mark.django_db

__all__ = ["poison"]


def said(result: Any) -> str:
    """The failure, or else the outcome; an error by its name."""
    if isinstance(result, Answer):
        return result.failure or result.outcome
    return type(result).__name__


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


def test_they_are_posted_in_one_commit_each_with_an_answer_and_a_log_of_its_own(
    django_assert_num_queries: Any,
) -> None:
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
    with django_assert_num_queries(1):
        found = payments.post_together([fine, too_much, costs, held, strangers, again])
    assert [said(each) for each in found] == [
        "created", "insufficient_funds", "created", "created", "AccountNotFound", "replayed",
    ]  # fmt: skip
    assert isinstance(found[4], AccountNotFound)
    # Nothing was recorded, so the leg's id is nobody's business.
    assert found[4].facts == {"side": "debit"}
    assert isinstance(found[5], Answer)
    assert found[5].unit_id == before.unit_id
    recorded = [fine, too_much, costs, held]
    assert len(commits(*recorded)) == 1
    for unit, answer in zip(recorded, found, strict=False):
        assert isinstance(answer, Answer)
        for row in Transaction.objects.filter(id__in=[leg.id for leg in unit.legs]):
            assert (row.created_at, row.failure, row.initiator_id) == (
                answer.created_at, answer.failure, unit.actor.principal_id,
            )  # fmt: skip
        for change in StateChange.objects.filter(subject_id__in=[leg.id for leg in unit.legs]):
            assert (change.actor_id, change.request_id) == (unit.actor.principal_id, unit.request_id)
    with pytest.raises(IdempotencyKeyReused):
        payments.post_alone(reused)
    assert not IdempotencyClaim.objects.filter(key=strangers.key).exists()
    assert (money.balances(payer), money.balances(other)) == ((100, 35), (50, 7))
    verify("--no-bank")


def test_what_its_customer_is_told_is_what_is_on_record(nudges: list[str]) -> None:
    payer, payee = money.new_account(100), money.new_account()
    payment = money.leg("transfer", payer, payee, 40)
    costs = asked(payment, fee_leg(payment, 2), actor=payer_of(payer))
    units = [costs, sending(payer, payee, 60), sending(payer, payee, 1)]
    nudges.clear()
    lower_flag("compliance.screen_due")
    answers = payments.post_together(units)
    assert nudges == ["compliance.screen_due"]
    for unit, answer in zip(units, answers, strict=True):
        assert isinstance(answer, Answer)
        if answer.failure:
            with pytest.raises(payments.InsufficientFunds) as refused:
                payments.accepted(unit, answer)
            assert (refused.value.facts, refused.value.replayed) == ({"transaction": unit.legs[0].id}, False)
            continue
        told = payments.accepted(unit, answer)
        assert told.transaction == payments.see(actor=unit.actor, transaction_id=unit.legs[0].id)
        assert payments.accepted(unit, payments.post_alone(unit)) == replace(told, replayed=True)


def test_one_that_comes_alone_costs_one_call_of_its_own_function(django_assert_num_queries: Any) -> None:
    payer, payee = money.new_account(10), money.new_account()
    with django_assert_num_queries(1) as asked_of_the_database:
        [answer] = payments.post_together([sending(payer, payee, 1)])
    assert said(answer) == "created"
    assert "ledger_post_pending" in asked_of_the_database[0]["sql"]


def test_where_one_is_poisoned_each_is_left_to_be_posted_alone_and_it_alone_fails(poison: str) -> None:
    payer, payee = money.new_account(100), money.new_account()
    units = [sending(payer, payee, 1) for _ in range(5)]
    bad = units[2] = replace(units[2], legs=[replace(units[2].legs[0], reference=poison)])
    assert payments.post_together(units) == [None] * 5
    for unit in units:
        if unit is bad:
            with pytest.raises(DataError):
                payments.post_alone(unit)
        else:
            assert said(payments.post_alone(unit)) == "created"
    assert money.balances(payer) == (100, 96)
    assert not IdempotencyClaim.objects.filter(key=bad.key).exists()


class Street:
    """The door as the web server has it, with a teller of its own who can be held up."""

    def __init__(self, **own: Any) -> None:
        self.served: list[int] = []
        self.go_on = Event()
        self.go_on.set()
        self._own = {"slow_seconds": 30, "wait_seconds": 30, "answer_seconds": 60, **own}
        gateway = _Gateway(django, threads=8, places=None)
        gateways = Gateways(usual=gateway, long=gateway, house=gateway)
        self.door = Door(gateways, DIRECT_PATHS, payments_at_once=256, tellers=self._tellers)
        self._tokens: dict[UUID, str] = {}

    def _tellers(self, serve: Callable[[Sequence[Any]], None]) -> Tellers[Any]:
        def held_up(visits: Sequence[Any]) -> None:
            self.served.append(len(visits))
            assert self.go_on.wait(60)
            serve(visits)

        self.tellers: Tellers[Any] = Tellers(held_up, **self._own)
        return self.tellers

    def asks(self, account: Account, payee: Account, amount: int, *, key: str, **more: Any) -> Future[HttpResponse]:
        body = {"source": str(account.id), "destination": str(payee.id), "amount": amount, "currency": "EUR", **more}
        request = RequestFactory().post(
            "/api/v1/transfers",
            json.dumps(body),
            content_type="application/json",
            headers={"X-Session-Token": self.token_of(account), "Idempotency-Key": key},
        )
        return in_the_loop(answered(self.door.answer, request.environ))

    def token_of(self, account: Account) -> str:
        assert account.customer is not None
        if account.id not in self._tokens:
            self._tokens[account.id] = session_token(account.customer.user)
        return self._tokens[account.id]

    def lined_up(self, number: int) -> None:
        assert wait_until(lambda: len(self.tellers._queue) == number, seconds=30)


class _Gateway(Gateway):
    """Its threads leave no connections to a database that is about to go."""

    async def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        def run() -> Any:
            try:
                return function(*arguments)
            finally:
                connections.close_all()

        return await super().run(run)


@pytest.fixture
def street() -> Iterator[Street]:
    street = Street()
    yield street
    street.go_on.set()


def told(answer: Future[HttpResponse]) -> tuple[int, dict[str, Any]]:
    response = answer.result(timeout=60)
    return response.status_code, json.loads(response.content)


def test_those_at_the_door_are_served_together_and_what_can_not_be_is_done_by_its_own_thread(
    street: Street, poison: str
) -> None:
    payer, payee = money.new_account(100), money.new_account()
    street.go_on.clear()
    first = street.asks(payer, payee, 1, key="first")
    assert wait_until(lambda: street.served == [1], seconds=30)
    fine = [street.asks(payer, payee, 2, key=f"fine {number}".replace(" ", "-")) for number in range(3)]
    too_much = street.asks(payer, payee, 100, key="too-much")
    wrong = street.asks(payer, payee, 0, key="wrong")
    bad = street.asks(payer, payee, 1, key="bad", reference=poison)
    street.lined_up(6)
    street.go_on.set()
    assert [told(answer)[0] for answer in (first, *fine, too_much, wrong)] == [202] * 4 + [422, 400]
    status, body = told(bad)
    assert (status, "insufficient" in str(body)) == (500, False)
    assert street.served == [1, 6]
    # The poisoned one had each of them posted by its own thread, and none of them twice.
    assert money.balances(payer) == (100, 93)
    assert Transaction.objects.filter(debit_account=payer, status="pending").count() == 4
    made = {UUID(told(answer)[1]["id"]) for answer in (first, *fine)}
    assert made == set(Transaction.objects.filter(debit_account=payer, status="pending").values_list("id", flat=True))
    # The teller's connection is as good as before.
    assert told(street.asks(payer, payee, 1, key="later"))[0] == 202
    verify("--no-bank")


def test_a_teller_whose_connection_has_died_serves_on_with_another(street: Street, admin_dsn: str) -> None:
    payer, payee = money.new_account(100), money.new_account()
    assert told(street.asks(payer, payee, 1, key="before"))[0] == 202
    for together in (1, 3):
        street.go_on.clear()
        begun = len(street.served)
        first = street.asks(payer, payee, 1, key=f"first-{together}")
        assert wait_until(lambda n=begun: len(street.served) > n, seconds=30)  # type: ignore[misc]
        answers = [street.asks(payer, payee, 1, key=f"{together}-{number}") for number in range(together)]
        street.lined_up(together)
        with psycopg.connect(admin_dsn, autocommit=True) as admin:
            admin.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND usename = 'wallet_app' AND pid <> %s",
                [connection.connection.info.backend_pid],
            )
        street.go_on.set()
        assert [told(answer)[0] for answer in (first, *answers)] == [202] * (together + 1)
    assert money.balances(payer) == (100, 93)


def test_who_waits_too_long_at_the_door_is_told_to_come_again_and_his_key_is_free() -> None:
    street = Street(slow_seconds=0.05, wait_seconds=3, answer_seconds=4)
    payer, payee = money.new_account(100), money.new_account()
    street.go_on.clear()
    # As many as there are tellers are held up one after the other, then nobody is left for the next.
    held_up = []
    for number in range(1, 7):
        held_up.append(street.asks(payer, payee, 1, key=f"held-up-{number}"))
        assert wait_until(lambda n=number: len(street.served) == n, seconds=30)  # type: ignore[misc]
    status, body = told(street.asks(payer, payee, 1, key="too-late"))
    assert (status, body["code"], "took too long" in body["detail"]) == (503, "too_busy", False)
    for answer in held_up:
        status, body = told(answer)
        assert (status, body["code"], "took too long" in body["detail"]) == (503, "too_busy", True)
        assert answer.result().headers["Retry-After"] == "1"
    assert not IdempotencyClaim.objects.filter(key="too-late").exists()
    street.go_on.set()
    # What was begun is done after all; asked for again it is told, and not done twice.
    claims = IdempotencyClaim.objects.filter(key__startswith="held-up")
    assert wait_until(lambda: claims.count() == 6, seconds=30)
    again = street.asks(payer, payee, 1, key="held-up-1")
    assert (told(again)[0], again.result().headers["Idempotent-Replayed"]) == (202, "true")
    assert told(street.asks(payer, payee, 1, key="too-late"))[0] == 202
    assert wait_until(lambda: Transaction.objects.filter(debit_account=payer).count() == 7, seconds=30)


def test_with_fifty_at_once_a_sender_spends_what_is_there_and_no_more(street: Street) -> None:
    payer, payees = money.new_account(1_000), [money.new_account() for _ in range(5)]
    answers = [street.asks(payer, payees[number % 5], 70, key=uuid4().hex) for number in range(50)]
    codes = [told(answer)[1].get("code") for answer in answers]
    assert (codes.count(None), codes.count("insufficient_funds")) == (14, 36)
    assert money.balances(payer) == (1_000, 20)
    assert Transaction.objects.filter(debit_account=payer, status="failed").count() == 36
    verify("--no-bank")


def test_the_same_key_twenty_times_at_once_makes_one_transaction(street: Street) -> None:
    payer, payee = money.new_account(1_000), money.new_account()
    answers = [street.asks(payer, payee, 300, key="once") for _ in range(20)]
    assert {told(answer)[0] for answer in answers} == {202}
    assert len({told(answer)[1]["id"] for answer in answers}) == 1
    replayed = [answer.result().headers.get("Idempotent-Replayed") for answer in answers]
    assert (replayed.count("true"), replayed.count(None)) == (19, 1)
    assert money.balances(payer) == (1_000, 700)


def test_single_ones_and_those_posted_together_race_without_a_deadlock() -> None:
    accounts = [money.new_account(10_000) for _ in range(4)]
    keys = [uuid4().hex for _ in range(20)]

    def ring(post: Callable[[Sequence[Asked]], list[Any]], step: int, together: int) -> list[str]:
        pairs = [(accounts[n % 4], accounts[(n + step) % 4]) for n in range(20)]
        units = [sending(*pair, 1, key=key) for pair, key in zip(pairs, keys, strict=True)]
        return [said(answer) for n in range(0, 20, together) for answer in post(units[n : n + together])]

    # Each key comes six times, in opposite directions, so that it is reused for something else, too.
    found = at_once(*[partial(ring, post_at_once, step, many) for many in (1, 4, 20) for step in (1, -1) * 2])
    assert [each for each in found if isinstance(each, Exception)] == []
    assert sum(each.count("created") for each in found) == 20
    assert sum(balances[0] - balances[1] for balances in map(money.balances, accounts)) == 20
    verify("--no-bank")
