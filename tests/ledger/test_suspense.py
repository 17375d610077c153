"""Money in suspense: assigned, returned and charged by two people, with the bank's book right after each of them."""

from random import Random
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction
from django.utils import timezone

from accounts.idempotency import IdempotencyKeyReused
from accounts.models import Account
from accounts.selectors import AccountNotFound
from accounts.staff import AboutYourself, PermissionMissing
from ledger.models import Adjustment, Entry, Escalation, RailTransfer, Transaction
from ledger.posting import CurrencyMismatch
from ledger.rails import configured_rail
from ledger.services import adjustments, proposals, rails, suspense
from ledger.steps import EscalationAlreadyResolved, StillInSuspense, post_to_suspense
from ledger.suspense import open_items
from tests.compliance.people import at_once, staff, user_of
from tests.ledger import flows
from tests.ledger.test_bank_events import dispatched, process, report, tell
from tests.ledger.test_escalations import close_by_hand, freeze, resolve
from tests.ledger.test_lock_order import Locks
from tests.support.factories import make_account
from tests.support.pipeline import deliver, run_until, verify
from wallet_project.sandbox.embedding import RunningSandbox
from wallet_project.utils.context import Actor
from wallet_project.utils.iban import IbanInvalid

pytestmark = pytest.mark.django_db

SENDER = {"name": "Grace Hopper", "iban": "DE89 3704 0044 0532 0130 00"}


def in_suspense(currency: str = "EUR") -> int:
    """What the account says, which is what its open items add up to, each with somebody who is to see to it."""
    items = [item for item in open_items() if item.currency == currency]
    held: int = Account.objects.get(purpose="suspense", currency=currency).cleared
    assert held == sum(item.amount for item in items)
    assert all(item.seen_to for item in items)
    return held


def money_of_nobody(sandbox: RunningSandbox, amount: int = 777) -> Escalation:
    sandbox.bank.credit({"amount": amount, "currency": "EUR", "reference": "invoice 12"})
    deliver(sandbox)
    process()
    return open_escalation()


def open_escalation() -> Escalation:
    return Escalation.objects.get(status="open")


def paid_out_otherwise(sandbox: RunningSandbox, *, funded: int = 5_000, name: str = "SBX-SHORT") -> tuple[Account, Any]:
    """A payout of 2,000 for which the bank has paid another amount, so that it waits for a human."""
    account = make_account()
    flows.fund_over_the_bank(account, funded, sandbox)
    made = flows.withdraw(account, 2_000, name=name)
    flows.approve(made)
    run_until(Escalation.objects.exists, sandbox=sandbox, ledger_only=True)
    return account, made


def assign(escalation: Escalation, account: Account, actor: Actor | None = None) -> Adjustment:
    return suspense.propose_assignment(
        actor=actor or staff(), escalation_id=escalation.id, account_id=account.id, reason="it is hers, she called"
    )


def give_back(escalation: Escalation, **beneficiary: str) -> Adjustment:
    return suspense.propose_return(
        actor=staff(), escalation_id=escalation.id, beneficiary={**SENDER, **beneficiary}, reason="nobody knows it"
    )


def charge(escalation: Escalation, **whom: Any) -> Adjustment:
    return suspense.propose_charge(actor=staff(), escalation_id=escalation.id, reason="the bank paid it", **whom)


def agree(row: Adjustment, actor: Actor | None = None) -> adjustments.Answered:
    return adjustments.approve(actor=actor or staff("Senior officer"), adjustment_id=row.id, now=timezone.now())


# --- Assigned -------------------------------------------------------------------------------------------------------


