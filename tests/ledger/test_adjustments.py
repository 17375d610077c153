"""What staff move: proposed by one, agreed to by another, posted in one commit; what is refused, to whom and when."""

from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.models import Account
from accounts.selectors import AccountNotFound
from accounts.staff import AboutYourself, PermissionMissing, ReasonRequired
from ledger import posting
from ledger.models import Adjustment, Escalation, StateChange, Transaction
from ledger.posting import CurrencyMismatch, NotReversible, ReversalExceeds
from ledger.services import adjustments, proposals
from ledger.services.requests import TransactionNotFound
from tests.compliance.people import at_once, path_of, staff, user_of
from tests.ledger import flows
from tests.ledger.test_escalations import close_by_hand, freeze, unfreeze
from tests.ledger.test_suspense import agree, open_escalation
from tests.support import money
from tests.support.factories import make_account
from tests.support.pipeline import verify
from wallet_project.sandbox.embedding import RunningSandbox
from wallet_project.utils.context import Actor
from wallet_project.utils.errors import translate_database_error

pytestmark = pytest.mark.django_db


def system(purpose: str) -> Account:
    return Account.objects.get(purpose=purpose, currency="EUR")


def correct(debit: Account, credit: Account, amount: int = 300, **more: Any) -> Adjustment:
    values = {"actor": more.pop("actor", None) or staff(), "reason": "booked twice", **more}
    return proposals.propose_correction(debit=debit.id, credit=credit.id, amount=amount, **values)


def reverse(made: Any, amount: int | None = None, **more: Any) -> Adjustment:
    values = {"actor": more.pop("actor", None) or staff(), "reason": "paid in error", **more}
    return proposals.propose_reversal(transaction_id=made.id, amount=amount, **values)


def paid(source: Account, destination: Account, amount: int = 1_000) -> Any:
    made = flows.transfer(source, destination, amount)
    flows.approve(made)
    flows.settle_everything()
    assert flows.status(made) == "cleared"
    return made


def maker_of(row: Adjustment) -> Actor:
    return Actor(principal_id=row.maker_id, customer_id=None, kind="user")


def now() -> Any:
    return timezone.now()


# --- Corrections ----------------------------------------------------------------------------------------------------


def test_a_correction_is_posted_when_a_second_person_agrees() -> None:
    source, destination = make_account(funded=1_000), make_account()
    due_before = flows.transfer(make_account(funded=10), make_account(), 10)
    flows.approve(due_before)
    proposed = correct(source, destination)
    assert (flows.balances(source), flows.balances(destination)) == ((1_000, 1_000), (0, 0))
    checker = staff("Senior officer")
    posted = agree(proposed, checker).adjustment
    assert (flows.balances(source), flows.balances(destination)) == ((700, 700), (300, 300))
    row = Transaction.objects.get(id=posted.transaction_id)
    assert (row.kind, row.status, row.initiator_id) == ("adjustment", "cleared", proposed.maker_id)
    assert (posted.checker_id, path_of(posted.id, StateChange)) == (checker.principal_id, ["proposed", "posted"])
    assert flows.status(due_before) == "pending", "it is nobody's business here"
    verify("--no-bank")


def test_a_correction_between_the_wallet_s_own_accounts_takes_two_as_well() -> None:
    agree(correct(system("fees"), system("loss"), 40))
    assert (system("fees").cleared, system("loss").cleared) == (-40, 40)
    verify("--no-bank")


def test_what_the_bank_has_booked_without_telling_is_corrected_under_its_reference(sandbox: RunningSandbox) -> None:
    """A fee that the bank takes for itself is on its statement, and nowhere else."""
    account = make_account()
    flows.fund_over_the_bank(account, 5_000, sandbox)
    sandbox.book.insert(
        "movement",
        direction="out",
        amount=25,
        currency="EUR",
        reference="FEE-2026-11",
        description="account fee",
        booked_at="2026-11-20T09:00:00+00:00",
    )
    with pytest.raises(SystemExit):
        verify()
    agree(correct(system("loss"), system("settlement"), 25, reference="FEE-2026-11"))
    verify()


@pytest.mark.parametrize(("debit", "reference"), [("settlement", ""), ("fees", "FEE-2026-11")])
def test_the_bank_s_reference_goes_with_the_settlement_account(debit: str, reference: str) -> None:
    with pytest.raises(proposals.BankReferenceRequired) as refused:
        correct(system(debit), system("loss"), reference=reference)
    assert refused.value.fields == {"reference": "Exactly with the settlement account."}


