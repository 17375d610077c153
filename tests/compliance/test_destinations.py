"""Whom a payout goes to is looked for on the lists, and what staff let through is remembered."""

from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import Account
from compliance import destinations
from compliance.models import DestinationMatch, Screening
from compliance.services import screening
from compliance.services.list_activation import activate_version, confirm_activation
from compliance.states import CasePriority
from compliance.watchlists import forget_lists
from tests.compliance.lists.test_matches import MALLORY, decide, in_force, rescreen
from tests.compliance.people import staff
from tests.ledger import flows
from tests.support.factories import NOW, make_account, make_customer

pytestmark = pytest.mark.django_db
PAYEE = "Zoltan Qvarnström-Petrakis"
ELSEWHERE = "FR1420041010050500013M02606"


def paid_to(account: Account, name: str, *, iban: str = flows.IBAN) -> Screening:
    made = flows.withdraw(account, 100, name=name, iban=iban)
    screening.screen_due(now=timezone.now())
    return Screening.objects.get(transaction_id=made.id)


def rules_of(screened: Screening) -> list[str]:
    return [finding["rule"] for finding in screened.findings]


def test_a_payout_to_a_name_on_a_list_waits_for_two_people_and_says_which_words_met(tmp_path: Path) -> None:
    in_force(tmp_path, PAYEE, "Somebody Else")
    account = make_account(funded=10_000)
    assert paid_to(account, "Ada Byron").status == "approved"
    stopped = paid_to(account, "PETRAKIS QVARNSTROM, Zoltan")
    assert (stopped.status, rules_of(stopped)) == ("in_review", ["destination_on_a_list"])
    assert stopped.case.priority == CasePriority.HIGH
    (match,) = stopped.matches.all()
    assert stopped.facts["destination_score"] == match.score >= 75
    told = match.explanation
    assert (told["list"], told["version"], told["threshold"]) == ("The list", 1, 75)
    assert told["aligned"]


def test_what_staff_have_let_through_is_remembered_until_either_side_changes(tmp_path: Path) -> None:
    in_force(tmp_path, PAYEE)
    account, other = make_account(funded=10_000), make_account(funded=10_000)
    decide(paid_to(account, PAYEE).case, "approve")
    assert paid_to(account, PAYEE).facts["destination_score"] == 0
    assert paid_to(other, PAYEE).status == "approved", "it is the destination that was looked at, whoever pays"
    elsewhere = paid_to(account, PAYEE, iban=ELSEWHERE)
    assert elsewhere.status == "in_review", "another bank account may be somebody else's"
    decide(elsewhere.case, "reject")
    assert paid_to(account, PAYEE, iban=ELSEWHERE).status == "in_review", "a refusal lets nobody by"
    in_force(tmp_path, PAYEE, name="Another list")
    forget_lists()
    assert paid_to(account, PAYEE).status == "in_review", "it is another entry"


def test_an_allow_list_stops_nobody(tmp_path: Path) -> None:
    listed = in_force(tmp_path, PAYEE, purpose="allow")
    activate_version(actor=staff(), version_id=listed.id, reason="we know him", now=NOW)
    confirm_activation(actor=staff("Senior officer"), version_id=listed.id, reason="so do I", now=NOW)
    assert paid_to(make_account(funded=10_000), PAYEE).status == "approved"
    assert DestinationMatch.objects.count() == 0


def test_where_the_lists_can_not_be_read_a_person_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Any:
        raise ValueError("an index of another release")

    monkeypatch.setattr(destinations, "lists_in_force", broken)
    account = make_account(funded=10_000)
    screened = paid_to(account, "Ada Byron")
    assert (screened.status, screened.facts["destination_score"]) == ("in_review", None)
    assert "destination_on_a_list" in screened.findings[0]["explanation"]
    made = flows.transfer(account, make_account(), 100)
    screening.screen_due(now=timezone.now())
    assert Screening.objects.get(transaction_id=made.id).status == "approved", "it has no payee of its own to look for"


def test_names_are_looked_for_once_for_a_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_force(tmp_path, PAYEE)
    asked: list[str] = []
    really = destinations.look_for
    monkeypatch.setattr(destinations, "look_for", lambda query, lists: asked.append(query.name) or really(query, lists))
    account = make_account(funded=10_000)
    for _ in range(3):
        paid_to(account, "Ada Byron")
    assert asked == ["Ada Byron"]


def test_a_payment_with_somebody_whose_name_waits_for_a_decision_waits_too(tmp_path: Path) -> None:
    payer = make_account(funded=10_000)
    payee = make_account(make_customer(profile=MALLORY))
    in_force(tmp_path, "Mallory Fraudster")
    rescreen()
    made = flows.transfer(payer, payee, 100)
    screening.screen_due(now=timezone.now())
    screened = Screening.objects.get(transaction_id=made.id)
    assert (screened.status, rules_of(screened)) == ("in_review", ["party_on_a_list"])
