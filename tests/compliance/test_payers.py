"""Who has paid money in is looked for on the lists once the bank has named him, and before the money is posted."""

from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Account
from compliance import destinations
from compliance.models import Case, DestinationMatch, PayerScreening, Screening
from compliance.services.case_queue import tend_queue
from compliance.services.payers import screen_payers
from compliance.states import CasePriority
from compliance.watchlists import forget_lists
from ledger import posting
from ledger import steps as ledger
from ledger.failures import FailureCode
from ledger.models import Escalation, InboundEvent, RailTransfer, Transaction, WorkItem
from ledger.selectors import transactions
from ledger.services.clearing import clear_due
from ledger.suspense import open_items
from tests.admin.house import come_in
from tests.compliance.lists.test_matches import decide, in_force
from tests.compliance.people import at_once, staff, user_of
from tests.ledger import flows
from tests.ledger.test_bank_events import dispatched, process, report, suspense, tell
from tests.ledger.test_suspense import agree, assign, give_back
from tests.support.factories import PROFILE, api_client, make_account
from tests.support.pipeline import deliver, run_until, run_until_idle, verify
from wallet_project.sandbox.embedding import RunningSandbox
from wallet_project.utils.context import system_actor

pytestmark = pytest.mark.django_db
LISTED = "Zoltan Qvarnström-Petrakis"
IBAN = "DE89370400440532013000"
ELSEWHERE = "FR1420041010050500013M02606"
BOB = {"name": "Robert Tables", "iban": ELSEWHERE, "country": "FR"}


def paid(sandbox: RunningSandbox, name: str = LISTED, *, iban: str = IBAN) -> tuple[Account, Any, RailTransfer]:
    """A deposit that the bank has settled, naming who paid it, and whose payer was looked for."""
    account, made, row = dispatched()
    sandbox.bank.decide(row.key, "settled", "", {"name": name, "iban": iban, "country": "DE"})
    deliver(sandbox)
    process()
    screen_payers(now=timezone.now())
    row.refresh_from_db()
    return account, made, row


def stage_of(made: Any) -> str:
    return str(WorkItem.objects.get(unit_id=made.id).stage)


def looked_for(made: Any) -> PayerScreening:
    return PayerScreening.objects.get(transaction=made.id)


def test_a_deposit_whose_payer_nobody_lists_clears_and_says_where_he_was_looked_for(
    sandbox: RunningSandbox, tmp_path: Path
) -> None:
    version = in_force(tmp_path, LISTED)
    account, made, row = dispatched()
    # The customer's own name is no special case.
    himself = {"name": f"{PROFILE.first_name} {PROFILE.last_name}", "iban": "de89 3704 0044 0532 0130 00"}
    sandbox.bank.decide(row.key, "settled", "", himself)
    deliver(sandbox)
    process()
    flows.settle_everything()
    assert (stage_of(made), flows.status(made)) == ("payer", "pending"), "it was not looked for yet"
    screen_payers(now=timezone.now())
    flows.settle_everything()
    assert flows.status(made) == "cleared"
    assert flows.balances(account) == (4_000, 4_000)
    looked = looked_for(made)
    assert (looked.status, looked.versions, looked.threshold) == ("clear", [str(version.id)], 75)
    assert looked.asked == {"name": himself["name"], "iban": IBAN, "country": ""}
    assert not Case.objects.exists()
    verify()


def test_many_payers_are_looked_for_with_the_statements_of_one(sandbox: RunningSandbox, tmp_path: Path) -> None:
    in_force(tmp_path, LISTED)

    def named(*names: str) -> None:
        for name in names:
            _account, _made, row = dispatched()
            sandbox.bank.decide(row.key, "settled", "", {"name": name, "iban": IBAN, "country": ""})
        deliver(sandbox)
        process()

    named("Ada Byron")
    screen_payers(now=timezone.now())
    counted = []
    for names in (["Grace Hopper"], ["Mary Jackson", "Joan Clarke", "Radia Perlman", "Hedy Lamarr"]):
        named(*names)
        forget_lists()
        with CaptureQueriesContext(connection) as queries:
            assert screen_payers(now=timezone.now()) == len(names)
        counted.append(len(queries))
    assert counted[0] == counted[1] <= 12
    flows.settle_everything()
    assert Transaction.objects.filter(kind="deposit", status="cleared").count() == 6


