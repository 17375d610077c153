"""The pages of rules: what may be pressed by whom, what a draft is told, and what a screening says of its rules."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from compliance.admin.checks import FACT_NAMES
from compliance.models import Backtest, Rule, RulesRevision, RuleVersion, Screening
from compliance.rules import FACTS
from compliance.services import screening
from tests.admin.house import House, action_url, furnish_with_a_rule, pay
from tests.support.factories import NOW

DRAFT = {
    "expression": "amount < 100 &&\r\n  outgoing",
    "explanation": "Only {amount as money}.",
    "action": "review",
    "points": "0",
}


@pytest.fixture
def many_debits(house: House) -> Rule:
    return Rule.objects.get(name="many_debits")


def press(client: Client, row: Any, button: str, **values: Any) -> str:
    """What the page says after the button was pressed and the form sent."""
    url = action_url(row, button)
    assert client.get(url).status_code == 200, url
    return client.post(url, {"reason": "it is good", **values}, follow=True).text


def test_a_draft_that_cannot_be_meant_is_told_where_and_keeps_what_was_written(
    many_debits: Rule, login: Callable[[str], Client]
) -> None:
    officer = login("Officer")
    url = action_url(many_debits, "draft")
    assert "debits_1h + 1 &gt; limit.debits_per_hour" in officer.get(url).text
    page = officer.post(url, {**DRAFT, "expression": "outgoing &&\n amunt > 1", "explanation": "{amont}"}).text
    assert "Line 2, column 2: &#x27;amunt&#x27; is not a fact" in page
    assert "&#x27;amont&#x27; is not a fact" in page
    assert "amunt &gt; 1" in page
    assert many_debits.versions.count() == 1
    assert login("Auditor").post(url, DRAFT).status_code == 403
    assert many_debits.versions.count() == 1


def test_a_version_goes_by_buttons_and_by_two_people(
    house: House, many_debits: Rule, login: Callable[[str], Client]
) -> None:
    officer, senior = login("Officer"), login("Senior officer")
    assert "The draft is saved" in press(officer, many_debits, "draft", **DRAFT)
    version = RuleVersion.objects.get(rule=many_debits, number=2)
    assert version.expression == "amount < 100 &&\n  outgoing"
    revision = RulesRevision.objects.count()

    # A GET changes nothing, whoever asks.
    officer.get(action_url(version, "shadow"))
    assert RulesRevision.objects.count() == revision
    assert "It runs in shadow" in press(officer, version, "shadow")
    quiet = pay(house.account, house.receiver, 50)
    screening.screen_due(now=NOW)
    row = Screening.objects.get(transaction=quiet)
    assert row.status == "approved"
    page = senior.get(f"/admin/compliance/screening/{row.id}/change/").text
    assert "in shadow: review" in page
    assert f"set {revision + 1}" in page
    assert "Only 0.50 EUR." in senior.get(f"/admin/compliance/ruleversion/{version.id}/change/").text

    assert "Proposed." in press(officer, version, "activate")
    assert "not possible now" in officer.get(action_url(version, "activate"), follow=True).text
    proposal = version.decisions.get().id
    assert officer.post(action_url(version, "agree"), {"reason": "yes", "proposal": proposal}).status_code == 403
    assert "proposes to activate" in senior.get(action_url(version, "agree")).text
    assert "look at it again" in press(senior, version, "agree", proposal=proposal - 1)
    assert "Agreed and done" in press(senior, version, "agree", proposal=proposal)
    version.refresh_from_db()
    assert version.status == "active"

    held = pay(house.account, house.receiver, 60)
    screening.screen_due(now=NOW)
    page = senior.get(f"/admin/compliance/screening/{Screening.objects.get(transaction=held).id}/change/").text
    assert "Only 0.60 EUR." in page
    assert "many debits" in page
    period = {"since_0": "2020-01-01", "since_1": "00:00:00", "until_0": "2100-01-01", "until_1": "00:00:00"}
    assert "tried on the past" in press(officer, version, "backtest", **period)
    assert Backtest.objects.filter(version=version, status="queued").exists()
    other = furnish_with_a_rule()
    mine = other.decisions.get().id
    assert (
        "Somebody else proposed this"
        in officer.post(action_url(other, "withdraw"), {"reason": "no", "proposal": mine}, follow=True).text
    )


def test_another_rule_is_written_from_any_rules_page(many_debits: Rule, login: Callable[[str], Client]) -> None:
    officer = login("Officer")
    taken = {**DRAFT, "name": "many_debits", "description": "Something else."}
    assert "There is a rule of this name" in press(officer, many_debits, "new", **taken)
    assert "The draft is saved" in press(officer, many_debits, "new", **{**taken, "name": "tiny"})
    assert Rule.objects.get(name="tiny").versions.get().status == "draft"
    version = Rule.objects.get(name="tiny").versions.get()
    assert "It is over" in press(officer, version, "discard")


def test_staff_read_each_fact_by_a_name_of_its_own() -> None:
    assert FACT_NAMES.keys() | {"currency"} == FACTS.keys()
    assert len(set(FACT_NAMES.values())) == len(FACT_NAMES)
