"""Customers are looked for on the lists at their identity check, when they change, and when a list does."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from django.db import connection

from accounts.models import Account, Customer
from accounts.services.customers import restart_verification, update_profile
from compliance import effects, matches
from compliance.models import Case, KycCheck, ListVersion, NameMatch, NameScreening, Rescreening, StateChange
from compliance.names import DEFAULT_THRESHOLD, Query
from compliance.providers.identity import IdentityAnswer, IdentityRequest
from compliance.services import cases, kyc, rescreening
from compliance.services.case_queue import tend_queue
from compliance.services.list_activation import activate_version, confirm_activation
from compliance.services.lists import import_list
from compliance.verification import checks
from compliance.watchlists import explained_again, forget_lists
from tests.compliance.people import account_states, at_once, check_of, path_of, staff
from tests.support.factories import NOW, PROFILE, actor_of, make_account, make_customer
from wallet_project.utils.context import system_actor
from wallet_project.utils.errors import DatabaseBusy
from wallet_project.utils.verification import verify

pytestmark = pytest.mark.django_db
MALLORY = replace(PROFILE, first_name="Mallory", last_name="Fraudster")


class Approves:
    """An identity provider that approves; `meanwhile` happens while it is being asked."""

    def __init__(self, meanwhile: Callable[[], object] = lambda: None) -> None:
        self.asked, self.meanwhile = 0, meanwhile

    def submit(self, check: IdentityRequest) -> IdentityAnswer:
        self.asked += 1
        self.meanwhile()
        return IdentityAnswer("approved", "chk", "", {"reference": check.reference})

    def status(self, reference: str) -> IdentityAnswer | None:
        return None


def in_force(tmp_path: Path, *names: str, purpose: str = "sanctions", name: str = "The list") -> ListVersion:
    path = tmp_path / f"{purpose}.csv"
    path.write_text("id,name\n" + "".join(f"{each},{each}\n" for each in names))
    made = import_list(actor=system_actor(), path=path, format="internal-csv", name=name, purpose=purpose)
    if purpose != "allow":
        activate_version(actor=system_actor(), version_id=made.version.id, reason="new", now=NOW)
    return made.version


def applicant(last_name: str = "Fraudster") -> Customer:
    customer = make_customer(verified=False, profile=replace(MALLORY, last_name=last_name))
    make_account(customer)
    customer.refresh_from_db()
    return customer


def run_kyc(provider: Approves | None = None) -> Approves:
    provider = provider or Approves()
    kyc.start_due_checks(now=NOW)
    kyc.run_due_checks(now=NOW, provider=provider)
    return provider


def rescreen(limit: int | None = None) -> None:
    while rescreening.rescreen_customers(now=NOW, limit=limit):
        pass


def open_case(customer: Customer) -> Case:
    return Case.objects.exclude(status="resolved").get(customer=customer, name_screening__isnull=False)


def decide(case: Case, verdict: str) -> None:
    """As two officers do it, where two are needed."""
    officer = staff("Officer")
    cases.take_case(case_id=case.id, actor=officer)
    made = cases.decide_case(case_id=case.id, actor=officer, verdict=verdict, reason="looked at it", now=NOW)
    if made.status == "awaiting_approval":
        cases.confirm_case(case_id=case.id, actor=staff("Senior officer"), agree=True, reason="so did I", now=NOW)


def kyc_status(customer: Customer) -> str:
    return Customer.objects.get(id=customer.id).kyc_status


def all_is_well() -> None:
    found = [(result.name, row) for result in verify(checks(), timeout_seconds=30) for row in result.offending]
    assert found == []


def test_a_match_holds_the_identity_check_until_a_person_has_decided_it(tmp_path: Path) -> None:
    version = in_force(tmp_path, "FRAUDSTER Mallory", "Somebody Else")
    mallory, ada = applicant(), make_customer(verified=False)
    make_account(ada)
    assert run_kyc().asked == 1
    assert (kyc_status(ada), kyc_status(mallory)) == ("verified", "pending")
    assert NameScreening.objects.get(customer=ada).status == "clear"
    case = open_case(mallory)
    assert case.priority == "high"
    assert "The list: FRAUDSTER Mallory" in case.reason
    match = NameMatch.objects.get()
    assert match.version_id == version.id
    told = match.explanation
    assert (told["list"], told["version"], told["threshold"], told["name"]) == (
        "The list",
        1,
        DEFAULT_THRESHOLD,
        "FRAUDSTER Mallory",
    )
    assert told["score"] == match.score >= DEFAULT_THRESHOLD
    assert told["aligned"]
    assert match.screening.asked["name"] == "Mallory Fraudster"
    # Once more, from what is kept.
    again = explained_again(Query(**match.screening.asked), match.entry_id)
    assert again is not None
    assert json.loads(json.dumps(again.as_json())).items() <= told.items()
    all_is_well()

    decide(case, "approve")
    assert Case.objects.get(id=case.id).decisions.filter(checker__isnull=False).count() == 1
    assert run_kyc().asked == 1
    assert kyc_status(mallory) == "verified"
    assert path_of(case.name_screening_id or UUID(int=0), StateChange) == ["in_review", "cleared"]
    all_is_well()


def test_who_is_confirmed_to_be_on_a_list_is_rejected_and_frozen(tmp_path: Path) -> None:
    verified = make_customer(profile=MALLORY)
    account = make_account(verified)
    in_force(tmp_path, "Mallory Fraudster")
    pending = applicant()
    run_kyc()
    rescreen()
    assert Case.objects.filter(name_screening__isnull=False).count() == 2
    for customer in (verified, pending):
        decide(open_case(customer), "reject")
        assert kyc_status(customer) == "rejected"
    assert Account.objects.get(id=account.id).status == "frozen"
    assert account_states(pending) == ["rejected"]
    assert check_of(pending).status == "rejected"
    assert Customer.objects.get(id=pending.id).kyc_reason.startswith("We could not verify")
    all_is_well()
    # Staff may have him checked anew; no provider's word makes him another.
    restart_verification(customer_id=pending.id, actor=staff("Senior officer"), reason="he asks")
    assert run_kyc().asked == 1
    assert check_of(pending).status == "in_review"
    assert kyc_status(pending) == "pending"


def test_what_was_cleared_is_remembered_until_either_side_changes(tmp_path: Path) -> None:
    in_force(tmp_path, "Mallory Fraudster")
    mallory = applicant()
    run_kyc()
    decide(open_case(mallory), "approve")
    run_kyc()
    # Another address is no other name.
    update_profile(actor=actor_of(mallory), profile=replace(MALLORY, address="1 New Street"), now=NOW)
    run_kyc()
    assert kyc_status(mallory) == "verified"
    assert NameMatch.objects.count() == 1
    # Neither is another version with the same entry.
    in_force(tmp_path, "Mallory Fraudster", "Somebody Else")
    rescreen()
    assert NameMatch.objects.count() == 1
    update_profile(actor=actor_of(mallory), profile=replace(MALLORY, date_of_birth=date(1970, 1, 2)), now=NOW)
    run_kyc()
    assert NameMatch.objects.count() == 2
    decide(open_case(mallory), "approve")
    path = tmp_path / "changed.csv"
    path.write_text("id,name,note\nMallory Fraudster,Mallory Fraudster,again\nSomebody Else,Somebody Else,\n")
    made = import_list(actor=system_actor(), path=path, format="internal-csv", name="The list", purpose="sanctions")
    activate_version(actor=system_actor(), version_id=made.version.id, reason="new", now=NOW)
    rescreen()
    assert NameMatch.objects.count() == 3
    all_is_well()


def test_a_profile_that_changed_while_a_match_waited_is_looked_for_anew(tmp_path: Path) -> None:
    in_force(tmp_path, "Mallory Fraudster")
    mallory = applicant()
    run_kyc()
    case = open_case(mallory)
    update_profile(actor=actor_of(mallory), profile=replace(MALLORY, first_name="Grace", last_name="Hopper"), now=NOW)
    run_kyc()
    assert kyc_status(mallory) == "verified"
    assert NameScreening.objects.get(id=case.name_screening_id).status == "outdated"
    tend_queue(now=NOW)
    assert Case.objects.get(id=case.id).status == "resolved"
    all_is_well()


def test_a_match_that_is_found_while_the_provider_is_asked_counts(tmp_path: Path) -> None:
    mallory = applicant()

    def meanwhile() -> None:
        in_force(tmp_path, "Mallory Fraudster")
        rescreen()

    run_kyc(Approves(meanwhile))
    assert kyc_status(mallory) == "pending"
    assert check_of(mallory).status == "running"
    assert run_kyc().asked == 0
    decide(open_case(mallory), "approve")
    run_kyc()
    assert kyc_status(mallory) == "verified"


def test_a_version_that_comes_during_an_identity_check_waits_for_it_or_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a customer is being looked for on what is in force, nothing else comes into force."""
    in_force(tmp_path, "Somebody Else")
    path = tmp_path / "next.csv"
    path.write_text("id,name\n1,Mallory Fraudster\n")
    made = import_list(actor=system_actor(), path=path, format="internal-csv", name="Another", purpose="sanctions")
    mallory = applicant()
    results: list[object] = []
    look = matches.look

    def activate() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '50ms'")
        activate_version(actor=system_actor(), version_id=made.version.id, reason="now", now=NOW)

    def meanwhile(*args: object) -> object:
        results.extend(at_once(activate))
        return look(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(matches, "look", meanwhile)
    kyc.start_due_checks(now=NOW)
    assert [type(result) for result in results] == [DatabaseBusy]
    assert NameScreening.objects.get(customer=mallory).status == "clear"
    monkeypatch.undo()
    activate_version(actor=system_actor(), version_id=made.version.id, reason="now", now=NOW)
    rescreen()
    assert open_case(mallory)


def test_an_identity_is_not_approved_by_hand_while_a_match_is_open(tmp_path: Path) -> None:
    mallory = applicant()
    kyc.start_due_checks(now=NOW)
    check = KycCheck.objects.get(customer=mallory)
    KycCheck.objects.filter(id=check.id).update(attempts=100)
    run_kyc()
    case = Case.objects.get(kyc_check=check)
    in_force(tmp_path, "Mallory Fraudster")
    rescreen()
    officer = staff("Officer")
    cases.take_case(case_id=case.id, actor=officer)
    with pytest.raises(effects.NameUndecided):
        cases.decide_case(case_id=case.id, actor=officer, verdict="approve", reason="fine", now=NOW)


def test_our_own_lists_need_one_person_and_those_let_through_match_nobody(tmp_path: Path) -> None:
    in_force(tmp_path, "Mallory Fraudster", purpose="deny", name="Deny")
    mallory = applicant()
    run_kyc()
    case = open_case(mallory)
    assert case.priority == "normal"
    decide(case, "approve")
    assert not case.decisions.filter(checker__isnull=False).exists()
    friends = in_force(tmp_path, "Grace Hopper", purpose="allow", name="Friends")
    activate_version(actor=staff("Officer"), version_id=friends.id, reason="known", now=NOW)
    confirm_activation(actor=staff("Senior officer"), version_id=friends.id, reason="yes", now=NOW)
    forget_lists()
    make_account(
        grace := make_customer(verified=False, profile=replace(PROFILE, first_name="Grace", last_name="Hopper"))
    )
    run_kyc()
    assert kyc_status(grace) == "verified"


def test_all_customers_are_looked_for_when_a_version_comes_and_only_new_matches_make_cases(tmp_path: Path) -> None:
    people = [make_customer(profile=replace(MALLORY, last_name=name)) for name in ("Stone", "Wood", "Iron", "Stone")]
    in_force(tmp_path, "Mallory Stone")
    rescreen(limit=3)
    row = Rescreening.objects.get()
    total = Customer.objects.filter(profile__isnull=False).count()
    assert (row.screened, row.matched) == (total, 2)
    assert row.done_at == NOW
    assert {case.customer_id for case in Case.objects.all()} == {people[0].id, people[3].id}
    in_force(tmp_path, "Mallory Stone", "Mallory Wood")
    rescreen(limit=3)
    assert Rescreening.objects.latest("id").matched == 1
    assert Case.objects.count() == 3
    assert NameScreening.objects.filter(cause="list").count() == 3
    all_is_well()


def test_two_that_look_for_all_customers_at_once_find_each_match_once(tmp_path: Path) -> None:
    for name in ("Stone", "Wood", "Stone"):
        make_customer(profile=replace(MALLORY, last_name=name))
    in_force(tmp_path, "Mallory Stone")
    assert at_once(*[lambda: rescreen(limit=2)] * 3) == [None] * 3
    row = Rescreening.objects.get()
    assert row.screened == Customer.objects.filter(profile__isnull=False).count()
    assert (row.matched, Case.objects.count(), NameMatch.objects.count()) == (2, 2, 2)


def test_a_look_that_does_not_go_on_is_found_by_the_audit(tmp_path: Path) -> None:
    in_force(tmp_path, "Mallory Stone")
    Rescreening.objects.update(moved_at=NOW - timedelta(days=3650))
    found = [row["problem"] for result in verify(checks(), timeout_seconds=30) for row in result.offending]
    assert found == ["a look for all customers on a list that does not go on"]
