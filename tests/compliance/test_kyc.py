"""Identity checks against the sandbox's provider. Time is passed in; nothing waits for it."""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from accounts.models import Customer
from accounts.services.customers import restart_verification, update_profile
from compliance.models import Case, InboundEvent, KycCheck, StateChange
from compliance.providers.identity import IdentityAnswer, IdentityProfile, IdentityRequest, configured_identity_provider
from compliance.services import kyc
from compliance.services.case_queue import tend_queue
from compliance.services.identity_events import process_identity_events
from tests.compliance.people import account_states, applicant, at_once, case_of, check_of, path_of, staff
from tests.sandbox.calls import eventually
from tests.support.factories import PROFILE, actor_of, make_account
from tests.support.pipeline import deliver
from wallet_project.sandbox.embedding import RunningSandbox, fresh_config, running_sandbox
from wallet_project.utils.http_client import CallLimits, ProviderUnavailable

pytestmark = pytest.mark.django_db
NOW = datetime.now(UTC)


class LastMoment(Random):
    """Draws the longest wait each time, so that a test knows it."""

    def uniform(self, a: float, b: float) -> float:
        return b


def ask(now: datetime = NOW) -> int:
    kyc.start_due_checks(now=now)
    return kyc.run_due_checks(now=now, rng=LastMoment())


def kyc_status(customer: Customer) -> str:
    customer.refresh_from_db()
    return customer.kyc_status


def test_an_approved_identity_opens_every_account_that_waits_for_it(sandbox: RunningSandbox) -> None:
    customer = applicant(accounts=3)
    assert ask() == 1
    check = check_of(customer)
    assert kyc_status(customer) == "verified"
    assert account_states(customer) == ["open", "open", "open"]
    assert (check.status, check.decided_by, check.next_at, check.lease_token) == ("approved", "provider", None, None)
    assert check.profile_id == customer.profile_id == customer.verified_profile_id
    assert check.answers[0]["raw"]["reference"] == f"kyc-{check.id}"
    assert path_of(check.id, StateChange) == ["queued", "running", "approved"]


def test_accounts_asked_for_meanwhile_share_the_running_check(sandbox: RunningSandbox) -> None:
    customer = applicant("SBX-NO-CALLBACK")
    ask()
    make_account(customer)
    make_account(customer)
    eventually(lambda: sandbox.identity.view(f"kyc-{check_of(customer).id}")["status"] == "approved")
    ask(NOW + timedelta(seconds=6))
    assert KycCheck.objects.filter(customer=customer).count() == 1
    assert account_states(customer) == ["open", "open", "open"]


def test_a_rejected_identity_rejects_the_accounts_with_a_reason_for_the_customer(sandbox: RunningSandbox) -> None:
    customer = applicant("SBX-REJECT", accounts=2)
    ask()
    assert kyc_status(customer) == "rejected"
    assert account_states(customer) == ["rejected", "rejected"]
    reasons = {customer.kyc_reason, *customer.accounts.values_list("status_reason", flat=True)}
    assert len(reasons) == 1
    assert "could not verify your identity" in reasons.pop()
    assert check_of(customer).reason == "provider: document_not_genuine"
    assert ask(NOW + timedelta(days=1)) == 0


def test_what_the_provider_cannot_tell_becomes_a_case(sandbox: RunningSandbox) -> None:
    customer = applicant("SBX-REVIEW")
    ask()
    case = case_of(customer)
    assert (check_of(customer).status, kyc_status(customer)) == ("in_review", "pending")
    assert (case.status, case.kyc_check_id) == ("open", check_of(customer).id)
    assert case.reason == "The provider cannot tell. photo_unclear"
    assert case.due_at == NOW + timedelta(hours=24)
    assert ask(NOW + timedelta(days=1)) == 0


def test_a_provider_that_fails_twice_is_asked_again_with_backoff(sandbox: RunningSandbox) -> None:
    customer = applicant("SBX-FAIL-TWICE")
    ask()
    check = check_of(customer)
    assert (check.status, check.attempts, check.next_at) == ("running", 1, NOW + timedelta(seconds=1))
    assert ask(NOW) == 0
    ask(NOW + timedelta(seconds=1))
    assert check_of(customer).next_at == NOW + timedelta(seconds=3)
    ask(NOW + timedelta(seconds=3))
    assert kyc_status(customer) == "verified"