def test_money_that_nobody_expected_is_assigned_by_two_people(sandbox: RunningSandbox) -> None:
    account, escalation = make_account(), money_of_nobody(sandbox)
    proposed = assign(escalation, account)
    assert flows.balances(account) == (0, 0)
    assert (in_suspense(), open_escalation().id) == (777, escalation.id)
    answered = agree(proposed)
    assert (answered.refusal, answered.adjustment.status) == (None, "posted")
    assert flows.balances(account) == (777, 777)
    assert (in_suspense(), open_items()) == (0, [])
    escalation.refresh_from_db()
    assert escalation.status == "resolved"
    assert Transaction.objects.get(id=answered.adjustment.transaction_id).status == "cleared"
    verify()


def test_two_credits_under_one_reference_are_two_items(sandbox: RunningSandbox) -> None:
    for amount in (100, 50):
        sandbox.bank.credit({"amount": amount, "currency": "EUR", "reference": "invoice 12"})
    deliver(sandbox)
    process()
    account = make_account()
    first, second = Escalation.objects.order_by("id")
    agree(assign(first, account))
    assert (flows.balances(account), in_suspense()) == ((100, 100), 50)
    agree(assign(second, account))
    assert (flows.balances(account), in_suspense()) == ((150, 150), 0)
    verify()


@pytest.mark.parametrize("state", ["frozen", "closed"])
def test_an_account_that_is_frozen_receives_and_a_closed_one_refuses(sandbox: RunningSandbox, state: str) -> None:
    account, escalation = make_account(), money_of_nobody(sandbox)
    proposed = assign(escalation, account)
    (freeze if state == "frozen" else close_by_hand)(account)
    answered = agree(proposed)
    if state == "frozen":
        assert answered.refusal is None
        assert flows.balances(account)[0] == 777
    else:
        assert isinstance(answered.refusal, adjustments.AccountGone)
        assert (answered.adjustment.status, in_suspense()) == ("refused", 777)
        assert open_escalation() == escalation
        agree(give_back(escalation))
    verify()


def test_what_is_assigned_wrongly_goes_back_to_suspense_by_a_correction_and_needs_somebody_again(
    sandbox: RunningSandbox,
) -> None:
    wrong, right = make_account(), make_account()
    agree(assign(money_of_nobody(sandbox), wrong))
    held = Account.objects.get(purpose="suspense", currency="EUR")
    back = proposals.propose_correction(
        actor=staff(), debit=wrong.id, credit=held.id, amount=777, reason="not hers after all"
    )
    agree(back)
    assert (flows.balances(wrong), in_suspense()) == ((0, 0), 777)
    agree(assign(open_escalation(), right))
    assert (flows.balances(right), in_suspense()) == ((777, 777), 0)
    verify()


def test_money_goes_to_a_customer_s_account_in_its_currency(sandbox: RunningSandbox) -> None:
    escalation = money_of_nobody(sandbox)
    with pytest.raises(CurrencyMismatch):
        assign(escalation, make_account(currency="USD"))
    with pytest.raises(AccountNotFound):
        assign(escalation, Account.objects.get(purpose="fees", currency="EUR"))
    assert not Adjustment.objects.exists()


def test_only_one_proposal_stands_for_an_item(sandbox: RunningSandbox) -> None:
    account, escalation = make_account(), money_of_nobody(sandbox)
    first = assign(escalation, account)
    with pytest.raises(proposals.ProposalStands):
        give_back(escalation)
    maker = Actor(principal_id=first.maker_id, customer_id=None, kind="user")
    adjustments.withdraw(actor=maker, adjustment_id=first.id, reason="a mistake", now=timezone.now())
    give_back(escalation)


def test_ten_proposals_at_once_are_one(sandbox: RunningSandbox) -> None:
    account, escalation = make_account(), money_of_nobody(sandbox)
    actors = [staff() for _ in range(10)]
    results = at_once(*[lambda actor=actor: assign(escalation, account, actor) for actor in actors])
    assert sum(isinstance(result, Adjustment) for result in results) == 1
    assert {type(result) for result in results if isinstance(result, Exception)} == {proposals.ProposalStands}


