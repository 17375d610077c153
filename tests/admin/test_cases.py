"""Cases are decided by buttons: a GET only asks, a POST checks again, and the service has the last word."""

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.db import transaction
from django.test import Client

from accounts.models import User
from compliance.models import Case, CaseNote, Decision, StateChange
from compliance.services import case_queue
from compliance.states import CaseStatus
from ledger import steps
from ledger.models import Escalation, Transaction
from ledger.models import InboundEvent as BankEvent
from ledger.services import events, payments
from ledger.states import EscalationKind, TransactionStatus
from tests.admin.house import House, action_url, come_in, take
from tests.support.factories import NOW, actor_of
from wallet_project.utils.money import Money

Login = Callable[[str], Client]
Staff = Callable[[str], User]
ACTIONS = [
    "take",
    "put-back",
    "note",
    "approve",
    "reject",
    "retry",
    "fail",
    "acknowledge",
    "confirm",
    "send-back",
    "withdraw",
]
EVENTS = "/admin/ledger/inboundevent/"
REASON = {"reason": "I have looked at it", "text": "I have looked at it"}


def said(answer: object) -> str:
    return " ".join(str(message) for message in get_messages(answer.wsgi_request))  # type: ignore[attr-defined]


def page(client: Client, case: Case) -> str:
    return client.get(f"/admin/compliance/case/{case.id}/change/").content.decode()


def test_a_get_asks_and_changes_nothing(house: House, login: Login, staff: Staff) -> None:
    client, case = login("Senior officer"), house.held_case
    take(case, staff("Senior officer"))
    before = list(Case.objects.order_by("id").values()), StateChange.objects.count(), Decision.objects.count()
    for action in ACTIONS:
        for method in (client.get, client.head):
            assert method(action_url(case, action)).status_code in (200, 302), action
        assert client.put(action_url(case, action)).status_code == 405
    assert (list(Case.objects.order_by("id").values()), StateChange.objects.count(), Decision.objects.count()) == before
    form = client.get(action_url(case, "approve")).content.decode()
    assert "12,000.00 EUR" in form
    assert "csrfmiddlewaretoken" in form


def test_a_post_without_its_token_is_refused(house: House, staff: Staff) -> None:
    client = come_in(Client(enforce_csrf_checks=True), staff("Officer"))
    assert client.post(action_url(house.held_case, "take")).status_code == 403
    assert house.held_case.status == CaseStatus.OPEN


@pytest.mark.parametrize("role", ["Auditor", "Administrator"])
def test_who_may_not_work_on_cases_can_press_no_button(house: House, login: Login, role: str) -> None:
    client = login(role)
    for case in (house.held_case, house.identity_case, house.escalation_case):
        assert "/do/" not in page(client, case)
        for action in ACTIONS:
            assert client.get(action_url(case, action)).status_code == 403
            assert client.post(action_url(case, action), REASON).status_code == 403, action
    assert not Decision.objects.exists()
    assert not CaseNote.objects.exists()
    assert set(Case.objects.values_list("status", flat=True)) == {CaseStatus.OPEN}


def test_an_officer_takes_a_case_and_approves_the_payment(house: House, login: Login) -> None:
    client, case = login("Officer"), house.held_case
    assert "A single amount of 12,000.00 EUR" in page(client, case)
    client.post(action_url(case, "take"))
    assert house.held_case.status == CaseStatus.IN_PROGRESS
    answer = client.post(action_url(case, "approve"), REASON)
    assert "decided" in said(answer)
    assert house.held_case.status == CaseStatus.RESOLVED
    house.held.refresh_from_db()
    assert house.held.approved_at is not None


def test_an_officer_rejects_the_payment_and_the_funds_are_released(house: House, login: Login) -> None:
    client, case = login("Officer"), house.held_case
    client.post(action_url(case, "take"))
    client.post(action_url(case, "reject"), REASON)
    house.held.refresh_from_db()
    house.account.refresh_from_db()
    assert house.held.status == TransactionStatus.FAILED
    assert house.account.reserved == 0


@pytest.mark.parametrize(("action", "identity"), [("approve", "verified"), ("reject", "rejected")])
def test_an_officer_decides_an_identity(house: House, login: Login, action: str, identity: str) -> None:
    client, case = login("Officer"), house.identity_case
    html = page(client, case)
    assert "document is blurred" in html
    assert "X1234567" in html
    client.post(action_url(case, "take"))
    client.post(action_url(case, action), REASON)
    house.mary.refresh_from_db()
    assert house.mary.kyc_status == identity


def test_an_officer_acknowledges_an_escalation(house: House, login: Login) -> None:
    client, case = login("Officer"), house.escalation_case
    assert "nobody expected it" in page(client, case)
    client.post(action_url(case, "take"))
    client.post(action_url(case, "acknowledge"), REASON)
    assert house.escalation_case.status == CaseStatus.RESOLVED