def test_a_payer_on_a_list_waits_for_two_people_and_is_remembered(
    sandbox: RunningSandbox, tmp_path: Path, owner_connection: psycopg.Connection
) -> None:
    in_force(tmp_path, LISTED)
    account, made, _row = paid(sandbox, "QVARNSTROM PETRAKIS, Zoltan")
    looked = looked_for(made)
    assert (stage_of(made), looked.status, looked.case.priority) == ("review", "in_review", CasePriority.HIGH)
    assert f"may be on The list: {LISTED}" in looked.case.reason
    assert looked.case.customer_id == account.customer_id
    assert transactions.transaction_of_customer(account.customer_id, made.id).stage == "processing"
    verify()
    # Should it be sent to be posted all the same.
    owner_connection.execute("UPDATE ledger_workitem SET stage = 'clearing', next_at = now()")
    with pytest.raises(DatabaseError, match="its payer"), transaction.atomic():
        posting.clear(limit=1, actor=system_actor(), request_id="")
    owner_connection.execute("UPDATE ledger_workitem SET stage = 'review', next_at = NULL")
    auditor = come_in(Client(), user_of(staff("Auditor")))
    for page in (
        f"compliance/case/{looked.case.id}",
        f"compliance/payerscreening/{looked.id}",
        f"ledger/transaction/{made.id}",
    ):
        shown = auditor.get(f"/admin/{page}/change/").text
        assert "QVARNSTROM PETRAKIS, Zoltan" in shown, page
        assert LISTED in shown, page
        assert "The list, version 1" in shown, page
    assert "payer of a deposit" in auditor.get("/admin/compliance/case/", {"about": "payer_screening"}).text
    decide(looked.case, "approve")
    flows.settle_everything()
    assert (flows.status(made), flows.balances(account)) == ("cleared", (4_000, 4_000))
    assert Screening.objects.get(transaction=made.id).decided_by == "rules", "the screening stays as it was decided"
    told = api_client(user_of(staff("Auditor"))).get(f"/api/v1/screenings/{made.id}").json()["payer"]
    assert (told["name"], told["status"], told["lists_read"]) == ("QVARNSTROM PETRAKIS, Zoltan", "let_through", True)
    assert (told["matches"][0]["list"], told["matches"][0]["name"]) == ("The list", LISTED)
    assert [(each["verdict"], each["agreed"]) for each in told["decisions"]] == [("approve", None), ("approve", True)]

    _, again, _ = paid(sandbox, "QVARNSTROM PETRAKIS, Zoltan")
    assert looked_for(again).status == "clear", "the same name and bank account, whoever gets it"
    _, from_elsewhere, _ = paid(sandbox, "QVARNSTROM PETRAKIS, Zoltan", iban=ELSEWHERE)
    assert looked_for(from_elsewhere).status == "in_review", "another bank account may be somebody else's"
    verify()


