"""Identity checks (know your customer): asked of a provider in the background, once for all of a customer's requests.

A check names the version of the profile that it is about. What the provider says counts for that version only; a
customer who has changed his profile meanwhile is checked again.
"""

import contextvars
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final
from uuid import UUID, uuid4

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef

from accounts import steps as accounts
from accounts.models import Customer, ProfileVersion
from accounts.states import KycStatus, Level
from compliance import document_files, matches, steps
from compliance.document_files import FileDamaged
from compliance.models import Document, KycCheck, NameScreening
from compliance.name_tokens import keep_tokens_of
from compliance.providers.identity import (
    IdentityAnswer,
    IdentityDocument,
    IdentityProfile,
    IdentityProvider,
    IdentityRequest,
    configured_identity_provider,
)
from compliance.states import ACTIVE, CaseStatus, CheckStatus, NameScreeningCause, NameScreeningStatus
from compliance.watchlists import ListInForce, forget_lists, lists_in_force
from wallet_project.utils.context import system_actor
from wallet_project.utils.errors import DatabaseUnavailable, translate_database_error
from wallet_project.utils.http_client import (
    ProviderAnswerMismatch,
    ProviderNotConfigured,
    ProviderRefused,
    ProviderUnavailable,
    assert_no_transaction,
)
from wallet_project.utils.metrics import retried
from wallet_project.utils.nudges import nudge
from wallet_project.utils.retry import MAX_TRIES, next_delay
from wallet_project.utils.transitions import born, move

logger = structlog.get_logger(__name__)

#: Checks asked about at once; the lease of 60 s is well above the 10 s that a call may take.
BATCH: Final = 8
#: Customers that are locked at once to be checked again.
REFRESH_BATCH: Final = 200
#: A provider that has accepted a check and does not decide it within this time: a person looks.
SILENCE: Final = timedelta(hours=1)
#: While it is deciding it is asked again, ever less often, in case its callback got lost.
FIRST_POLL: Final = timedelta(seconds=5)
LAST_POLL: Final = timedelta(minutes=5)
_ProviderError = ProviderUnavailable | ProviderRefused | ProviderAnswerMismatch | ProviderNotConfigured
_PROVIDER_ERRORS: Final = (ProviderUnavailable, ProviderRefused, ProviderAnswerMismatch, ProviderNotConfigured)


@dataclass(frozen=True, slots=True)
class _Question:
    """A leased check. `asked_before`: the provider may know it, so its status is asked for first."""

    check_id: UUID
    token: UUID
    attempts: int
    asked_before: bool
    profile: IdentityProfile
    level: str = Level.BASIC
    documents: tuple[IdentityDocument, ...] = ()

    @property
    def reference(self) -> str:
        return reference_of(self.check_id)


def reference_of(check_id: UUID) -> str:
    """The key under which the provider knows a check, derived from our row."""
    return f"kyc-{check_id}"


def run_checks(*, now: datetime) -> int:
    """Queue what is wanted and ask about a batch of what is due; how many were asked about."""
    start_due_checks(now=now)
    return run_due_checks(now=now)


def start_due_checks(*, now: datetime, limit: int = 200) -> int:
    """Queue a check for each customer who waits and has none; how many. A check that is about an older version of a
    profile is closed first."""
    _close_outdated(now=now, limit=limit)
    lists = lists_in_force()
    with transaction.atomic(durable=True):
        active = KycCheck.objects.filter(customer=OuterRef("pk"), level=Level.BASIC, status__in=ACTIVE)
        waiting = list(
            Customer.objects.filter(~Exists(active), kyc_status=KycStatus.PENDING, profile__isnull=False)
            .order_by("id")
            .select_related("profile")
            .select_for_update(no_key=True, skip_locked=True, of=("self",))[:limit]
        )
        if waiting and not matches.in_force_are(lists, matches.hold_versions()):
            # Others have come into force since this process last asked.
            forget_lists()
            lists = lists_in_force()
        started = 0
        for customer in waiting:
            assert customer.profile_id is not None, "asked for above"
            check = KycCheck(customer=customer, profile_id=customer.profile_id, next_at=now)
            # Two workers may both have seen none; the partial unique index lets one of them in.
            KycCheck.objects.bulk_create([check], ignore_conflicts=True)
            if KycCheck.objects.filter(id=check.id).exists():
                born(check, actor=system_actor())
                _look_for(customer, lists, now=now)
                started += 1
    return started