def test_ten_answers_at_once_post_once(sandbox: RunningSandbox) -> None:
    account, escalation = make_account(), money_of_nobody(sandbox)
    proposed = assign(escalation, account)
    actors = [staff("Senior officer") for _ in range(10)]
    results = at_once(*[lambda actor=actor: agree(proposed, actor) for actor in actors])
    assert sum(isinstance(result, adjustments.Answered) for result in results) == 1
    assert {type(r) for r in results if isinstance(r, Exception)} == {adjustments.AdjustmentDecided}
    assert flows.balances(account) == (777, 777)
    verify()


def test_nobody_assigns_money_to_himself_nor_agrees_to_it(sandbox: RunningSandbox) -> None:
    account, escalation = make_account(), money_of_nobody(sandbox)
    senior = staff("Senior officer")
    mine = make_account(account.customer)
    owner = flows.owner(mine)
    user = user_of(owner)
    user.is_staff = True
    user.save()
    user.groups.add(*user_of(senior).groups.all())
    with pytest.raises(AboutYourself):
        assign(escalation, mine, owner)
    proposed = assign(escalation, mine)
    with pytest.raises(AboutYourself):
        agree(proposed, owner)


def test_permissions_are_asked_for_again(sandbox: RunningSandbox) -> None:
    account, escalation = make_account(), money_of_nobody(sandbox)
    with pytest.raises(PermissionMissing):
        assign(escalation, account, staff("Auditor"))
    proposed = assign(escalation, account)
    for role in ("Officer", "Auditor", "Administrator"):
        with pytest.raises(PermissionMissing):
            agree(proposed, staff(role))


# --- Returned -------------------------------------------------------------------------------------------------------


def test_money_goes_back_to_its_sender_over_the_bank(sandbox: RunningSandbox) -> None:
    escalation = money_of_nobody(sandbox)
    answered = agree(give_back(escalation, name="SBX-SETTLE"))
    payout = Transaction.objects.get(id=answered.adjustment.transaction_id)
    assert (payout.kind, payout.status, payout.beneficiary["iban"]) == ("withdrawal", "pending", flows.IBAN)
    assert in_suspense() == 777, "it has not left yet"
    verify()
    flows.settle_everything()
    assert flows.status(payout.id) == "cleared"
    assert (in_suspense(), sandbox.book.balance("EUR")) == (0, 0)
    verify()


def test_a_return_that_the_bank_rejects_needs_somebody_again(sandbox: RunningSandbox) -> None:
    escalation = money_of_nobody(sandbox)
    answered = agree(give_back(escalation, name="SBX-REJECT"))
    flows.settle_everything()
    assert flows.status(answered.adjustment.transaction_id) == "failed: bank_rejected"
    again = open_escalation()
    assert (in_suspense(), again.kind, again.details["bank_said"]) == (777, "unmatched_money", "account_closed")
    assert again.details["why"] == "the bank did not return it to its sender"
    verify()
    account = make_account()
    agree(assign(again, account))
    assert (flows.balances(account), in_suspense()) == ((777, 777), 0)
    verify()


def test_a_return_that_the_bank_refuses_and_a_human_fails_needs_somebody_again(sandbox: RunningSandbox) -> None:
    answered = agree(give_back(money_of_nobody(sandbox), name="SBX-REFUSE"))
    flows.settle_everything()
    refused = open_escalation()
    assert refused.kind == "rail_refused"
    resolve(refused, "fail")
    assert flows.status(answered.adjustment.transaction_id) == "failed: bank_rejected"
    assert (in_suspense(), open_escalation().kind) == (777, "unmatched_money")
    verify()


def test_a_return_that_the_bank_pays_in_part_leaves_the_rest_in_suspense(sandbox: RunningSandbox) -> None:
    answered = agree(give_back(money_of_nobody(sandbox, 1_000), name="SBX-SHORT"))
    run_until(lambda: Escalation.objects.count() == 2, sandbox=sandbox, ledger_only=True)
    assert flows.status(answered.adjustment.transaction_id) == "failed: bank_amount_differs"
    assert (in_suspense(), sandbox.book.balance("EUR")) == (500, 500)
    verify()
    account = make_account()
    agree(assign(open_escalation(), account))
    assert (flows.balances(account), in_suspense()) == ((500, 500), 0)
    verify()