def test_a_correction_that_can_not_be_is_not_proposed() -> None:
    source, destination = make_account(funded=1_000), make_account()
    with pytest.raises(proposals.SameAccount):
        correct(source, source)
    with pytest.raises(CurrencyMismatch):
        correct(source, make_account(currency="USD"))
    with pytest.raises(AccountNotFound):
        proposals.propose_correction(actor=staff(), debit=uuid4(), credit=source.id, amount=1, reason="x")
    for amount in (0, -5, 10**15 + 1):
        with pytest.raises(proposals.AmountOutOfRange):
            correct(source, destination, amount)
    with pytest.raises(ReasonRequired):
        correct(source, destination, reason="  ")
    assert not Adjustment.objects.exists()


def test_a_correction_into_suspense_is_an_item_that_somebody_is_to_see_to() -> None:
    account = make_account(funded=1_000)
    agree(correct(account, system("suspense"), 300))
    escalation = open_escalation()
    assert (escalation.kind, escalation.details["moved"]["amount"]) == ("unmatched_money", 300)
    verify("--no-bank")


# --- Reversals ------------------------------------------------------------------------------------------------------


def test_staff_reverse_a_transfer_in_full_and_in_parts_and_never_more() -> None:
    source, destination = make_account(funded=1_000), make_account()
    made = paid(source, destination)
    agree(reverse(made, 400))
    assert (flows.balances(source), flows.balances(destination)) == ((400, 400), (600, 600))
    with pytest.raises(ReversalExceeds) as caught:
        reverse(made, 601)
    assert caught.value.facts == {"left": 600}
    rest = reverse(made)
    assert rest.amount == 600
    posted = agree(rest).adjustment
    assert (flows.balances(source), flows.balances(destination)) == ((1_000, 1_000), (0, 0))
    assert Transaction.objects.get(id=posted.transaction_id).reverses_id == made.id
    with pytest.raises(ReversalExceeds):
        reverse(made, 1)
    verify("--no-bank")


def test_of_two_proposals_for_all_of_it_the_second_is_refused_for_good() -> None:
    source, destination = make_account(funded=2_000), make_account()
    made = paid(source, destination)
    paid(source, destination)
    first, second = reverse(made), reverse(made)
    agree(first)
    answered = agree(second)
    assert isinstance(answered.refusal, ReversalExceeds)
    second.refresh_from_db()
    assert (second.status, second.transaction_id) == ("refused", None)
    change = StateChange.objects.filter(subject_id=second.id).latest("id")
    assert (change.to_state, "more than what was cleared" in change.reason) == ("refused", True)
    assert flows.balances(source) == (1_000, 1_000)
    verify("--no-bank")


def test_twenty_reversals_at_once_never_give_back_more_than_was_paid() -> None:
    source, destination = make_account(funded=5_000), make_account()
    made = paid(source, destination)
    paid(source, destination, 4_000)
    proposed = [reverse(made, 100) for _ in range(20)]
    checkers = [staff("Senior officer") for _ in proposed]
    results = at_once(*[lambda r=r, c=c: agree(r, c) for r, c in zip(proposed, checkers, strict=True)])
    while busy := [i for i, result in enumerate(results) if isinstance(result, Exception)]:
        for index in busy:
            results[index] = agree(proposed[index], checkers[index])
    assert sum(result.refusal is None for result in results) == 10
    assert flows.balances(source) == (1_000, 1_000)
    verify("--no-bank")


def test_what_is_pending_or_no_transfer_is_not_reversed() -> None:
    source, destination = make_account(funded=1_000), make_account()
    pending = flows.transfer(source, destination, 100)
    with pytest.raises(NotReversible):
        reverse(pending)
    deposit = flows.deposit(source, 100)
    with pytest.raises(NotReversible):
        reverse(deposit)
    with pytest.raises(TransactionNotFound):
        proposals.propose_reversal(actor=staff(), transaction_id=uuid4(), amount=None, reason="x")