def refresh_due(*, now: datetime, limit: int = REFRESH_BATCH) -> int:
    """Have the customers checked again whose verification is too old to be relied on; how many. What is open goes on
    working meanwhile; what they request meanwhile waits for the result."""
    reason = f"verified more than {settings.IDENTITY_VALID_DAYS} days ago"
    with transaction.atomic(durable=True):
        old = Customer.objects.filter(kyc_status=KycStatus.VERIFIED, verified_until__lte=now).order_by("verified_until")
        due = list(old.select_for_update(no_key=True, skip_locked=True).values_list("id", flat=True)[:limit])
        for customer_id in sorted(due):
            accounts.request_verification(customer_id=customer_id, actor=system_actor(), reason=reason)
    return len(due)


def _look_for(customer: Customer, lists: Sequence[ListInForce], *, now: datetime) -> None:
    """Look for a locked customer, as he describes himself now, on the lists in force. A match holds the check until a
    person has decided it: no provider is asked about somebody whom the wallet may not serve."""
    assert customer.profile is not None, "asked for by the caller"
    found = matches.look(customer.profile, lists)
    keep_tokens_of(customer.profile)
    matches.outdate(customer, query=found.query, actor=system_actor(), now=now)
    matches.keep(
        [found],
        cause=NameScreeningCause.IDENTITY,
        versions=[each.version_id for each in lists],
        actor=system_actor(),
        now=now,
    )


def run_due_checks(
    *, now: datetime, limit: int = BATCH, rng: Random | None = None, provider: IdentityProvider | None = None
) -> int:
    """Ask the provider about up to `limit` due checks and act on what it says; how many were taken up.

    `provider` is the configured one by default. What comes back for a check whose lease has been lost is dropped.
    """
    rng = rng or Random()  # noqa: S311 - jitter, not a secret
    questions = _claim(now=now, limit=limit)
    for question, answer in _ask_all(questions, provider):
        try:
            _commit(question, answer.result(), now=now, rng=rng)
        except Exception as error:
            # The lease runs out and the check is tried again, a bounded number of times; the others go on meanwhile.
            if isinstance(translate_database_error(error), DatabaseUnavailable):
                raise
            logger.exception("identity_check_failed", check_id=str(question.check_id), attempts=question.attempts)
    if len(questions) == limit:
        nudge("accounts.identity_wanted")
    return len(questions)


def _close_outdated(*, now: datetime, limit: int) -> None:
    """Close active checks of waiting customers that are about an older version of their profile."""
    outdated = KycCheck.objects.filter(status__in=ACTIVE, customer__kyc_status=KycStatus.PENDING).exclude(
        profile=F("customer__profile")
    )
    for check_id in list(outdated.order_by("id").values_list("id", flat=True)[:limit]):
        with transaction.atomic(durable=True):
            _close_one_outdated(check_id, now=now)


def _close_one_outdated(check_id: UUID, *, now: datetime) -> None:
    case = getattr(KycCheck.objects.select_related("case").get(id=check_id), "case", None)
    if case is not None:
        case = steps.lock_case(case.id)
    check = KycCheck.objects.select_for_update(no_key=True).get(id=check_id)
    if check.status not in ACTIVE or (check.status == CheckStatus.IN_REVIEW and case is None):
        return
    reason = "The customer has changed his profile since."
    steps.end_check(check, "reject", decided_by="system", reason=reason, actor=system_actor(), now=now)
    if case is not None and case.status != CaseStatus.RESOLVED:
        steps.resolve_case(case, actor=system_actor(), reason=reason, now=now)