def test_an_escalation_about_a_return_is_about_the_item_that_it_was_to_send_back(sandbox: RunningSandbox) -> None:
    escalation = money_of_nobody(sandbox, 1_000)
    item = escalation.transaction_id
    agree(give_back(escalation, name="SBX-SHORT"))
    run_until(lambda: Escalation.objects.count() == 2, sandbox=sandbox, ledger_only=True)
    again = open_escalation()
    assert (again.subject_id, again.transaction_id, again.details["direction"]) == (str(item), item, "in")
    assert again.details["asked"] == {"amount": 1_000, "currency": "EUR"}
    assert again.details["moved"] == {"amount": 500, "currency": "EUR"}


def test_a_return_rejected_and_then_settled_after_all_asks_nobody_about_nothing(sandbox: RunningSandbox) -> None:
    agree(give_back(money_of_nobody(sandbox), name="SBX-MANUAL"))
    rails.dispatch_rails(rail=configured_rail(), now=timezone.now(), rng=Random(3))
    key = RailTransfer.objects.get().key
    for word in ("rejected", "settled"):
        sandbox.bank.decide(key, word)
        deliver(sandbox)
        process()
    assert (in_suspense(), open_items(), sandbox.book.balance("EUR")) == (0, [], 0)
    assert Escalation.objects.count() == 2, "the money's own, and that of its rejected return"
    verify()


def test_what_was_proposed_of_money_that_has_left_meanwhile_is_not_posted(sandbox: RunningSandbox) -> None:
    agree(give_back(money_of_nobody(sandbox, 1_000), name="SBX-MANUAL"))
    rails.dispatch_rails(rail=configured_rail(), now=timezone.now(), rng=Random(3))
    row = RailTransfer.objects.get()
    sandbox.bank.decide(row.key, "rejected")
    deliver(sandbox)
    process()
    account = make_account()
    proposed = assign(open_escalation(), account)
    tell(sandbox, "payment.settled", report(row, "settled", amount=400))
    process()
    refusal = agree(proposed).refusal
    assert isinstance(refusal, adjustments.ItemChanged)
    assert refusal.facts == {"left": 600}
    assert (flows.balances(account), in_suspense()) == ((0, 0), 600)


def test_a_return_rejected_and_then_settled_is_borne_by_whoever_has_the_money(sandbox: RunningSandbox) -> None:
    account = make_account()
    agree(give_back(money_of_nobody(sandbox), name="SBX-MANUAL"))
    rails.dispatch_rails(rail=configured_rail(), now=timezone.now(), rng=Random(3))
    key = RailTransfer.objects.get().key
    sandbox.bank.decide(key, "rejected")
    deliver(sandbox)
    process()
    agree(assign(open_escalation(), account))
    sandbox.bank.decide(key, "settled")
    deliver(sandbox)
    process()
    assert (in_suspense(), sandbox.book.balance("EUR")) == (-777, 0)
    verify()
    agree(charge(open_escalation(), account_id=account.id))
    assert (flows.balances(account), in_suspense()) == ((0, 0), 0)
    verify()


def test_a_return_names_its_holder_and_a_right_iban(sandbox: RunningSandbox) -> None:
    escalation = money_of_nobody(sandbox)
    with pytest.raises(IbanInvalid):
        give_back(escalation, iban="DE89370400440532013001")
    with pytest.raises(suspense.HolderRequired):
        give_back(escalation, name="  ")
    assert not Adjustment.objects.exists()


# --- Charged --------------------------------------------------------------------------------------------------------


