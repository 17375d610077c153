"""What needs a human, each made to happen, and what the human can do about it."""

from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from accounts.models import Account
from accounts.services.accounts import freeze_account, unfreeze_account
from accounts.steps import lock_account
from compliance.models import Case
from ledger import steps
from ledger.models import Escalation, StateChange, WorkItem
from ledger.services.clearing import clear_due
from ledger.services.thawing import resume_thawed
from tests.compliance.people import at_once, path_of, staff
from tests.ledger import flows
from tests.support import money
from tests.support.factories import forget_nudges, make_account
from tests.support.pipeline import run_until, run_until_idle, verify
from wallet_project.sandbox.embedding import RunningSandbox
from wallet_project.utils.context import system_actor
from wallet_project.utils.transitions import move

pytestmark = pytest.mark.django_db


def freeze(account: Account) -> None:
    _move(account, "freeze")


def unfreeze(account: Account) -> None:
    _move(account, "unfreeze")


def _move(account: Account, transition: str) -> None:
    with transaction.atomic():
        move(lock_account(account.id), transition, actor=system_actor(), reason="a test")


def resolve(escalation: Escalation, action: Any) -> None:
    with transaction.atomic():
        steps.resolve_escalation(
            escalation_id=escalation.id, action=action, actor=system_actor(), reason="a test", now=timezone.now()
        )


def test_a_payer_frozen_before_clearing_parks_the_transfer_and_thawed_it_clears(sandbox: RunningSandbox) -> None:
    source, destination = make_account(), make_account()
    flows.fund_over_the_bank(source, 5_000, sandbox)
    made = flows.transfer(source, destination, 1_000)
    flows.approve(made)
    freeze(source)
    assert clear_due() == 1
    assert WorkItem.objects.get().stage == "parked"
    escalation = Escalation.objects.get()
    assert (escalation.kind, escalation.transaction_id) == ("frozen_account", made.id)
    assert clear_due() == 0
    assert flows.balances(source) == (5_000, 4_000)
    verify()
    unfreeze(source)
    resolve(escalation, "retry")
    flows.settle_everything()
    assert flows.status(made) == "cleared"
    assert (flows.balances(source), flows.balances(destination)) == ((4_000, 4_000), (1_000, 1_000))
    verify()


def test_what_was_set_aside_goes_on_when_an_officer_unfreezes_the_account(
    sandbox: RunningSandbox, nudges: list[str]
) -> None:
    source, destination = make_account(), make_account()
    flows.fund_over_the_bank(source, 5_000, sandbox)
    sent, paid_out = flows.transfer(source, destination, 1_000), flows.withdraw(source, 2_000, name="SBX-SETTLE")
    flows.approve(sent, paid_out)
    officer = staff()
    freeze_account(account_id=source.id, actor=officer, reason="a call from the police")
    run_until_idle()
    assert list(WorkItem.objects.values_list("stage", flat=True)) == ["parked", "parked"]
    assert Case.objects.filter(escalation__kind="frozen_account", status="open").count() == 2
    forget_nudges(nudges)
    unfreeze_account(account_id=source.id, actor=officer, reason="it was another account")
    assert "ledger.resume_thawed" in nudges
    run_until_idle()
    assert (flows.status(sent), flows.status(paid_out)) == ("cleared", "cleared")
    assert flows.balances(source) == (2_000, 2_000)
    assert not Escalation.objects.filter(status="open").exists()
    assert not Case.objects.exclude(status="resolved").exists()
    verify()


def test_a_group_goes_on_when_the_last_of_its_payers_is_unfrozen() -> None:
    one, two, destination = make_account(funded=500), make_account(funded=500), make_account()
    money.approve(
        money.post(money.leg("transfer", one, destination, 100), money.leg("transfer", two, destination, 100))
    )
    for account in (one, two):
        freeze(account)
    clear_due()
    assert Escalation.objects.count() == 1
    unfreeze(one)
    assert resume_thawed(now=timezone.now()) == 0
    unfreeze(two)
    assert resume_thawed(now=timezone.now()) == 1
    clear_due()
    assert flows.balances(destination) == (200, 200)
    verify("--no-bank")