def test_a_receiver_who_has_spent_it_leaves_the_proposal_standing_until_the_money_is_there() -> None:
    source, destination, third = make_account(funded=1_000), make_account(), make_account()
    made = paid(source, destination)
    paid(destination, third, 700)
    proposed = reverse(made)
    with pytest.raises(adjustments.FundsMissing) as caught:
        agree(proposed)
    assert caught.value.facts == {"available": 300}
    proposed.refresh_from_db()
    assert (proposed.status, proposed.checker_id) == ("proposed", None)
    assert not Transaction.objects.filter(status="failed").exists()
    paid(third, destination, 700)
    agree(proposed)
    assert flows.balances(source) == (1_000, 1_000)
    verify("--no-bank")


def test_the_wallet_bears_what_the_receiver_has_not() -> None:
    source, destination, third = make_account(funded=1_000), make_account(), make_account()
    made = paid(source, destination)
    with pytest.raises(proposals.LossNotNeeded) as refused:
        reverse(made, at_loss=True)
    assert refused.value.facts == {"available": 1_000}
    paid(destination, third, 700)
    agree(reverse(made, 300))
    agree(reverse(made, at_loss=True))
    assert (flows.balances(source), system("loss").cleared) == ((1_000, 1_000), -700)
    with pytest.raises(ReversalExceeds):
        reverse(made, at_loss=True)
    verify("--no-bank")


def test_a_loss_is_not_taken_when_the_receiver_has_the_money_by_then() -> None:
    source, destination, third = make_account(funded=1_000), make_account(), make_account()
    made = paid(source, destination)
    paid(destination, third, 700)
    proposed = reverse(made, at_loss=True)
    paid(third, destination, 700)
    with pytest.raises(proposals.LossNotNeeded):
        agree(proposed)
    assert system("loss").cleared == 0


def test_an_account_that_is_frozen_pays_when_it_works_again_and_a_closed_one_never() -> None:
    source, destination = make_account(funded=1_000), make_account()
    made = paid(source, destination)
    proposed = reverse(made)
    freeze(destination)
    with pytest.raises(adjustments.AccountFrozen):
        agree(proposed)
    unfreeze(destination)
    agree(proposed)
    empty = make_account(funded=100)
    standing = correct(empty, source, 100)
    close_by_hand(empty)
    assert isinstance(agree(standing).refusal, adjustments.AccountGone)
    standing.refresh_from_db()
    assert standing.status == "refused"


# --- Two people -----------------------------------------------------------------------------------------------------


def test_whoever_proposed_it_does_not_answer_it() -> None:
    senior = staff("Senior officer")
    proposed = correct(make_account(funded=500), make_account(), actor=senior)
    with pytest.raises(adjustments.SecondPersonNeeded):
        agree(proposed, senior)
    with pytest.raises(adjustments.SecondPersonNeeded):
        adjustments.decline(actor=senior, adjustment_id=proposed.id, reason="no", now=now())
    with pytest.raises(IntegrityError) as caught, transaction.atomic():
        Adjustment.objects.filter(id=proposed.id).update(checker_id=senior.principal_id)
    assert isinstance(translate_database_error(caught.value), adjustments.SecondPersonNeeded)


def test_who_may_not_propose_or_agree_does_neither() -> None:
    source, destination = make_account(funded=500), make_account()
    for role in ("Auditor", "Administrator"):
        with pytest.raises(PermissionMissing):
            correct(source, destination, actor=staff(role))
    with pytest.raises(PermissionMissing):
        correct(source, destination, actor=flows.owner(source))
    proposed = correct(source, destination)
    with pytest.raises(PermissionMissing):
        agree(proposed, staff("Officer"))
    left = staff("Senior officer")
    user = user_of(left)
    user.is_active = False
    user.save()
    with pytest.raises(PermissionMissing):
        agree(proposed, left)
    assert flows.balances(source) == (500, 500)


@pytest.mark.parametrize("side", ["payer", "receiver"])
def test_nobody_moves_money_of_his_own(side: str) -> None:
    source, destination = make_account(funded=1_000), make_account()
    made = paid(source, destination)
    owner = flows.owner(source if side == "payer" else destination)
    user = user_of(owner)
    user.is_staff = True
    user.save()
    user.groups.add(*user_of(staff("Senior officer")).groups.all())
    with pytest.raises(AboutYourself):
        reverse(made, actor=owner)
    proposed = reverse(made)
    with pytest.raises(AboutYourself):
        agree(proposed, owner)
    # At the wallet's loss, who keeps the money is on neither side of the movement.
    if side == "receiver":
        third = make_account()
        paid(destination, third)
        with pytest.raises(AboutYourself):
            agree(reverse(made, at_loss=True), owner)