def test_a_payout_settled_for_another_amount_fails_and_its_customer_is_charged_in_one_commit(
    sandbox: RunningSandbox,
) -> None:
    account, made = paid_out_otherwise(sandbox)
    assert (flows.balances(account), in_suspense()) == ((5_000, 3_000), -1_000)
    agree(charge(open_escalation()))
    assert flows.status(made) == "failed: bank_amount_differs"
    assert (flows.balances(account), in_suspense()) == ((4_000, 4_000), 0)
    assert not Escalation.objects.filter(status="open").exists()
    assert RailTransfer.objects.get(transaction=made.id).status == "rejected"
    verify()


def test_all_accounts_of_a_charge_are_locked_in_order_also_that_of_the_payout(
    sandbox: RunningSandbox, owner_dsn: str, admin_dsn: str
) -> None:
    payer, _ = paid_out_otherwise(sandbox)
    other = make_account(funded=5_000)
    proposed, checker = charge(open_escalation(), account_id=other.id), staff("Senior officer")
    Locks(owner_dsn, admin_dsn).are_in_order("accounts_account", [payer.id, other.id], lambda: agree(proposed, checker))
    assert (flows.balances(payer), flows.balances(other)) == ((5_000, 5_000), (4_000, 4_000))
    verify("--no-bank")


def test_a_charge_and_the_bank_s_word_at_once_settle_it_once(sandbox: RunningSandbox) -> None:
    account, made = paid_out_otherwise(sandbox)
    row = RailTransfer.objects.get(transaction=made.id)
    for _ in range(6):
        tell(sandbox, "payment.settled", report(row, "settled", amount=1_000))
    proposed, checker, escalation = charge(open_escalation()), staff("Senior officer"), open_escalation()
    results = at_once(lambda: agree(proposed, checker), process, process, lambda: resolve(escalation, "fail"))
    assert [type(result) for result in results[:3]] == [adjustments.Answered, int, int]
    assert isinstance(results[3], StillInSuspense | EscalationAlreadyResolved)
    flows.settle_everything()
    assert (flows.balances(account), in_suspense()) == ((4_000, 4_000), 0)
    assert flows.status(made) == "failed: bank_amount_differs"
    assert not Escalation.objects.filter(status="open").exists()
    verify()


def test_more_than_the_customer_has_is_said_and_may_be_taken_on_the_loss_account(sandbox: RunningSandbox) -> None:
    account, made = paid_out_otherwise(sandbox)
    spare = make_account()
    sent = flows.transfer(account, spare, 3_000)
    flows.approve(sent)
    flows.settle_everything()
    # What the bank paid is 1,000 and the reservation of 2,000 comes back with the payout; so that is not enough yet.
    proposed = charge(open_escalation())
    freeze(account)
    with pytest.raises(adjustments.AccountFrozen):
        agree(proposed)
    assert (flows.status(made), in_suspense()) == ("pending", -1_000)
    adjustments.decline(
        actor=staff("Senior officer"), adjustment_id=proposed.id, reason="at our loss", now=timezone.now()
    )
    agree(charge(open_escalation(), at_loss=True))
    assert flows.status(made) == "failed: bank_amount_differs"
    assert (flows.balances(account), in_suspense()) == ((2_000, 2_000), 0)
    assert Account.objects.get(purpose="loss", currency="EUR").cleared == -1_000
    verify()


def test_a_charge_that_the_customer_can_not_pay_leaves_all_as_it_was(sandbox: RunningSandbox) -> None:
    """Rejected and then settled: by then the money that was released has been spent."""
    account, other = make_account(), make_account()
    flows.fund_over_the_bank(account, 2_000, sandbox)
    made = flows.withdraw(account, 2_000, name="SBX-MANUAL")
    flows.approve(made)
    rails.dispatch_rails(rail=configured_rail(), now=timezone.now(), rng=Random(3))
    key = RailTransfer.objects.get(transaction=made.id).key
    sandbox.bank.decide(key, "rejected")
    deliver(sandbox)
    process()
    spent = flows.transfer(account, other, 1_500)
    flows.approve(spent)
    flows.settle_everything()
    sandbox.bank.decide(key, "settled")
    deliver(sandbox)
    process()
    proposed = charge(open_escalation())
    with pytest.raises(adjustments.FundsMissing) as caught:
        agree(proposed)
    assert caught.value.facts["available"] == 500
    proposed.refresh_from_db()
    assert (proposed.status, in_suspense(), flows.balances(account)) == ("proposed", -2_000, (500, 500))
    assert not Transaction.objects.filter(failure="insufficient_funds").exists()
    back = flows.transfer(other, account, 1_500)
    flows.approve(back)
    flows.settle_everything()
    agree(proposed)
    assert (in_suspense(), flows.balances(account)) == (0, (0, 0))
    verify()