def _claim(*, now: datetime, limit: int) -> list[_Question]:
    with transaction.atomic(durable=True):
        due = list(
            KycCheck.objects.filter(~Exists(_MATCHED), status__in=[CheckStatus.QUEUED, CheckStatus.RUNNING])
            .filter(next_at__lte=now)
            .order_by("next_at")
            .select_for_update(no_key=True, skip_locked=True, of=("self",))
            .select_related("profile")[:limit]
        )
        questions = []
        for check in due:
            if check.status == CheckStatus.QUEUED:
                move(check, "start", actor=system_actor())
            if check.attempts >= MAX_TRIES:
                reason = f"No answer that could be used in {MAX_TRIES} tries."
                steps.hand_to_officer(check, reason=reason, actor=system_actor(), now=now)
                continue
            asked_before = bool(check.provider_reference) or check.attempts > 0
            check.attempts += 1
            check.lease_token, check.next_at = uuid4(), now + settings.LEASE
            check.save(update_fields=["attempts", "lease_token", "next_at"])
            if check.attempts > 1:
                retried("identity")
            questions.append(
                _Question(
                    check_id=check.id,
                    token=check.lease_token,
                    attempts=check.attempts,
                    asked_before=asked_before,
                    profile=_told(check.profile),
                    level=check.level,
                    documents=tuple(_shown(document) for document in check.documents.order_by("id")),
                )
            )
    return questions


#: A match of the check's customer that waits for a person.
_MATCHED: Final = NameScreening.objects.filter(customer=OuterRef("customer"), status=NameScreeningStatus.IN_REVIEW)


def _told(profile: ProfileVersion) -> IdentityProfile:
    return IdentityProfile(
        first_name=profile.first_name,
        last_name=profile.last_name,
        date_of_birth=profile.date_of_birth.isoformat(),
        country=profile.country,
        address=profile.address,
        document_type=profile.document_type,
        document_number=profile.document_number,
    )


def _shown(document: Document) -> IdentityDocument:
    return IdentityDocument(
        id=str(document.id),
        kind=document.kind,
        media_type=document.media_type,
        size=document.size,
        sha256=document.sha256,
        expires_on=document.expires_on.isoformat() if document.expires_on else None,
        content=lambda: document_files.read(document),
    )


def _ask_all(
    questions: Sequence[_Question], provider: IdentityProvider | None
) -> Iterator[tuple[_Question, "Future[IdentityAnswer | _ProviderError]"]]:
    """Ask about all of them at once, and give each answer as it comes: one that hangs keeps no other waiting."""
    if not questions:
        return
    assert_no_transaction()
    with ThreadPoolExecutor(max_workers=len(questions), thread_name_prefix="identity") as pool:
        asked: dict[Future[IdentityAnswer | _ProviderError], _Question] = {}
        for question in questions:
            # Each thread gets a copy of the context, so that its call carries the request id.
            future = pool.submit(contextvars.copy_context().run, _ask, question, provider)
            asked[future] = question
        for future in as_completed(asked):
            yield asked[future], future


def _ask(question: _Question, provider: IdentityProvider | None) -> IdentityAnswer | _ProviderError:
    try:
        asked = provider or configured_identity_provider()
        if question.asked_before:
            answer = asked.status(question.reference)
            if answer is not None:
                return answer
        # Safe to repeat: the provider knows the check by our reference.
        return asked.submit(
            IdentityRequest(
                reference=question.reference,
                callback_url=f"{settings.CALLBACK_URL}/webhooks/identity",
                profile=question.profile,
                level=question.level,
                documents=question.documents,
            )
        )
    except FileDamaged as error:
        return ProviderUnavailable(error.message, may_have_reached=False)
    except _PROVIDER_ERRORS as error:
        return error