def test_a_decision_needs_a_reason(house: House, login: Login) -> None:
    client, case = login("Officer"), house.held_case
    client.post(action_url(case, "take"))
    for empty in ({}, {"reason": "   "}, {"reason": "x" * 501}, {"reason": "a\x00b"}):
        answer = client.post(action_url(case, "approve"), empty)
        assert answer.status_code == 200
    assert house.held_case.status == CaseStatus.IN_PROGRESS
    assert not Decision.objects.exists()


def test_somebody_else_s_case_is_not_decided(house: House, login: Login, staff: Staff) -> None:
    take(house.held_case, staff("Senior officer"))
    answer = login("Officer").post(action_url(house.held_case, "approve"), REASON)
    assert "Somebody else" in said(answer)
    assert not Decision.objects.exists()


def test_what_is_not_possible_now_is_a_message_and_never_an_error(house: House, login: Login) -> None:
    client = login("Superuser")
    for case in (house.held_case, house.identity_case, house.escalation_case):
        for action in ("approve", "confirm", "send-back", "put-back", "retry", "fail", "acknowledge"):
            answer = client.post(action_url(case, action), {**REASON, "proposal": "1"})
            assert answer.status_code == 302, (case, action)
            assert ":" in said(answer)
    assert not Decision.objects.exists()
    assert client.post(action_url(house.held_case, "burn")).status_code == 404
    assert client.post("/admin/compliance/case/nonsense/do/take/").status_code == 404


def urgent(house: House) -> Case:
    """A case whose approval needs two people."""
    Case.objects.filter(id=house.held_case.id).update(priority="high")
    return house.held_case


def propose(house: House, client: Client) -> Case:
    case = urgent(house)
    client.post(action_url(case, "take"))
    assert "proposed" in said(client.post(action_url(case, "approve"), REASON))
    assert house.held_case.status == CaseStatus.AWAITING_APPROVAL
    return case


def answer_with(client: Client, case: Case, action: str) -> str:
    proposal = case.decisions.filter(checker=None).latest("id")
    return said(client.post(action_url(case, action), {**REASON, "proposal": str(proposal.id)}))


def test_a_second_person_confirms(house: House, login: Login) -> None:
    case = propose(house, login("Officer"))
    senior = login("Senior officer")
    assert "officer@wallet.example proposes to approve" in page(senior, case)
    assert "confirmed" in answer_with(senior, case, "confirm")
    assert house.held_case.status == CaseStatus.RESOLVED
    decision = Decision.objects.latest("id")
    assert (decision.maker.email, decision.agreed) == ("officer@wallet.example", True)


def test_a_second_person_sends_it_back(house: House, login: Login) -> None:
    case = propose(house, login("Officer"))
    answer_with(login("Senior officer"), case, "send-back")
    assert house.held_case.status == CaseStatus.IN_PROGRESS
    house.held.refresh_from_db()
    assert house.held.approved_at is None


def test_nobody_is_his_own_second_person(house: House, login: Login) -> None:
    senior = login("Senior officer")
    case = propose(house, senior)
    assert "/do/confirm/" not in page(senior, case)
    assert "second person" in answer_with(senior, case, "confirm")
    assert house.held_case.status == CaseStatus.AWAITING_APPROVAL


def test_who_made_a_proposal_withdraws_it_and_nobody_else_does(house: House, login: Login) -> None:
    officer, senior = login("Officer"), login("Senior officer")
    case = propose(house, officer)
    assert "other than officer@wallet.example" in page(senior, case)
    assert action_url(case, "withdraw") not in page(senior, case)
    assert "Somebody else" in said(senior.post(action_url(case, "withdraw"), REASON))
    assert action_url(case, "withdraw") in page(officer, case)
    seen = case.decisions.latest("id").id
    assert "yours again" in said(officer.post(action_url(case, "withdraw"), REASON))
    assert house.held_case.status == CaseStatus.IN_PROGRESS
    senior.post(action_url(case, "confirm"), {**REASON, "proposal": str(seen)})
    house.held.refresh_from_db()
    assert house.held.approved_at is None
    assert "another state" in said(officer.post(action_url(case, "withdraw"), REASON))


def test_an_officer_can_confirm_nothing(house: House, login: Login) -> None:
    case = propose(house, login("Senior officer"))
    assert login("Officer").post(action_url(case, "confirm"), {**REASON, "proposal": "1"}).status_code == 403
    assert house.held_case.status == CaseStatus.AWAITING_APPROVAL