def test_a_proposal_is_declined_by_another_and_withdrawn_by_its_maker() -> None:
    source, destination = make_account(funded=1_000), make_account()
    declined, withdrawn = correct(source, destination), correct(source, destination)
    senior = staff("Senior officer")
    adjustments.decline(actor=senior, adjustment_id=declined.id, reason="that was right", now=now())
    with pytest.raises(adjustments.NotYourProposal):
        adjustments.withdraw(actor=senior, adjustment_id=withdrawn.id, reason="no", now=now())
    adjustments.withdraw(actor=maker_of(withdrawn), adjustment_id=withdrawn.id, reason="a mistake", now=now())
    for row, status in ((declined, "declined"), (withdrawn, "withdrawn")):
        row.refresh_from_db()
        assert row.status == status
        with pytest.raises(adjustments.AdjustmentDecided) as caught:
            agree(row)
        assert caught.value.facts == {"status": status}
    assert (flows.balances(source), Escalation.objects.count()) == ((1_000, 1_000), 0)
    with pytest.raises(adjustments.AdjustmentNotFound):
        adjustments.approve(actor=senior, adjustment_id=uuid4(), now=now())


def test_agreed_and_withdrawn_at_once_is_one_of_them() -> None:
    source, destination = make_account(funded=1_000), make_account()
    proposed = correct(source, destination)
    maker, checker = maker_of(proposed), staff("Senior officer")
    results = at_once(
        lambda: agree(proposed, checker),
        lambda: adjustments.withdraw(actor=maker, adjustment_id=proposed.id, reason="no", now=now()),
    )
    assert [isinstance(result, adjustments.AdjustmentDecided) for result in results].count(True) == 1
    proposed.refresh_from_db()
    assert flows.balances(source)[0] == {"posted": 700, "withdrawn": 1_000}[proposed.status]


def test_opposing_corrections_and_reversals_while_others_pay_never_deadlock() -> None:
    one, two = make_account(funded=50_000), make_account(funded=50_000)
    made = paid(one, two, 5_000)
    maker, checkers = staff(), [staff("Senior officer") for _ in range(4)]
    rows = [correct(*pair, 10, actor=maker) for pair in [(one, two), (two, one)] * 4]
    rows += [reverse(made, 100, actor=maker) for _ in range(4)]

    def answer(mine: list[Adjustment], checker: Actor) -> None:
        for row in mine:
            agree(row, checker)

    def pay() -> None:
        for source, destination in [(one, two), (two, one)] * 4:
            flows.transfer(source, destination, 3)
            flows.settle_everything()

    results = at_once(*[lambda i=i: answer(rows[i::4], checkers[i]) for i in range(4)], pay, pay)
    assert [result for result in results if isinstance(result, Exception)] == []
    assert Adjustment.objects.filter(status="posted").count() == 12
    assert flows.balances(one)[0] + flows.balances(two)[0] == 100_000
    verify("--no-bank")


def test_the_application_can_not_rewrite_a_proposal(app_connection: psycopg.Connection) -> None:
    proposed = correct(make_account(funded=1_000), make_account())
    for change in ("amount = 1", "reason = 'x'", "maker_id = checker_id"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            app_connection.execute(f"UPDATE ledger_adjustment SET {change} WHERE id = %s", [proposed.id])
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        app_connection.execute("DELETE FROM ledger_adjustment")


def test_money_of_a_customer_is_not_adjusted_without_two_people() -> None:
    """Whoever calls the posting functions: there has to be a proposal that says just this."""
    source, destination = make_account(funded=1_000), make_account()
    proposed = correct(source, destination)
    checker = staff("Senior officer")

    def post(identity: UUID, amount: int) -> None:
        with transaction.atomic():
            Adjustment.objects.filter(id=proposed.id).update(
                status="posted", checker_id=checker.principal_id, decided_at=now(), transaction_id=identity
            )
            one = money.leg("adjustment", source, destination, amount)
            money.post(posting.Leg(identity, one.kind, one.debit, one.credit, amount, "EUR"))

    with pytest.raises(IntegrityError, match="two people"):
        money.post(money.leg("adjustment", source, destination, 300))
    with pytest.raises(IntegrityError, match="two people"):
        post(uuid4(), 301)
    assert flows.balances(source) == (1_000, 1_000)
