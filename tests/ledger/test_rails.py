"""What a bank can do to us: be slow, down, silent, refuse, answer something else, or answer after we have died."""

from datetime import timedelta
from random import Random
from typing import Any

import pytest
from django.db.models.functions import Now
from django.utils import timezone
from prometheus_client import REGISTRY

from ledger.models import Escalation, RailTransfer, StateChange, WorkItem
from ledger.rails import HttpPaymentRail, PaymentRail, RailAnswer, RailOrder
from ledger.services import rails
from tests.ledger import flows
from tests.ledger.test_escalations import resolve
from tests.support.factories import make_account
from tests.support.pipeline import hurry, run_until, verify
from wallet_project.sandbox.embedding import RunningSandbox
from wallet_project.utils.http_client import CallLimits, ProviderClient, assert_no_transaction
from wallet_project.utils.retry import CAP, MAX_TRIES

pytestmark = pytest.mark.django_db


@pytest.fixture
def rail(sandbox: RunningSandbox) -> PaymentRail:
    """Asks with short patience, so that a hanging bank costs a test half a second."""
    limits = CallLimits(connect_seconds=1, total_seconds=0.3)
    return HttpPaymentRail(ProviderClient(base_url=sandbox.url, api_key=sandbox.config.bank_api_key, limits=limits))


def dispatch(rail: PaymentRail) -> int:
    return rails.dispatch_rails(rail=rail, now=timezone.now(), rng=Random(7))


def asked_for_a_deposit(reference: str, amount: int = 4_000) -> tuple[Any, Any]:
    account = make_account()
    made = flows.deposit(account, amount, reference=reference)
    flows.approve(made)
    return account, made


def rail_of(made: Any) -> RailTransfer:
    return RailTransfer.objects.get(transaction=made.id)


def test_a_timeout_after_the_bank_accepted_moves_the_money_once(sandbox: RunningSandbox, rail: PaymentRail) -> None:
    account, made = asked_for_a_deposit("SBX-TIMEOUT-AFTER")
    dispatch(rail)
    assert (rail_of(made).status, rail_of(made).attempts) == ("submitted", 1)
    assert flows.status(made) == "pending"
    run_until(flows.is_status(made, "cleared"), sandbox=sandbox, ledger_only=True)
    assert flows.balances(account) == (4_000, 4_000)
    assert sandbox.book.balance("EUR") == 4_000
    verify()


def test_an_answer_that_is_no_json_moves_the_money_once(sandbox: RunningSandbox) -> None:
    account, made = asked_for_a_deposit("SBX-GARBAGE")
    run_until(flows.is_status(made, "cleared"), sandbox=sandbox, ledger_only=True)
    assert flows.balances(account) == (4_000, 4_000)
    assert sandbox.book.balance("EUR") == 4_000
    verify()


def test_two_failures_and_then_an_answer(sandbox: RunningSandbox, rail: PaymentRail) -> None:
    account, made = asked_for_a_deposit("SBX-FAIL-TWICE")
    for tries in (1, 2):
        dispatch(rail)
        assert (rail_of(made).attempts, rail_of(made).status) == (tries, "submitted")
        hurry()
    run_until(flows.is_status(made, "cleared"), sandbox=sandbox, ledger_only=True)
    assert flows.balances(account) == (4_000, 4_000)
    assert not Escalation.objects.exists()
    verify()


def test_only_tries_after_the_first_are_counted_as_such(sandbox: RunningSandbox, rail: PaymentRail) -> None:
    def counted() -> float:
        return REGISTRY.get_sample_value("wallet_retries_total", {"stage": "rail"}) or 0

    asked_for_a_deposit("SBX-FAIL-TWICE")
    before = counted()
    for tries in range(3):
        dispatch(rail)
        assert counted() == before + tries
        hurry()


