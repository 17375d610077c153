"""Customers' risk: what it is made of, who says what counts, its history, and what goes by it."""

import copy
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone

from accounts.models import Customer
from accounts.staff import PermissionMissing, ReasonRequired
from compliance import steps
from compliance.models import Case, CustomerRisk, RiskScore, RiskWeights, Screening, StateChange
from compliance.risk import DEFAULT_WEIGHTS, Known, WeightsInvalid, check_weights, known_of, score
from compliance.services import risk
from compliance.services.screening import screen_due
from compliance.states import RiskBand
from ledger.services.clearing import clear_due
from tests.admin.house import come_in
from tests.compliance.people import at_once, path_of, staff, user_of
from tests.compliance.test_levels import approved
from tests.ledger import flows
from tests.support.factories import fund, make_account, make_customer
from tests.support.pipeline import verify
from wallet_project.utils.ids import uuid7

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
QUIET = Known(
    customer_id=uuid7(), country="GB", level="full", since=NOW - timedelta(days=400), currencies=1, pays_out=False,
    sent_euros=0, debits=0, reviewed=0, refused=0, list_match=False,
)  # fmt: skip


def weights(**changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(dict(DEFAULT_WEIGHTS)), **changes}


def scored(customer: Customer) -> CustomerRisk:
    with transaction.atomic():
        steps.risk_changed([customer.id])
    while risk.score_due(now=timezone.now()):
        pass
    return CustomerRisk.objects.get(customer=customer)


@pytest.mark.parametrize(
    ("known", "total", "band", "parts"),
    [
        ({}, 0, "low", []),
        ({"country": "IR"}, 60, "high", ["country"]),
        ({"country": "VN", "level": "basic", "since": NOW}, 35, "medium", ["country", "level_basic", "new_customer"]),
        ({"sent_euros": 19_999, "debits": 499}, 0, "low", []),
        ({"sent_euros": 20_000, "debits": 500}, 30, "low", ["large_turnover", "many_debits"]),
        ({"reviewed": 3, "refused": 1, "currencies": 3, "pays_out": True}, 50, "medium",
         ["many_currencies", "pays_out", "reviewed", "refused"]),
        ({"country": "KP", "list_match": True, "level": "none"}, 100, "high", ["country", "level_none", "list_match"]),
    ],
)  # fmt: skip
def test_each_part_that_applies_has_its_points_and_says_why(
    known: dict[str, Any], total: int, band: str, parts: list[str]
) -> None:
    found = score(replace(QUIET, **known), DEFAULT_WEIGHTS, now=NOW)
    assert (found.score, found.band, [each["part"] for each in found.parts]) == (total, RiskBand(band), parts)
    assert all(each["because"] and each["points"] > 0 for each in found.parts)


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        {"points": {}},
        weights(more=1),
        weights(points={**DEFAULT_WEIGHTS["points"], "height": 1}),
        weights(points={**DEFAULT_WEIGHTS["points"], "refused": 101}),
        weights(points={**DEFAULT_WEIGHTS["points"], "refused": True}),
        weights(countries={"Iran": 1}),
        weights(countries={"IR": -1}),
        weights(large_turnover_from=0),
        weights(medium_from=60),
        weights(medium_from=0),
    ],
)
def test_weights_of_another_form_are_refused(wrong: Any) -> None:
    assert check_weights(weights()) == DEFAULT_WEIGHTS
    with pytest.raises(WeightsInvalid):
        check_weights(wrong)


@pytest.mark.django_db
def test_what_is_known_of_many_customers_is_read_at_once_and_is_what_their_rows_say() -> None:
    customer, other = approved(), make_customer()
    account, yen = make_account(customer), make_account(customer, "JPY")
    fund(account, 5_000_000)
    fund(yen, 500_000)
    for amount in (100_000, 200_000):
        flows.transfer(account, make_account(other), amount)
    flows.transfer(yen, make_account(other, "JPY"), 20_000)
    flows.transfer(account, make_account(customer, label="savings"), 400_000)
    first, second = sorted(known_of([other.id, customer.id], now=timezone.now()), key=lambda each: each.sent_euros)
    assert (first.customer_id, first.level, first.sent_euros, first.debits) == (other.id, "basic", 0, 0)
    assert (second.country, second.currencies, second.debits) == ("GB", 2, 4)
    # 3,000 euros, and 20,000 yen as 200; what stays with the customer is not sent.
    assert second.sent_euros == 3_200
    later = known_of([customer.id], now=timezone.now() + timedelta(days=31))
    assert [(each.sent_euros, each.debits) for each in later] == [(0, 0)]


@pytest.mark.django_db
def test_a_risk_is_found_out_when_the_identity_was_checked_and_its_history_has_a_line_for_each_change() -> None:
    customer = approved()
    assert CustomerRisk.objects.get(customer=customer).weights_id is None
    first = scored(customer)
    assert (first.score, first.band) == (15, "low")
    assert {each["part"] for each in first.parts} == {"level_basic", "new_customer"}
    assert first.next_at > timezone.now() + timedelta(hours=23)
    assert scored(customer).score == 15
    assert RiskScore.objects.filter(customer=customer).count() == 1
    later = timezone.now() + timedelta(days=90)
    assert risk.score_due(now=later) == CustomerRisk.objects.count()
    lines = list(RiskScore.objects.filter(customer=customer).values_list("score", flat=True))
    assert lines == [15, 5]
    verify("--no-bank")