def test_what_a_refused_payer_paid_goes_to_suspense_and_back_to_him_by_two_people(
    sandbox: RunningSandbox, tmp_path: Path
) -> None:
    in_force(tmp_path, LISTED)
    account, made, row = paid(sandbox)
    decide(looked_for(made).case, "reject")
    assert flows.status(made) == "failed: not_permitted"
    assert (flows.balances(account), suspense()) == ((0, 0), 4_000)
    assert looked_for(made).status == "refused"
    escalation = Escalation.objects.get(status="open")
    assert escalation.details["payer"] == row.payer
    tend_queue(now=timezone.now())
    assert f"may be on The list: {LISTED}" in escalation.case.reason
    assert [(each.status, each.matches.count()) for each in PayerScreening.objects.filter(escalation=escalation)] == [
        ("shown", 1)
    ]
    verify()
    returned = agree(give_back(escalation, name=LISTED)).adjustment.transaction_id
    # Whom it goes to is on the list as well, and two people have sent it: that is not asked again.
    run_until(lambda: Transaction.objects.get(id=returned).status == "cleared", sandbox=sandbox)
    assert (suspense(), open_items()) == (0, [])
    verify()


def test_where_the_lists_can_not_be_read_a_person_looks_for_the_payer(
    sandbox: RunningSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> Any:
        raise ValueError("an index of another release")

    monkeypatch.setattr(destinations, "lists_in_force", broken)
    account, made, _ = paid(sandbox, "Ada Byron")
    looked = looked_for(made)
    assert (looked.status, looked.versions, stage_of(made)) == ("in_review", None, "review")
    assert "could not be read" in looked.case.reason
    verify()
    _, other, _ = paid(sandbox, "Bob Byron")
    with transaction.atomic():
        assert ledger.resume([other.id]) == set(), "what waits for an officer goes on by his word alone"
    decide(looked.case, "approve")
    assert (stage_of(made), stage_of(other)) == ("clearing", "review"), "the word was about one of them"
    flows.settle_everything()
    assert flows.balances(account) == (4_000, 4_000)
    verify()


def test_a_second_word_of_the_bank_changes_nothing_and_another_name_is_for_a_human(
    sandbox: RunningSandbox, tmp_path: Path
) -> None:
    in_force(tmp_path, LISTED)
    account, made, row = paid(sandbox)
    tell(sandbox, "payment.settled", report(row, "settled", payer=row.payer))
    tell(sandbox, "payment.settled", report(row, "settled"))
    process()
    assert (stage_of(made), PayerScreening.objects.count()) == ("review", 1)
    for word in (report(row, "settled", payer=BOB), report(row, "rejected")):
        tell(sandbox, f"payment.{word['status']}", word)
    run_until(lambda: Escalation.objects.filter(kind="event_failed").count() == 2)
    row.refresh_from_db()
    assert row.payer["name"] == LISTED
    decide(looked_for(made).case, "reject")
    tell(sandbox, "payment.settled", report(row, "settled", payer=row.payer))
    process()
    assert (flows.status(made), flows.balances(account), suspense()) == ("failed: not_permitted", (0, 0), 4_000)
    verify()


def test_a_payer_who_is_named_late_is_looked_for_all_the_same(sandbox: RunningSandbox, tmp_path: Path) -> None:
    in_force(tmp_path, LISTED)
    waiting, posted = dispatched(), dispatched()
    for _account, _made, row in (waiting, posted):
        tell(sandbox, "payment.settled", report(row, "settled"))
        sandbox.bank.decide(row.key, "settled")
    process()
    assert {stage_of(made) for _account, made, _row in (waiting, posted)} == {"clearing"}
    listed = {"name": LISTED, "iban": IBAN, "country": ""}
    tell(sandbox, "payment.settled", report(waiting[2], "settled", payer=listed))
    process()
    screen_payers(now=timezone.now())
    clear_due()
    assert looked_for(waiting[1]).status == "in_review"
    assert [flows.status(made) for _account, made, _row in (waiting, posted)] == ["pending", "cleared"]
    for _ in range(2):
        tell(sandbox, "payment.settled", report(posted[2], "settled", payer=listed))
    process()
    tend_queue(now=timezone.now())
    late = Escalation.objects.get(kind="payer_named_late")
    assert (late.transaction_id, late.payer_screening.status) == (posted[1].id, "shown")
    assert (late.case.priority, LISTED in late.case.reason) == (CasePriority.HIGH, True)
    verify()


def test_whoever_paid_what_nobody_expected_is_shown_to_those_who_assign_it(
    sandbox: RunningSandbox, tmp_path: Path
) -> None:
    in_force(tmp_path, LISTED)
    for name in (LISTED, "Ada Byron"):
        sandbox.bank.credit({"amount": 700, "currency": "EUR", "payer": {"name": name, "country": "DE"}})
    sandbox.bank.credit({"amount": 9, "currency": "EUR"})
    deliver(sandbox)
    process()
    tend_queue(now=timezone.now())
    looked = {each.asked["name"]: each for each in PayerScreening.objects.select_related("escalation__case")}
    assert {name: each.status for name, each in looked.items()} == {LISTED: "shown", "Ada Byron": "clear"}
    reasons = {name: each.escalation.case.reason for name, each in looked.items() if each.escalation}
    assert "may be on The list" in reasons[LISTED]
    assert "list" not in reasons["Ada Byron"]
    account = make_account()
    escalation = looked["Ada Byron"].escalation
    assert escalation is not None
    agree(assign(escalation, account))
    assert (flows.balances(account), suspense()) == ((700, 700), 709)
    verify()


def test_a_word_of_which_nobody_can_tell_the_payer_leaves_the_deposit_to_a_human(sandbox: RunningSandbox) -> None:
    _account, made, row = dispatched()
    for payer in ("Ada", {"name": 5}):
        tell(sandbox, "payment.settled", report(row, "settled", payer=payer))
    process()
    assert Escalation.objects.filter(kind="event_failed").count() == 2
    assert flows.status(made) == "pending"
    tell(sandbox, "payment.settled", report(row, "settled", payer={"name": "  ", "iban": IBAN}))
    sandbox.bank.decide(row.key, "settled")
    process()
    flows.settle_everything()
    assert flows.status(made) == "cleared", "a bank account without a name is nobody to look for"


def test_a_deposit_that_ends_otherwise_closes_the_case_of_its_payer(sandbox: RunningSandbox, tmp_path: Path) -> None:
    in_force(tmp_path, LISTED)
    _account, made, _row = paid(sandbox)
    deposit = Transaction.objects.get(id=made.id)
    for expected in (True, False):
        with transaction.atomic():
            ledger.lock([deposit.id])
            deposit.refresh_from_db()
            done = ledger.fail_collected(
                deposit, code=FailureCode.NOT_PERMITTED, actor=system_actor(), reason="its customer is gone"
            )
        assert done is expected
    tend_queue(now=timezone.now())
    looked = looked_for(made)
    assert (looked.status, looked.case.status) == ("refused", "resolved")
    assert suspense() == 4_000
    verify()


@pytest.mark.parametrize("verdict", ["approve", "reject"])
def test_an_officers_word_and_the_banks_second_one_at_once(
    sandbox: RunningSandbox, tmp_path: Path, verdict: str
) -> None:
    in_force(tmp_path, LISTED)
    account, made, row = paid(sandbox)
    case = looked_for(made).case
    for payer in (row.payer, BOB):
        tell(sandbox, "payment.settled", report(row, "settled", payer=payer))
    results = at_once(lambda: decide(case, verdict), process, lambda: screen_payers(now=timezone.now()), clear_due)
    assert not [each for each in results if isinstance(each, Exception)]
    run_until_idle()
    money = (flows.status(made), flows.balances(account), suspense())
    assert (
        money
        == {
            "approve": ("cleared", (4_000, 4_000), 0),
            "reject": ("failed: not_permitted", (0, 0), 4_000),
        }[verdict]
    )
    assert looked_for(made).status == {"approve": "let_through", "reject": "refused"}[verdict]
    assert DestinationMatch.objects.filter(payer_screening__transaction=made.id).count() == 1
    assert InboundEvent.objects.filter(processed_at=None).count() == 1, "only the other name is for a human"
    verify()
