"""Captures, voids, cancels, reversals, closings and limits: where one may win, one does."""

import pytest
from django.utils import timezone

from compliance.services.screening import screen_due
from ledger import posting
from ledger.models import Transaction, Usage
from ledger.services import holds
from ledger.services.clearing import clear_due
from tests.ledger import flows
from tests.ledger.races.twenty import TWENTY, answers, deposit, outcomes, request, transfer
from tests.ledger.test_races import at_once
from tests.support.factories import make_account
from tests.support.pipeline import run_until_idle, verify
from wallet_project.utils.context import system_actor

pytestmark = [pytest.mark.django_db, pytest.mark.thorough]


def test_of_captures_of_all_kinds_one_wins(race: int) -> None:
    """Twenty amounts, some with a key of their own and some without."""
    payer, payee = make_account(funded=5_000), make_account()
    made = flows.transfer(payer, payee, 1_000, expires_in=3_600)
    flows.approve(made)
    captures = [request(payee, f"transactions/{made.id}/capture", {"amount": 100 + n}) for n in range(TWENTY)]
    answered = answers(captures)
    assert outcomes(answered) == {"done": 1, "409 already_captured": 19}
    captured = Transaction.objects.get(id=made.id).captured_amount
    won = next(number for number, answer in enumerate(answered) if answer.status_code < 300)
    assert captured == 100 + won
    assert flows.balances(payer) == (5_000, 5_000 - captured)
    run_until_idle()
    assert flows.balances(payee) == (captured, captured)
    verify("--no-bank")


def test_of_capture_void_and_cancel_one_wins(race: int) -> None:
    payer, payee = make_account(funded=5_000), make_account()
    made = flows.transfer(payer, payee, 1_000, expires_in=3_600)
    flows.approve(made)
    path = f"transactions/{made.id}"
    captures = [request(payee, f"{path}/capture", {}) for _ in range(8)]
    voids = [request(payee, f"{path}/void") for _ in range(6)]
    cancels = [request(payer, f"{path}/cancel") for _ in range(6)]
    answered = answers([*captures, *voids, *cancels])
    captured, voided, cancelled = outcomes(answered[:8]), outcomes(answered[8:14]), outcomes(answered[14:])
    assert cancelled == {"409 not_cancellable": 6}
    row = Transaction.objects.get(id=made.id)
    if row.captured_at:
        assert (captured["done"], voided) == (1, {"409 already_captured": 6})
        left = 4_000
    else:
        assert (captured, voided) == ({"409 already_voided": 8}, {"done": 6})
        left = 5_000
    assert flows.balances(payer) == (5_000, left)
    run_until_idle()
    assert flows.balances(payee) == (5_000 - left, 5_000 - left)
    verify("--no-bank")


def test_of_cancelling_screening_and_clearing_one_wins(race: int) -> None:
    payer, payee = make_account(funded=5_000), make_account()
    made = flows.transfer(payer, payee, 1_000)

    def work() -> None:
        for _ in range(3):
            screen_due(now=timezone.now())
            clear_due()
            holds.expire_due()

    cancels = [request(payer, f"transactions/{made.id}/cancel") for _ in range(TWENTY - 4)]
    results = at_once(*cancels, *[work] * 4)
    assert [result for result in results if isinstance(result, Exception)] == []
    run_until_idle()
    status = flows.status(made)
    answered = outcomes(results[: len(cancels)])
    if status == "failed: cancelled":
        assert answered == {"done": len(cancels)}
        assert (flows.balances(payer), flows.balances(payee)) == ((5_000, 5_000), (0, 0))
    else:
        assert (status, answered) == ("cleared", {"409 not_cancellable": len(cancels)})
        assert (flows.balances(payer), flows.balances(payee)) == ((4_000, 4_000), (1_000, 1_000))
    verify("--no-bank")


def test_twenty_who_cancel_have_all_cancelled(race: int) -> None:
    payer, payee = make_account(funded=5_000), make_account()
    made = flows.transfer(payer, payee, 1_000)
    answered = answers([request(payer, f"transactions/{made.id}/cancel") for _ in range(TWENTY)])
    assert outcomes(answered) == {"done": TWENTY}
    assert flows.balances(payer) == (5_000, 5_000)
    verify("--no-bank")


def test_reversals_never_exceed_what_was_cleared(race: int) -> None:
    payer, payee = make_account(funded=5_000), make_account(funded=5_000)
    made = flows.transfer(payer, payee, 1_000)
    run_until_idle()
    body = {"amount": 300, "reason": "too much"}
    answered = answers([request(payee, f"transactions/{made.id}/reversals", body) for _ in range(TWENTY)])
    assert outcomes(answered) == {"done": 3, "422 reversal_exceeds": 17}
    run_until_idle()
    assert (flows.balances(payer), flows.balances(payee)) == ((4_900, 4_900), (5_100, 5_100))
    verify("--no-bank")


def test_a_reversal_and_payments_spend_what_was_received_once(race: int) -> None:
    payer, payee, shop = make_account(funded=1_000), make_account(), make_account()
    made = flows.transfer(payer, payee, 1_000)
    run_until_idle()
    give_back = [
        request(payee, f"transactions/{made.id}/reversals", {"amount": 300, "reason": "sorry"}) for _ in range(10)
    ]
    spend = [transfer(payee, shop, 300) for _ in range(10)]
    answered = answers([*give_back, *spend])
    assert outcomes(answered)["done"] == 3
    assert flows.balances(payee) == (1_000, 100)
    run_until_idle()
    assert sum(flows.balances(account)[0] for account in (payer, payee, shop)) == 1_000
    verify("--no-bank")


def test_an_account_that_closes_has_nothing_pending_and_never_gets_anything(race: int) -> None:
    payer, closing = make_account(funded=5_000), make_account()
    asked = [transfer(payer, closing, 10) for _ in range(8)] + [deposit(closing, 10) for _ in range(7)]
    closes = [request(closing, f"accounts/{closing.id}/close") for _ in range(TWENTY - len(asked))]
    answered = answers([*asked, *closes])
    closing.refresh_from_db()
    if closing.status == "closed":
        assert outcomes(answered) == {"422 account_not_open": len(asked), "done": len(closes)}
    else:
        assert outcomes(answered[len(asked) :]) == {"409 account_has_pending": len(closes)}
    verify("--no-bank")


def test_a_limit_that_is_set_while_they_spend_counts_what_they_spent(race: int) -> None:
    payer, payee = make_account(funded=50_000), make_account()

    def limit() -> None:
        posting.set_limit(
            owner_id=payer.id,
            scope="account",
            direction="out",
            currency="EUR",
            per_transaction=None,
            per_day=500,
            per_30_days=None,
            actor=system_actor(),
            reason="a test",
            request_id="",
        )

    *answered, set_ = at_once(*[transfer(payer, payee, 100) for _ in range(TWENTY - 1)], limit)
    assert set_ is None
    counted = outcomes(answered)
    done = counted["done"]
    assert done >= 5
    assert counted["422 limit_exceeded"] == TWENTY - 1 - done
    assert Usage.objects.get(owner_id=payer.id, direction="out").amount == done * 100
    assert outcomes(answers([transfer(payer, payee, 100)])) == {"422 limit_exceeded": 1}
    verify("--no-bank")