def test_after_eight_tries_a_person_decides(sandbox: RunningSandbox) -> None:
    customer = applicant("SBX-DOWN")
    now = NOW
    waits = []
    for _ in range(8):
        assert ask(now) == 1
        check = check_of(customer)
        if check.next_at is not None:
            waits.append((check.next_at - now).total_seconds())
            now = check.next_at
    assert waits == [1, 2, 4, 8, 16, 32, 64]
    assert (check.status, check.attempts, kyc_status(customer)) == ("in_review", 8, "pending")
    assert "8 tries" in case_of(customer).reason
    assert ask(now + timedelta(days=1)) == 0
    assert Case.objects.count() == 1


def test_waits_are_drawn_from_the_whole_range(sandbox: RunningSandbox) -> None:
    customer = applicant("SBX-DOWN")
    kyc.start_due_checks(now=NOW)
    kyc.run_due_checks(now=NOW, rng=Random(4))
    waited = check_of(customer).next_at
    assert waited is not None
    assert NOW <= waited < NOW + timedelta(seconds=1)


@pytest.mark.parametrize("document", ["SBX-REFUSE", "SBX-WRONG-REFERENCE"])
def test_an_answer_that_asking_again_cannot_mend_is_a_case_at_once(sandbox: RunningSandbox, document: str) -> None:
    customer = applicant(document)
    ask()
    assert (check_of(customer).status, check_of(customer).attempts) == ("in_review", 1)
    assert case_of(customer).status == "open"
    assert account_states(customer) == ["requested"]