def test_a_payout_that_we_never_asked_for_is_charged_to_a_named_account_or_the_loss(sandbox: RunningSandbox) -> None:
    from tests.ledger.test_bank_events import test_a_payment_that_we_never_asked_for_is_booked_as_the_banks_book_says

    test_a_payment_that_we_never_asked_for_is_booked_as_the_banks_book_says(sandbox)
    with pytest.raises(suspense.NobodyToCharge):
        charge(open_escalation())
    agree(charge(open_escalation(), at_loss=True))
    assert (in_suspense(), Account.objects.get(purpose="loss", currency="EUR").cleared) == (0, -900)
    verify()


def test_money_is_not_assigned_that_went_out_nor_charged_that_came_in(sandbox: RunningSandbox) -> None:
    account, _ = paid_out_otherwise(sandbox)
    with pytest.raises(suspense.WentOut):
        assign(open_escalation(), account)
    with pytest.raises(suspense.WentOut):
        give_back(open_escalation())
    agree(charge(open_escalation()))
    came_in = money_of_nobody(sandbox)
    with pytest.raises(suspense.CameIn):
        charge(came_in, account_id=account.id)


def test_a_deposit_settled_for_another_amount_is_assigned_to_whom_it_was_for(sandbox: RunningSandbox) -> None:
    account = make_account()
    made = flows.deposit(account, 4_000, reference="SBX-SHORT")
    flows.approve(made)
    run_until(flows.is_status(made, "failed: bank_amount_differs"), sandbox=sandbox, ledger_only=True)
    agree(assign(open_escalation(), account))
    assert (flows.balances(account), in_suspense()) == ((2_000, 2_000), 0)
    verify()


def test_a_deposit_that_settled_after_it_had_failed_is_assigned(sandbox: RunningSandbox) -> None:
    account, _, row = dispatched()
    for outcome in ("rejected", "settled"):
        sandbox.bank.decide(row.key, outcome)
        deliver(sandbox)
        process()
    agree(assign(open_escalation(), account))
    assert (flows.balances(account), in_suspense()) == ((4_000, 4_000), 0)
    verify()


def test_an_escalation_about_no_money_in_suspense_has_nothing_to_assign() -> None:
    source, destination = make_account(funded=5_000), make_account()
    flows.approve(flows.transfer(source, destination, 1_000))
    freeze(source)
    flows.settle_everything()
    with pytest.raises(suspense.NothingInSuspense):
        assign(open_escalation(), destination)
    assert Entry.objects.filter(account=destination).count() == 0


# --- Booked ---------------------------------------------------------------------------------------------------------


def test_what_the_bank_moved_is_booked_once_under_its_key(db: None) -> None:
    def book(amount: int = 300) -> tuple[UUID, bool]:
        with transaction.atomic():
            return post_to_suspense(
                key="bank-credit-1", direction="in", amount=amount, currency="EUR", bank_key="invoice", why="a test"
            )

    booked, made = book()
    assert made
    written = Entry.objects.count()
    assert book() == (booked, False)
    with pytest.raises(IdempotencyKeyReused):
        book(301)
    assert Transaction.objects.get().id == booked
    assert (Entry.objects.count(), Account.objects.get(purpose="suspense", currency="EUR").cleared) == (written, 300)
