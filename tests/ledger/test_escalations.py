"""What needs a human, each made to happen, and what the human can do about it."""

from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from accounts.models import Account
from accounts.steps import lock_account
from ledger import steps
from ledger.models import Escalation, WorkItem
from ledger.services.clearing import clear_due
from tests.ledger import flows
from tests.support.factories import make_account
from tests.support.pipeline import run_until, verify
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