def test_ten_sweeps_at_once_resume_a_transfer_once() -> None:
    source, destination = make_account(funded=5_000), make_account()
    flows.approve(flows.transfer(source, destination, 1_000))
    freeze(source)
    clear_due()
    unfreeze(source)
    results = at_once(*[lambda: resume_thawed(now=timezone.now())] * 10)
    assert [result for result in results if isinstance(result, Exception)] == []
    assert path_of(Escalation.objects.get().id, StateChange) == ["open", "resolved"]
    clear_due()
    assert flows.balances(destination) == (1_000, 1_000)


def test_a_parked_transfer_can_be_failed_by_a_human() -> None:
    source, destination = make_account(funded=5_000), make_account()
    made = flows.transfer(source, destination, 1_000)
    flows.approve(made)
    freeze(source)
    clear_due()
    resolve(Escalation.objects.get(), "fail")
    assert flows.status(made) == "failed: not_permitted"
    assert flows.balances(source) == (5_000, 5_000)
    verify("--no-bank")


def test_a_parked_transfer_is_not_merely_acknowledged() -> None:
    source, destination = make_account(funded=5_000), make_account()
    flows.approve(flows.transfer(source, destination, 1_000))
    freeze(source)
    clear_due()
    with pytest.raises(steps.StillWaiting):
        resolve(Escalation.objects.get(), "acknowledge")
    assert Escalation.objects.get().status == "open"
    verify("--no-bank")


def test_a_retry_while_the_account_is_still_frozen_asks_for_a_human_again() -> None:
    source, destination = make_account(funded=5_000), make_account()
    flows.approve(flows.transfer(source, destination, 1_000))
    freeze(source)
    clear_due()
    resolve(Escalation.objects.get(), "retry")
    clear_due()
    assert list(Escalation.objects.order_by("created_at").values_list("status", flat=True)) == ["resolved", "open"]
    verify("--no-bank")


def test_an_escalation_is_resolved_once() -> None:
    source, destination = make_account(funded=5_000), make_account()
    flows.approve(flows.transfer(source, destination, 1_000))
    freeze(source)
    clear_due()
    escalation = Escalation.objects.get()
    resolve(escalation, "fail")
    with pytest.raises(steps.EscalationAlreadyResolved):
        resolve(escalation, "fail")


def test_a_credit_to_a_frozen_account_clears_and_is_unspendable() -> None:
    source, destination = make_account(funded=5_000), make_account()
    made = flows.transfer(source, destination, 1_000)
    flows.approve(made)
    freeze(destination)
    clear_due()
    assert flows.status(made) == "cleared"
    assert flows.balances(destination) == (1_000, 1_000)
    from ledger.posting import AccountNotOpen

    with pytest.raises(AccountNotOpen):
        flows.transfer(destination, source, 1)
    verify("--no-bank")


def close_by_hand(account: Account) -> None:
    """As the use case would not: with something pending. It shows what clearing makes of it."""
    _move(account, "close")


def test_a_transfer_to_an_account_that_was_closed_fails_and_releases_its_funds() -> None:
    source, destination = make_account(funded=5_000), make_account()
    made = flows.transfer(source, destination, 1_000)
    flows.approve(made)
    close_by_hand(destination)
    clear_due()
    assert flows.status(made) == "failed: account_closed"
    assert flows.balances(source) == (5_000, 5_000)
    assert not Escalation.objects.exists()
    verify("--no-bank")


def test_a_deposit_to_an_account_that_was_closed_goes_to_suspense_and_to_a_human(sandbox: RunningSandbox) -> None:
    account, other = make_account(), make_account()
    flows.fund_over_the_bank(other, 700, sandbox)
    made = flows.deposit(account, 3_000, reference="SBX-SETTLE")
    flows.approve(made)
    close_by_hand(account)
    run_until(flows.is_status(made, "failed: account_closed"), sandbox=sandbox, ledger_only=True)
    assert flows.balances(account) == (0, 0)
    assert Account.objects.get(purpose="suspense", currency="EUR").cleared == 3_000
    assert Account.objects.get(purpose="settlement", currency="EUR").cleared == -3_700
    assert Escalation.objects.get().kind == "unmatched_money"
    verify()
    with pytest.raises(steps.StillInSuspense):
        resolve(Escalation.objects.get(), "acknowledge")