def test_a_proposal_that_was_replaced_meanwhile_is_not_confirmed(house: House, login: Login) -> None:
    officer, senior = login("Officer"), login("Senior officer")
    case = propose(house, officer)
    seen = case.decisions.latest("id").id
    answer_with(senior, case, "send-back")
    officer.post(action_url(case, "approve"), {"reason": "for another reason"})
    answer = senior.post(action_url(case, "confirm"), {**REASON, "proposal": str(seen)})
    assert "replaced" in said(answer)
    assert house.held_case.status == CaseStatus.AWAITING_APPROVAL


def test_a_right_that_was_taken_away_counts_at_once(house: House, login: Login, staff: Staff) -> None:
    client, case = login("Officer"), house.held_case
    client.post(action_url(case, "take"))
    staff("Officer").groups.clear()
    assert client.post(action_url(case, "approve"), REASON).status_code == 403
    User.objects.filter(id=staff("Officer").id).update(is_active=False)
    assert client.post(action_url(case, "approve"), REASON).status_code == 302
    assert not Decision.objects.exists()


def test_a_note_stays_with_its_author(house: House, login: Login) -> None:
    client, case = login("Officer"), house.held_case
    client.post(action_url(case, "note"), {"text": "<script>alert(1)</script>"})
    note = CaseNote.objects.get()
    assert note.author.email == "officer@wallet.example"
    assert "<script>alert" not in page(client, case)
    assert "&lt;script&gt;alert" in page(client, case)


def test_the_queue_shows_what_waits_for_whom(house: House, login: Login, staff: Staff) -> None:
    client = login("Officer")
    take(house.held_case, staff("Officer"))

    def shown(queue: str) -> set[str]:
        html = client.get("/admin/compliance/case/", {"queue": queue} if queue else {}).content.decode()
        every = {str(case.id) for case in (house.held_case, house.identity_case, house.escalation_case)}
        return {identity for identity in every if identity in html}

    everything = {str(house.held_case.id), str(house.identity_case.id), str(house.escalation_case.id)}
    assert shown("") == everything
    assert shown("mine") == {str(house.held_case.id)}
    assert shown("open") == everything - shown("mine")
    assert shown("resolved") == set()
    assert shown("my_approval") == set()


def test_amounts_of_the_bank_are_shown_as_money(house: House, login: Login) -> None:
    moved: dict[str, Any] = {
        "asked": {"amount": 12_000, "currency": "EUR"},
        "amount": 123_456,
        "currency": "JPY",
        "odd": {"amount": 7, "currency": []},
    }
    with transaction.atomic():
        escalation = steps.escalate(
            kind=EscalationKind.POISONED_UNIT, subject_type="transaction", subject_id=house.held.id, details=moved
        )
    case_queue.open_cases(now=NOW)
    event = BankEvent.objects.create(event_id="evt_1", kind="credit.received", payload={"data": moved})
    client = login("Officer")
    detail = client.get(f"/admin/ledger/escalation/{escalation.id}/change/").text
    for html in (page(client, escalation.case), detail, client.get(f"{EVENTS}{event.id}/change/").text):
        assert "120.00 EUR" in html
        assert "123,456 JPY" in html
        assert "12000" not in html


def test_an_escalation_about_money_of_nobody_shows_what_moved(house: House, login: Login) -> None:
    credit = {"id": "crd_9", "amount": 43_210, "currency": "EUR", "reference": "invoice 12"}
    events.receive_bank_event(event_id="evt_9", payload={"type": "credit.received", "data": credit})
    events.process_bank_events(rail=None, now=NOW, rng=Random(1))
    escalation = Escalation.objects.get(details__bank_reference="crd_9")
    assert escalation.details["moved"] == {"amount": 43_210, "currency": "EUR"}
    case_queue.open_cases(now=NOW)
    escalation.refresh_from_db()
    client = login("Officer")
    detail = client.get(f"/admin/ledger/escalation/{escalation.id}/change/").text
    for html in (page(client, escalation.case), detail):
        assert "<dt>moved</dt>" in html
        assert "432.10 EUR" in html


def test_what_a_customer_calls_an_amount_is_left_alone(house: House, login: Login) -> None:
    payments.transfer(
        actor=actor_of(house.ada),
        source=house.account.id,
        destination=house.receiver.id,
        amount=Money(100, "EUR"),
        reference="",
        metadata={"amount": 12_000, "currency": "EUR"},
        key="with metadata",
        request_hash=bytes(32),
    )
    newest = Transaction.objects.latest("id")
    assert "12000" in login("Officer").get(f"/admin/ledger/transaction/{newest.id}/change/").text


def test_an_escalation_offers_what_would_not_be_refused(house: House, login: Login) -> None:
    client, case = login("Officer"), house.escalation_case
    client.post(action_url(case, "take"))
    html = page(client, case)
    assert action_url(case, "acknowledge") in html
    assert action_url(case, "fail") not in html
    assert action_url(case, "retry") not in html