@pytest.mark.django_db
def test_a_score_is_a_fact_of_payments_and_a_high_one_brings_cases_to_the_front() -> None:
    officer, senior = staff(), staff("Senior officer")
    risky = weights(countries={"GB": 80})
    version = risk.draft_weights(actor=officer, weights=risky, reason="a test")
    customer, calm = approved(), make_customer()
    accounts = [make_account(who, label="main") for who in (customer, calm)]
    for account in accounts:
        fund(account, 5_000_000)
    assert scored(customer).score == 15
    risk.activate_weights(actor=senior, weights_id=version.id, reason="agreed")
    assert (scored(customer).score, scored(customer).band) == (95, "high")
    made = [flows.transfer(account, make_account(), 1_200_000) for account in accounts]
    screen_due(now=timezone.now())
    found = [Screening.objects.get(transaction_id=each.id) for each in made]
    assert [each.facts["customer_risk"] for each in found] == [95, 0]
    cases = [Case.objects.get(screening=each) for each in found]
    assert [case.priority for case in cases] == ["high", "normal"]
    assert cases[1].due_at - cases[0].due_at >= timedelta(hours=19)
    clear_due()
    verify("--no-bank")


@pytest.mark.django_db
def test_weights_come_into_force_by_a_second_person_and_are_never_changed(
    owner_connection: psycopg.Connection,
) -> None:
    officer, senior, another = staff(), staff("Senior officer"), staff("Senior officer")
    with pytest.raises(PermissionMissing):
        risk.draft_weights(actor=staff("Auditor"), weights=weights(), reason="a try")
    with pytest.raises(ReasonRequired):
        risk.draft_weights(actor=officer, weights=weights(), reason=" ")
    draft = risk.draft_weights(actor=senior, weights=weights(high_from=70), reason="fewer cases")
    with pytest.raises(PermissionMissing):
        risk.activate_weights(actor=officer, weights_id=draft.id, reason="agreed")
    with pytest.raises(risk.SecondPersonNeeded):
        risk.activate_weights(actor=senior, weights_id=draft.id, reason="agreed with myself")
    with pytest.raises(risk.WeightsNotFound):
        risk.activate_weights(actor=senior, weights_id=uuid7(), reason="agreed")
    for change in ("status = 'active'", "weights = '{}'", "reason = 'another'"):
        with pytest.raises(psycopg.errors.CheckViolation):
            owner_connection.execute(f"UPDATE compliance_riskweights SET {change} WHERE id = %s", [draft.id])
        owner_connection.rollback()
    second = risk.draft_weights(actor=officer, weights=weights(high_from=80), reason="fewer still")
    answers = at_once(
        lambda: risk.activate_weights(actor=another, weights_id=draft.id, reason="agreed"),
        lambda: risk.activate_weights(actor=another, weights_id=draft.id, reason="agreed"),
        lambda: risk.discard_weights(actor=officer, weights_id=second.id, reason="not needed"),
    )
    assert sum(isinstance(each, risk.WeightsElsewhere) for each in answers) == 1
    assert sum(isinstance(each, RiskWeights) for each in answers) == 2
    assert RiskWeights.objects.get(status="active").id == draft.id
    assert (path_of(draft.id, StateChange), path_of(second.id, StateChange)) == (
        ["draft", "active"],
        ["draft", "retired"],
    )
    with pytest.raises(psycopg.errors.CheckViolation):
        owner_connection.execute("DELETE FROM compliance_riskscore; DELETE FROM compliance_riskweights")
    owner_connection.rollback()
    verify("--no-bank")


@pytest.mark.django_db
def test_sweeps_at_once_score_each_customer_once() -> None:
    customers = [approved() for _ in range(6)]
    now = timezone.now()
    counted = at_once(*[lambda: risk.score_due(now=now)] * 4)
    assert sum(counted) == CustomerRisk.objects.count() >= len(customers)
    assert RiskScore.objects.count() == CustomerRisk.objects.count()


@pytest.mark.django_db
def test_staff_see_the_parts_and_draft_and_agree_by_their_roles() -> None:
    def login(role: str) -> Client:
        return come_in(Client(), user_of(staff(role)))

    customer = approved()
    scored(customer)
    page = login("Auditor").get(f"/admin/accounts/customer/{customer.id}/change/").text
    assert "15 of 100, low" in page
    assert "new customer 10 (0 days)" in page
    first = RiskWeights.objects.get(number=1)
    form = {"weights": '{"points": {}}', "reason": "a try"}
    address = f"/admin/compliance/riskweights/{first.id}/do/draft/"
    for role, status in (("Auditor", 403), ("Administrator", 403), ("Officer", 302)):
        assert login(role).post(address, form).status_code == status
    assert RiskWeights.objects.count() == 1
    assert login("Officer").post(address, {**form, "weights": json.dumps(weights())}).status_code == 302
    draft = RiskWeights.objects.get(number=2)
    activate = f"/admin/compliance/riskweights/{draft.id}/do/activate/"
    assert login("Officer").post(activate, {"reason": "agreed"}).status_code == 403
    assert login("Senior officer").post(activate, {"reason": "agreed"}).status_code == 302
    draft.refresh_from_db()
    assert draft.status == "active"