def test_a_timeout_before_the_bank_accepted_escalates_once_and_is_asked_about_for_ever(
    sandbox: RunningSandbox, rail: PaymentRail
) -> None:
    account = make_account()
    flows.fund_over_the_bank(account, 4_000, sandbox)
    made = flows.withdraw(account, 4_000, name="SBX-TIMEOUT")
    flows.approve(made)
    for tries in range(1, MAX_TRIES + 3):
        assert dispatch(rail) == 1
        row = rail_of(made)
        assert (row.attempts, row.status) == (tries, "submitted")
        assert row.next_at is not None
        assert Escalation.objects.count() == (1 if tries >= MAX_TRIES else 0)
        hurry()
    dispatch(rail)
    assert rail_of(made).next_at > timezone.now() + CAP - timedelta(seconds=30)
    told = Escalation.objects.get()
    assert told.kind == "rail_exhausted"
    # Whoever was told knows: also when he has seen to it, the tries that follow tell nobody else.
    resolve(told, "acknowledge")
    hurry()
    dispatch(rail)
    assert Escalation.objects.get() == told
    assert flows.status(made) == "pending"
    assert flows.balances(account) == (4_000, 0)
    verify()


def test_a_bank_that_stays_down_is_not_given_up(sandbox: RunningSandbox, rail: PaymentRail) -> None:
    _, made = asked_for_a_deposit("SBX-DOWN")
    dispatch(rail)
    delays = []
    for _ in range(3):
        row = rail_of(made)
        assert row.next_at is not None
        delays.append(row.next_at - timezone.now())
        hurry()
        dispatch(rail)
    assert all(delay < timedelta(seconds=9) for delay in delays)
    assert flows.status(made) == "pending"
    verify()


def test_a_silent_bank_is_asked_ever_more_rarely(sandbox: RunningSandbox, rail: PaymentRail) -> None:
    _, made = asked_for_a_deposit("SBX-SILENT")
    dispatch(rail)
    row = rail_of(made)
    assert (row.status, row.attempts, row.answers[0]["status"]) == ("submitted", 0, "processing")
    RailTransfer.objects.filter(id=row.id).update(
        submitted_at=Now() - timedelta(minutes=4), next_at=Now() - timedelta(seconds=1)
    )
    dispatch(rail)
    next_at = rail_of(made).next_at
    assert next_at is not None
    assert timedelta(seconds=110) < next_at - timezone.now() < timedelta(seconds=130)
    RailTransfer.objects.filter(id=row.id).update(
        submitted_at=Now() - timedelta(days=3), next_at=Now() - timedelta(seconds=1)
    )
    dispatch(rail)
    next_at = rail_of(made).next_at
    assert next_at is not None
    assert next_at - timezone.now() <= CAP
    verify()


def test_a_bank_that_tells_only_those_who_ask_is_asked(sandbox: RunningSandbox) -> None:
    account, made = asked_for_a_deposit("SBX-NO-CALLBACK")
    run_until(flows.is_status(made, "cleared"), ledger_only=True)
    assert flows.balances(account) == (4_000, 4_000)
    verify()


def test_a_refusal_escalates_and_a_human_may_fail_what_the_bank_does_not_know(
    sandbox: RunningSandbox, rail: PaymentRail
) -> None:
    account = make_account()
    flows.fund_over_the_bank(account, 4_000, sandbox)
    made = flows.withdraw(account, 1_000, name="SBX-REFUSE")
    flows.approve(made)
    dispatch(rail)
    escalation = Escalation.objects.get()
    assert (escalation.kind, escalation.details["unknown_to_bank"]) == ("rail_refused", True)
    assert rail_of(made).next_at is None
    assert dispatch(rail) == 0
    assert flows.balances(account) == (4_000, 3_000)
    verify()
    resolve(escalation, "fail")
    assert flows.status(made) == "failed: bank_rejected"
    assert flows.balances(account) == (4_000, 4_000)
    verify()


def test_an_answer_about_something_else_is_not_believed(sandbox: RunningSandbox, rail: PaymentRail) -> None:
    account, made = asked_for_a_deposit("SBX-WRONG-REFERENCE")
    dispatch(rail)
    assert flows.status(made) == "pending"
    assert flows.balances(account) == (0, 0)
    assert Escalation.objects.get().kind == "rail_refused"
    verify()