@pytest.fixture
def impatient(sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound on a call is shorter than the sandbox's hang."""
    from compliance.providers import identity

    short = CallLimits(total_seconds=0.2)
    monkeypatch.setattr(
        kyc,
        "configured_identity_provider",
        lambda: identity.http_identity_provider(sandbox.url, sandbox.config.identity_api_key, short),
    )


@pytest.mark.usefixtures("impatient")
def test_a_time_out_is_tried_again_and_then_a_person_decides(sandbox: RunningSandbox) -> None:
    customer = applicant("SBX-TIMEOUT")
    ask()
    check = check_of(customer)
    assert (check.status, check.attempts) == ("running", 1)
    assert check.answers[0]["error"] == "provider_unavailable"
    KycCheck.objects.filter(id=check.id).update(attempts=7)
    ask(NOW + timedelta(minutes=1))
    assert (check_of(customer).status, kyc_status(customer)) == ("in_review", "pending")


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("document", ["SBX-TIMEOUT-AFTER", "SBX-GARBAGE"])
def test_an_answer_that_got_lost_is_asked_for_and_not_asked_anew(sandbox: RunningSandbox, document: str) -> None:
    customer = applicant(document)
    ask()
    assert kyc_status(customer) == "pending"
    ask(NOW + timedelta(seconds=1))
    assert kyc_status(customer) == "verified"
    submissions = [request for request in sandbox.sandbox.requests if request["method"] == "POST"]
    assert len(submissions) == 1


def test_a_callback_makes_the_check_due(sandbox: RunningSandbox, client: Any) -> None:
    customer = applicant("SBX-CALLBACK")
    ask()
    check = check_of(customer)
    assert (check.status, check.next_at, check.attempts) == ("running", NOW + kyc.FIRST_POLL, 0)
    eventually(lambda: sandbox.callbacks("identity"))
    assert deliver(sandbox, "identity") == [200]
    soon = NOW + timedelta(seconds=1)
    assert ask(soon) == 0
    assert process_identity_events(now=datetime.now(UTC) + timedelta(seconds=1)) == 1
    assert ask(datetime.now(UTC) + timedelta(seconds=1)) == 1
    assert kyc_status(customer) == "verified"


def test_a_callback_that_rejects(sandbox: RunningSandbox) -> None:
    customer = applicant("SBX-CALLBACK-REJECT")
    ask()
    eventually(lambda: sandbox.callbacks("identity"))
    deliver(sandbox, "identity")
    later = datetime.now(UTC) + timedelta(seconds=1)
    process_identity_events(now=later)
    ask(later)
    assert kyc_status(customer) == "rejected"


def test_the_same_callback_again_and_too_late_changes_nothing(sandbox: RunningSandbox) -> None:
    customer = applicant("SBX-DUPLICATE")
    ask()
    eventually(lambda: sandbox.callbacks("identity"))
    later = datetime.now(UTC) + timedelta(seconds=1)
    deliver(sandbox, "identity")
    deliver(sandbox, "identity")
    process_identity_events(now=later)
    ask(later)
    assert kyc_status(customer) == "verified"
    deliver(sandbox, "identity")
    assert InboundEvent.objects.count() == 1
    InboundEvent.objects.update(next_at=later)
    process_identity_events(now=later)
    assert ask(later) == 0
    assert InboundEvent.objects.get().last_error == "no check of ours waits for this"
    assert path_of(check_of(customer).id, StateChange) == ["queued", "running", "approved"]


def test_a_lost_callback_costs_only_time(sandbox: RunningSandbox) -> None:
    customer = applicant("SBX-NO-CALLBACK")
    ask()
    eventually(lambda: sandbox.identity.view(f"kyc-{check_of(customer).id}")["status"] == "approved")
    assert ask(NOW + timedelta(seconds=4)) == 0
    ask(NOW + timedelta(seconds=5))
    assert kyc_status(customer) == "verified"


def test_a_provider_that_never_decides_becomes_a_case(sandbox: RunningSandbox) -> None:
    customer = applicant("SBX-SILENT")
    now, asked = NOW, 0
    while check_of_or_none(customer) is None or check_of(customer).status in ("queued", "running"):
        asked += ask(now)
        now = check_of(customer).next_at or now
    assert check_of(customer).status == "in_review"
    assert timedelta(hours=1) <= now - NOW <= timedelta(hours=1, minutes=5)
    # Asked ever less often, and its one answer is on record once when it began and once when it was given up.
    assert asked < 30
    assert [entry["status"] for entry in check_of(customer).answers] == ["processing", "processing"]
    assert "has not decided it in 1 hours" in case_of(customer).reason


def check_of_or_none(customer: Customer) -> KycCheck | None:
    return KycCheck.objects.filter(customer=customer).first()


def test_with_no_provider_nobody_is_approved(settings: Any) -> None:
    settings.IDENTITY_URL = ""
    customer = applicant()
    ask()
    assert (check_of(customer).status, kyc_status(customer)) == ("in_review", "pending")
    assert account_states(customer) == ["requested"]
    assert case_of(customer).reason == (
        "No answer to rely on from the identity provider after one try: "
        "No identity provider is configured (IDENTITY_URL, IDENTITY_API_KEY)."
    )


def test_a_provider_that_nobody_answers_for_is_tried_again(settings: Any) -> None:
    customer = applicant()
    ask()
    assert (check_of(customer).status, check_of(customer).attempts) == ("running", 1)


class Scripted:
    """A provider whose answer is whatever a function does; for what happens while it is being asked."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer
        self.asked: list[str] = []

    def submit(self, check: IdentityRequest) -> IdentityAnswer:
        self.asked.append(check.reference)
        status = self._answer(check.profile)
        return IdentityAnswer(status=status, provider_reference="p-1", reason="", raw={"status": status})

    def status(self, reference: str) -> IdentityAnswer | None:
        return None


def in_thread(call: Any) -> None:
    thread = threading.Thread(target=lambda: at_once(call))
    thread.start()
    thread.join()


def change_profile(customer: Customer, document: str = "Y7654321") -> None:
    profile = replace(PROFILE, document_number=document)
    update_profile(actor=actor_of(customer), profile=profile, now=datetime.now(UTC))


def test_an_answer_about_an_older_profile_never_verifies_the_newer_one(sandbox: RunningSandbox) -> None:
    customer = applicant()

    def changes_meanwhile(profile: IdentityProfile) -> str:
        in_thread(lambda: change_profile(customer))
        return "approved"

    kyc.start_due_checks(now=NOW)
    kyc.run_due_checks(now=NOW, provider=Scripted(changes_meanwhile))
    old = check_of(customer)
    assert (old.status, kyc_status(customer), account_states(customer)) == ("approved", "pending", ["requested"])
    later = datetime.now(UTC)
    kyc.start_due_checks(now=later)
    new = check_of(customer)
    assert new.id != old.id
    assert new.profile_id == customer.profile_id != old.profile_id
    kyc.run_due_checks(now=later, provider=Scripted(lambda profile: "approved"))
    assert kyc_status(customer) == "verified"
    assert customer.verified_profile_id == new.profile_id


def test_a_rejection_of_an_older_profile_does_not_reject_the_newer_one(sandbox: RunningSandbox) -> None:
    customer = applicant()

    def changes_meanwhile(profile: IdentityProfile) -> str:
        in_thread(lambda: change_profile(customer))
        return "rejected"

    kyc.start_due_checks(now=NOW)
    kyc.run_due_checks(now=NOW, provider=Scripted(changes_meanwhile))
    assert (check_of(customer).status, kyc_status(customer)) == ("rejected", "pending")
    assert account_states(customer) == ["requested"]


def test_a_check_of_an_older_profile_that_waits_for_an_officer_is_closed_with_its_case(sandbox: RunningSandbox) -> None:
    customer = applicant("SBX-REVIEW")
    ask()
    old, case = check_of(customer), case_of(customer)
    change_profile(customer)
    ask()
    old.refresh_from_db()
    case.refresh_from_db()
    assert (old.status, old.decided_by, case.status) == ("rejected", "system", "resolved")
    assert kyc_status(customer) == "verified"


def test_a_queued_check_of_an_older_profile_is_never_asked_about(sandbox: RunningSandbox) -> None:
    customer = applicant("SBX-REJECT")
    kyc.start_due_checks(now=NOW)
    change_profile(customer)
    provider = Scripted(lambda profile: "approved" if profile.document_number == "Y7654321" else "rejected")
    kyc.start_due_checks(now=NOW)
    kyc.run_due_checks(now=NOW, provider=provider)
    assert kyc_status(customer) == "verified"
    assert provider.asked == [f"kyc-{check_of(customer).id}"]


def test_an_answer_that_comes_after_the_lease_was_lost_does_nothing(sandbox: RunningSandbox) -> None:
    customer = applicant()
    after_lease = NOW + timedelta(seconds=61)
    approving = Scripted(lambda profile: "approved")

    def loses_its_lease(profile: IdentityProfile) -> str:
        # Another worker takes over and is told that a person should look.
        in_thread(lambda: kyc.run_due_checks(now=after_lease, provider=Scripted(lambda profile: "review")))
        return "approved"

    kyc.start_due_checks(now=NOW)
    kyc.run_due_checks(now=NOW, provider=Scripted(loses_its_lease))
    assert (check_of(customer).status, kyc_status(customer)) == ("in_review", "pending")
    assert kyc.run_due_checks(now=after_lease, provider=approving) == 0
    assert [entry["status"] for entry in check_of(customer).answers] == ["review"]


def test_a_check_whose_worker_died_is_taken_up_when_its_lease_runs_out(sandbox: RunningSandbox) -> None:
    customer = applicant()

    def dies(profile: IdentityProfile) -> str:
        raise SystemExit

    kyc.start_due_checks(now=NOW)
    with pytest.raises(SystemExit):
        kyc.run_due_checks(now=NOW, provider=Scripted(dies))
    assert ask(NOW + timedelta(seconds=59)) == 0
    assert ask(NOW + timedelta(seconds=60)) == 1
    assert kyc_status(customer) == "verified"


def test_a_check_that_breaks_its_worker_each_time_ends_with_a_person(sandbox: RunningSandbox) -> None:
    customer, other = applicant(), applicant()

    def breaks(profile: IdentityProfile) -> str:
        raise RuntimeError

    kyc.start_due_checks(now=NOW)
    KycCheck.objects.filter(customer=other).update(next_at=NOW + timedelta(days=2))
    now = NOW
    for _ in range(8):
        assert kyc.run_due_checks(now=now, provider=Scripted(breaks)) == 1
        now += timedelta(seconds=60)
    assert kyc.run_due_checks(now=now, provider=Scripted(breaks)) == 0
    assert check_of(customer).status == "in_review"
    assert case_of(customer).reason == "No answer that could be used in 8 tries."


def test_one_check_that_breaks_keeps_no_other_back(sandbox: RunningSandbox) -> None:
    bad, good = applicant("BAD"), applicant("GOOD")

    def answer(profile: IdentityProfile) -> str:
        if profile.document_number == "BAD":
            raise RuntimeError
        return "approved"

    kyc.start_due_checks(now=NOW)
    assert kyc.run_due_checks(now=NOW, provider=Scripted(answer)) == 2
    assert (kyc_status(bad), kyc_status(good)) == ("pending", "verified")


def test_ten_workers_at_once_start_and_ask_about_one_check(sandbox: RunningSandbox) -> None:
    customer = applicant()
    provider = Scripted(lambda profile: "approved")

    def work() -> int:
        kyc.start_due_checks(now=NOW)
        return kyc.run_due_checks(now=NOW, provider=provider)

    results = at_once(*[work] * 10)
    assert all(isinstance(result, int) for result in results), results
    assert kyc.run_due_checks(now=NOW, provider=provider) + sum(results) == 1
    assert KycCheck.objects.filter(customer=customer).count() == 1
    assert len(provider.asked) == 1
    assert kyc_status(customer) == "verified"


def test_a_customer_who_was_rejected_is_checked_again_when_staff_say_so(sandbox: RunningSandbox) -> None:
    customer = applicant("SBX-REJECT")
    ask()
    change_profile(customer)
    assert ask(NOW + timedelta(days=1)) == 0
    restart_verification(customer_id=customer.id, actor=staff(), reason="sent better papers")
    ask(datetime.now(UTC))
    assert kyc_status(customer) == "verified"
    assert tend_queue(now=NOW) == 0


def test_a_verification_that_has_grown_old_is_made_again_while_what_is_open_goes_on(
    sandbox: RunningSandbox, settings: Any
) -> None:
    settings.IDENTITY_VALID_DAYS = 30
    customer = applicant()
    ask()
    assert kyc_status(customer) == "verified"
    assert customer.verified_until == NOW + timedelta(days=30)
    later = NOW + timedelta(days=30)
    assert kyc.refresh_due(now=later - timedelta(seconds=1)) == 0
    assert kyc.refresh_due(now=later) == 1
    assert kyc.refresh_due(now=later) == 0, "it is being checked already"
    assert (kyc_status(customer), account_states(customer)) == ("pending", ["open"])
    assert ask(later) == 1
    assert kyc_status(customer) == "verified"
    assert customer.verified_until == later + timedelta(days=30)
    assert KycCheck.objects.filter(customer=customer).count() == 2


def test_where_it_is_said_so_a_verification_never_grows_old(sandbox: RunningSandbox, settings: Any) -> None:
    settings.IDENTITY_VALID_DAYS = 0
    customer = applicant()
    ask()
    customer.refresh_from_db()
    assert customer.verified_until is None
    assert kyc.refresh_due(now=NOW + timedelta(days=36_500)) == 0


def test_those_that_have_grown_old_are_taken_by_one_of_ten_workers(sandbox: RunningSandbox) -> None:
    customers = [applicant() for _ in range(3)]
    ask()
    later = NOW + timedelta(days=1_000)
    assert sum(at_once(*[lambda: kyc.refresh_due(now=later)] * 10)) == 3
    assert [kyc_status(customer) for customer in customers] == ["pending"] * 3


def test_the_provider_is_never_asked_inside_a_transaction(sandbox: RunningSandbox) -> None:
    from django.db import transaction

    with transaction.atomic(), pytest.raises(RuntimeError, match="transaction"):
        list(kyc._ask_all([kyc._Question(NOW, NOW, 1, False, PROFILE)], None))  # type: ignore[arg-type]


def test_the_sandbox_and_the_wallet_agree_on_what_is_down(tmp_path: Path, settings: Any) -> None:
    with running_sandbox(fresh_config(tmp_path)) as running:
        for name, value in running.wallet_settings().items():
            setattr(settings, name, value)
    with pytest.raises(ProviderUnavailable):
        configured_identity_provider().status("kyc-1")