def _commit(question: _Question, outcome: IdentityAnswer | _ProviderError, *, now: datetime, rng: Random) -> None:
    with transaction.atomic(durable=True):
        check = (
            KycCheck.objects.select_for_update(no_key=True)
            .filter(id=question.check_id, lease_token=question.token, status=CheckStatus.RUNNING)
            .first()
        )
        if check is None:
            # Somebody else has it, or it was closed: what we heard is theirs to hear again.
            logger.info("identity_lease_lost", check_id=str(question.check_id))
            return
        check.answers = [*check.answers, _on_record(outcome, now=now)]
        if isinstance(outcome, IdentityAnswer):
            _believe(check, outcome, now=now)
        else:
            _cope(check, outcome, now=now, rng=rng)


def _believe(check: KycCheck, answer: IdentityAnswer, *, now: datetime) -> None:
    check.provider_reference = answer.provider_reference[:128]
    check.attempts = 0
    check.save(update_fields=["provider_reference", "answers", "attempts"])
    reason = f"provider: {answer.reason}" if answer.reason else "provider"
    match answer.status:
        case "approved" if matches.is_held(check.customer_id):
            # Found on another version of a list while the provider was being asked. It is asked again afterwards.
            check.next_at, check.lease_token = now, None
            check.save(update_fields=["next_at", "lease_token"])
        case "approved" if matches.was_confirmed(check.profile):
            steps.hand_to_officer(
                check, reason="An officer has found this customer to be on a list.", actor=system_actor(), now=now
            )
        case "approved" | "rejected":
            steps.conclude(
                check,
                approved=answer.status == "approved",
                decided_by="provider",
                reason=reason,
                actor=system_actor(),
                now=now,
            )
        case "review":
            steps.hand_to_officer(
                check, reason=f"The provider cannot tell. {answer.reason}".strip(), actor=system_actor(), now=now
            )
        case "processing":
            _wait_for(check, now=now)


def _wait_for(check: KycCheck, *, now: datetime) -> None:
    """It is deciding: ask again later, unless it has had long enough."""
    polls = [entry for entry in check.answers if entry.get("status") == "processing"]
    accepted_at = datetime.fromisoformat(polls[0]["at"])
    if now - accepted_at >= SILENCE:
        hours = SILENCE.total_seconds() / 3600
        reason = f"The provider accepted the check and has not decided it in {hours:g} hours."
        steps.hand_to_officer(check, reason=reason, actor=system_actor(), now=now)
        return
    # The wait doubles with the time that has passed, however often a callback made us ask in between.
    check.next_at = now + min(LAST_POLL, max(FIRST_POLL, now - accepted_at))
    check.lease_token = None
    if len(polls) > 1:
        # The same word again is not worth a line of its own.
        check.answers = check.answers[:-1]
    check.save(update_fields=["next_at", "lease_token", "answers"])


def _cope(check: KycCheck, error: _ProviderError, *, now: datetime, rng: Random) -> None:
    """No answer: try again when that may help, otherwise a person decides. Nobody is approved for want of an answer."""
    delay = next_delay(check.attempts, rng) if isinstance(error, ProviderUnavailable) else None
    if delay is None:
        tries = "one try" if check.attempts == 1 else f"{check.attempts} tries"
        reason = f"No answer to rely on from the identity provider after {tries}: {error.message}"
        steps.hand_to_officer(check, reason=reason, actor=system_actor(), now=now)
        return
    check.next_at, check.lease_token = now + delay, None
    check.reason = steps.clipped(error.message)
    check.save(update_fields=["next_at", "lease_token", "reason", "answers"])


def _on_record(outcome: IdentityAnswer | _ProviderError, *, now: datetime) -> dict[str, Any]:
    """What was said, raw, and when. Of an error its code and facts; a refusal's body may quote the profile back."""
    at = now.isoformat()
    if isinstance(outcome, IdentityAnswer):
        return {"at": at, "status": outcome.status, "raw": outcome.raw}
    raw = {"raw": outcome.raw} if isinstance(outcome, ProviderAnswerMismatch) else {}
    return {"at": at, "error": outcome.code, "facts": outcome.facts, **raw}