def test_a_crash_between_call_and_commit_is_made_up_for_without_paying_twice(
    sandbox: RunningSandbox, rail: PaymentRail
) -> None:
    account = make_account()
    flows.fund_over_the_bank(account, 5_000, sandbox)
    made = flows.withdraw(account, 2_000, name="SBX-SETTLE")
    flows.approve(made)

    class Died(BaseException):
        """What the kernel does to a worker, as far as Python can show it."""

    class DiesAfterTheCall:
        def submit(self, order: RailOrder) -> RailAnswer:
            rail.submit(order)
            raise Died

        def status(self, order: RailOrder) -> RailAnswer | None:
            raise AssertionError("a first submission asks nothing")

        def book(self, currency: str, *, after: str | None = None) -> Any:
            raise AssertionError

    with pytest.raises(Died):
        rails.dispatch_rails(rail=DiesAfterTheCall(), now=timezone.now(), rng=Random(1))
    assert sandbox.book.balance("EUR") == 3_000
    assert (rail_of(made).status, flows.status(made)) == ("submitted", "pending")
    assert dispatch(rail) == 0, "the dead worker's lease still holds"
    verify()
    hurry()
    dispatch(rail)
    flows.settle_everything()
    assert flows.status(made) == "cleared"
    assert sandbox.book.balance("EUR") == 3_000
    assert flows.balances(account) == (3_000, 3_000)
    verify()


def test_an_answer_that_comes_after_the_lease_was_lost_changes_nothing(
    sandbox: RunningSandbox, rail: PaymentRail
) -> None:
    _, made = asked_for_a_deposit("SBX-SETTLE")

    class OvertakenWhileAsking:
        def submit(self, order: RailOrder) -> RailAnswer:
            answer = rail.submit(order)
            overtake()
            return answer

        def status(self, order: RailOrder) -> RailAnswer | None:
            return rail.status(order)

        def book(self, currency: str, *, after: str | None = None) -> Any:
            return rail.book(currency, after=after)

    def overtake() -> None:
        from django.db import connections

        RailTransfer.objects.update(lease_token="01980000-0000-7000-8000-000000000001")
        connections.close_all()

    rails.dispatch_rails(rail=OvertakenWhileAsking(), now=timezone.now(), rng=Random(1))
    assert (rail_of(made).status, flows.status(made)) == ("submitted", "pending")
    hurry()
    dispatch(rail)
    assert rail_of(made).status == "confirmed"
    flows.settle_everything()
    verify()


def test_no_transaction_is_open_while_the_bank_is_asked(sandbox: RunningSandbox, rail: PaymentRail) -> None:
    asked_for_a_deposit("SBX-SETTLE")
    dispatch(rail)
    assert_no_transaction()
    from django.db import transaction

    with transaction.atomic(), pytest.raises(RuntimeError):
        rail.book("EUR")


def test_a_payout_from_an_account_that_was_frozen_meanwhile_does_not_leave(
    sandbox: RunningSandbox, rail: PaymentRail
) -> None:
    from tests.ledger.test_escalations import freeze, resolve, unfreeze

    account = make_account()
    flows.fund_over_the_bank(account, 5_000, sandbox)
    made = flows.withdraw(account, 2_000, name="SBX-SETTLE")
    flows.approve(made)
    freeze(account)
    dispatch(rail)
    assert (rail_of(made).status, WorkItem.objects.get().stage) == ("queued", "parked")
    escalation = Escalation.objects.get()
    assert escalation.kind == "frozen_account"
    assert sandbox.book.balance("EUR") == 5_000
    verify()
    unfreeze(account)
    resolve(escalation, "retry")
    run_until(flows.is_status(made, "cleared"), ledger_only=True)
    assert flows.balances(account) == (3_000, 3_000)
    verify()


def test_freezing_after_the_bank_has_it_does_not_stop_a_withdrawal(sandbox: RunningSandbox, rail: PaymentRail) -> None:
    from tests.ledger.test_escalations import freeze

    account = make_account()
    flows.fund_over_the_bank(account, 5_000, sandbox)
    made = flows.withdraw(account, 2_000)
    flows.approve(made)
    dispatch(rail)
    freeze(account)
    run_until(flows.is_status(made, "cleared"), sandbox=sandbox, ledger_only=True)
    assert flows.balances(account) == (3_000, 3_000)
    verify()


def test_the_log_of_a_rail_transfer_is_its_path(sandbox: RunningSandbox, rail: PaymentRail) -> None:
    _, made = asked_for_a_deposit("SBX-SETTLE")
    dispatch(rail)
    path = StateChange.objects.filter(machine="railtransfer", subject_id=rail_of(made).id).order_by("id")
    assert [change.to_state for change in path] == ["queued", "submitted", "confirmed"]
