"""Many units in one round trip, of which the database refuses one: they are halved until it stands alone. And the key
that stands for all of them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from django.db import DatabaseError, OperationalError, transaction
from psycopg.errors import LockNotAvailable

from accounts.models import IdempotencyClaim
from ledger import posting
from ledger.posting import Asked, many
from ledger.posting.requests import ReversalExceeds
from tests.ledger import test_bulk as bulk
from tests.ledger.test_post_many import _frozen, asked, outcomes, sending
from tests.support import money
from tests.support.factories import make_account
from tests.support.pipeline import verify
from wallet_project.utils.ids import uuid7

pytestmark = pytest.mark.django_db


@pytest.fixture
def poison(owner_connection: psycopg.Connection) -> str:
    """A reference that the database can't bear."""
    owner_connection.execute(
        "CREATE FUNCTION bitten() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'poison' USING ERRCODE = 'data_exception'; END $$;"
        "CREATE TRIGGER bitten BEFORE INSERT ON ledger_transaction FOR EACH ROW WHEN (NEW.reference = 'poison') "
        "EXECUTE FUNCTION bitten()"
    )
    return "poison"


def _bad(unit: Asked, poison: str) -> Asked:
    return replace(unit, legs=[replace(leg, reference=poison) for leg in unit.legs])


@pytest.mark.parametrize("place", [0, 3, 6])
def test_a_poisoned_unit_fails_alone(poison: str, place: int) -> None:
    payer, payee = money.new_account(100), money.new_account()
    units = [sending(payer, payee, 1) for _ in range(7)]
    units[place] = _bad(units[place], poison)
    answers = posting.post_many(units)
    assert [number for number, answer in enumerate(answers) if isinstance(answer, Exception)] == [place]
    assert outcomes(answers).count("created") == 6
    assert money.balances(payer) == (100, 94)
    assert not IdempotencyClaim.objects.filter(key=units[place].key).exists()


def test_of_a_bulk_one_that_the_database_can_not_bear_is_told_so_and_the_others_are_accepted(poison: str) -> None:
    payer, payee = make_account(funded=100), make_account()
    answer = bulk.send(payer, bulk.body(bulk.item(payer, payee, 1), bulk.item(payer, payee, 1, reference=poison)))
    assert bulk.outcomes(answer) == ["accepted", "rejected internal_error"]


def test_of_halves_those_that_can_not_be_posted_now_are_told_so_and_the_others_are_posted(
    poison: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    payer, payee = money.new_account(100), money.new_account()
    units = [
        sending(payer, payee, 1),
        _bad(sending(payer, payee, 1), poison),
        *(sending(payer, payee, 1) for _ in "23"),
    ]
    post_at_once = many.post_at_once

    def busy(asked: Sequence[Asked], **whole: Any) -> Any:
        if list(asked) == units[2:]:
            raise OperationalError("busy") from LockNotAvailable("canceling statement due to lock timeout")
        return post_at_once(asked, **whole)

    monkeypatch.setattr(many, "post_at_once", busy)
    answers = posting.post_many(units)
    assert outcomes(answers) == ["created", "DataError", "DatabaseBusy", "DatabaseBusy"]
    assert [IdempotencyClaim.objects.filter(key=each.key).exists() for each in units] == [True, False, False, False]
    assert money.balances(payer) == (100, 99)


def test_inside_a_transaction_nothing_is_halved_and_nobody_is_answered_alone(poison: str) -> None:
    payer, payee = money.new_account(100), money.new_account()
    good, bad = sending(payer, payee, 1), _bad(sending(payer, payee, 1), poison)
    with pytest.raises(DatabaseError, match=poison), transaction.atomic():
        posting.post_many([good, bad])
    paid = money.transfer(payer, payee, 10)
    money.approve(paid)
    money.clear()
    back = replace(money.leg("reversal", payee, payer, 11), reverses=paid.transactions[0].id)
    with pytest.raises(ReversalExceeds), transaction.atomic():
        posting.post_many([good, asked(back, actor=money.actor_of(payee.customer))])
    assert money.balances(payer) == (90, 90)


def whole(each: Asked, key: str = "whole") -> posting.Whole:
    return posting.Whole(each.actor.principal_id, key, "bulk", money.HASH, uuid7())


def test_a_key_for_the_whole_is_claimed_with_what_it_stands_for_or_nothing_is_done() -> None:
    payer, payee = money.new_account(100), money.new_account()
    first, second = sending(payer, payee, 1), sending(payer, payee, 1)
    assert outcomes(posting.post_many([first], whole=whole(first))) == ["created"]
    with pytest.raises(posting.WholeAskedBefore):
        posting.post_many([second], whole=whole(second))
    assert not IdempotencyClaim.objects.filter(key=second.key).exists()
    assert money.balances(payer) == (100, 99)
    verify("--no-bank")


def test_a_key_for_the_whole_is_claimed_once_also_when_one_is_poisoned(poison: str) -> None:
    payer, payee = money.new_account(100), money.new_account()
    good, bad = sending(payer, payee, 1), _bad(sending(payer, payee, 1), poison)
    answers = posting.post_many([good, bad], whole=whole(good))
    assert [isinstance(answer, Exception) for answer in answers] == [False, True]
    with pytest.raises(posting.WholeAskedBefore):
        posting.post_many([sending(payer, payee, 1)], whole=whole(good))


def test_a_key_for_the_whole_stays_free_when_all_are_refused_without_a_trace() -> None:
    refused = sending(_frozen(money.new_account(100)), money.new_account(), 1)
    assert outcomes(posting.post_many([refused], whole=whole(refused))) == ["AccountNotOpen"]
    assert not IdempotencyClaim.objects.filter(key="whole").exists()


def test_a_key_for_the_whole_is_claimed_also_where_each_is_posted_alone() -> None:
    payer, payee = money.new_account(100), money.new_account()
    three = asked(*(money.leg("transfer", payer, payee, 1) for _ in range(3)), actor=sending(payer, payee, 1).actor)
    assert outcomes(posting.post_many([three], whole=whole(three))) == ["created"]
    with pytest.raises(posting.WholeAskedBefore):
        posting.post_many([three], whole=whole(three))
