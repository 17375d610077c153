"""Reads of cases: the queue, what a person may do about a case, and why it is there. Nothing here writes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import connection
from django.db.models import QuerySet

from accounts.models import Principal
from accounts.models import StateChange as AccountsChange
from compliance.limits import four_eyes_from
from compliance.models import (
    Case,
    CaseNote,
    Decision,
    RuleDecision,
    RulesRevision,
    RuleVersion,
    Screening,
    SelfAudit,
    StateChange,
)
from compliance.states import CasePriority, CaseStatus, CaseVerdict, RuleStep
from ledger.models import StateChange as LedgerChange
from ledger.models import Transaction
from ledger.resolutions import possible_resolutions
from wallet_project.utils.verification import Verified, rows

_BY_SUBJECT: Final = ["screening", "kyc_check", "escalation", "name_screening", "payer_screening"]
_MONEY: Final = ("screening__transaction", "payer_screening__transaction")
_YES_OR_NO: Final = (CaseVerdict.APPROVE, CaseVerdict.REJECT)
_ABOUT_IDENTITY: Final = (CaseVerdict.APPROVE, CaseVerdict.REJECT, CaseVerdict.RETRY)
_ABOUT_ESCALATION: Final = (CaseVerdict.RETRY, CaseVerdict.FAIL, CaseVerdict.ACKNOWLEDGE)

#: Of screenings in which a shadow spoke, how many its page reads.
SHADOW_LOOKED_AT: Final = 500


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """One line of a log about a case's subject. `who` is an e-mail address, or `system`."""

    at: datetime
    what: str
    from_state: str
    to_state: str
    who: str
    reason: str


@dataclass(frozen=True, slots=True)
class CaseFile:
    """All that a person needs to decide a case. `findings` and `facts` are those of a screening, `answers` those of an
    identity provider, `details` those of an escalation."""

    case: Case
    possible: tuple[CaseVerdict, ...]
    four_eyes: bool
    findings: Sequence[Mapping[str, Any]]
    facts: Mapping[str, Any]
    answers: Sequence[Mapping[str, Any]]
    details: Mapping[str, Any]
    notes: Sequence[CaseNote]
    decisions: Sequence[Decision]
    history: Sequence[HistoryLine]


def possible_verdicts(case: Case) -> tuple[CaseVerdict, ...]:
    """What a case can be decided to be, by what it is about."""
    if case.screening_id is not None:
        return _YES_OR_NO
    if case.name_screening_id is not None:
        return _YES_OR_NO
    if case.payer_screening_id is not None:
        return _YES_OR_NO
    return _ABOUT_IDENTITY if case.kyc_check_id is not None else _ABOUT_ESCALATION


def offered_verdicts(case: Case) -> tuple[CaseVerdict, ...]:
    """Of the possible ones those that would not be refused as things stand; for the page that offers them."""
    if case.escalation is None:
        return possible_verdicts(case)
    return tuple(CaseVerdict(action) for action in possible_resolutions(case.escalation))


def needs_second_person(case: Case, verdict: str) -> bool:
    """Letting money go needs four eyes where the case is urgent or the amount is large; stopping it never does. So does
    saying that somebody is not who is on a sanctions list."""
    if case.name_screening_id is not None:
        return verdict == CaseVerdict.APPROVE and case.priority == CasePriority.HIGH
    about = money_of(case)
    if about is None or verdict != CaseVerdict.APPROVE:
        return False
    return case.priority == CasePriority.HIGH or about.amount >= four_eyes_from(about.currency)


def money_of(case: Case) -> Transaction | None:
    """The transaction that waits for a case's decision; None where it is about something else."""
    about = case.screening or case.payer_screening
    return about.transaction if about is not None else None


def transaction_of(case: Case) -> Transaction | None:
    """The transaction that a case is about, whether it waits or staff are asked what became of it."""
    return money_of(case) or (case.escalation.transaction if case.escalation is not None else None)


def case_queue() -> QuerySet[Case]:
    """Cases that wait for somebody, the most urgent first; served by the index case_queue."""
    return (
        Case.objects.exclude(status=CaseStatus.RESOLVED)
        .select_related("assignee", "customer__profile", *_BY_SUBJECT, *_MONEY)
        .order_by("due_at", "id")
    )


def case_file(case_id: UUID) -> CaseFile | None:
    """Why a case is here and what became of it so far; None when there is none."""
    related = ("assignee", "customer__profile", *_BY_SUBJECT, *_MONEY, "escalation__transaction")
    case = Case.objects.select_related(*related, "kyc_check__profile").filter(id=case_id).first()
    if case is None:
        return None
    return CaseFile(
        case=case,
        possible=possible_verdicts(case),
        four_eyes=needs_second_person(case, CaseVerdict.APPROVE),
        findings=case.screening.findings if case.screening else [],
        facts=case.screening.facts if case.screening else {},
        answers=case.kyc_check.answers if case.kyc_check else [],
        details=case.escalation.details if case.escalation else {},
        notes=list(case.notes.select_related("author")),
        decisions=list(case.decisions.select_related("maker", "checker")),
        history=_history(case),
    )


def _history(case: Case) -> list[HistoryLine]:
    """The logs of the case, of what it is about, and of the money or the person behind that, in order of time."""
    own = [case.id, case.screening_id, case.kyc_check_id, case.name_screening_id, case.payer_screening_id]
    about = transaction_of(case)
    lines = [
        *StateChange.objects.filter(subject_id__in=[id_ for id_ in own if id_]),
        *LedgerChange.objects.filter(subject_id__in=[id_ for id_ in (about and about.id, case.escalation_id) if id_]),
    ]
    of_person = case.kyc_check_id is not None or case.name_screening_id is not None
    if of_person and case.customer_id is not None:
        lines += AccountsChange.objects.filter(subject_id=case.customer_id)
    principals = Principal.objects.select_related("user").in_bulk({line.actor_id for line in lines})
    return [
        HistoryLine(
            at=line.at,
            what=line.machine,
            from_state=line.from_state,
            to_state=line.to_state,
            who=str(principals[line.actor_id]) if line.actor_id in principals else "unknown",
            reason=line.reason,
        )
        for line in sorted(lines, key=lambda line: line.at)
    ]


def waiting_cases() -> list[tuple[tuple[str, ...], float]]:
    """((status,), how many cases wait there), 0 where none does."""
    counts = {str(status): 0.0 for status in CaseStatus if status != CaseStatus.RESOLVED}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT status, count(*)::float8 FROM compliance_case WHERE NOT status = 'resolved' GROUP BY status"
        )
        counts |= dict(cursor.fetchall())
    return [((status,), count) for status, count in sorted(counts.items())]


def overdue_cases() -> list[tuple[tuple[str, ...], float]]:
    """((), how many cases have passed their due time)."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*)::float8 FROM compliance_case WHERE NOT status = 'resolved' AND due_at < now()")
        row = cursor.fetchone()
    return [((), float(row[0] if row else 0))]


def oldest_waiting_seconds() -> list[tuple[tuple[str, ...], float]]:
    """((stage,), seconds since the oldest was due), 0 where none is late: identity checks and a provider's events."""
    ages = {"identity_check": 0.0, "identity_event": 0.0}
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT 'identity_check', extract(epoch FROM now() - min(next_at))::float8 FROM compliance_kyccheck
               WHERE next_at < now() HAVING count(*) > 0
               UNION ALL SELECT 'identity_event', extract(epoch FROM now() - min(next_at))::float8
               FROM compliance_inboundevent WHERE next_at < now() HAVING count(*) > 0"""
        )
        ages |= dict(cursor.fetchall())
    return [((stage,), max(0.0, age)) for stage, age in sorted(ages.items())]


def audited_checks() -> list[tuple[tuple[str, ...], float]]:
    """((state,), how many checks of the last self-audit are in it): `holds`, `failing`, `unread`."""
    counts = dict.fromkeys(["holds", "failing", "unread"], 0.0)
    last = SelfAudit.objects.order_by("-id").values_list("results", flat=True).first()
    for result in last or []:
        counts["unread" if result["unread"] else "holds" if result["holds"] else "failing"] += 1
    return [((state,), count) for state, count in counts.items()]


def last_complete_audit() -> list[tuple[tuple[str, ...], float]]:
    """((), when the last self-audit began that read every check, in seconds of Unix time).

    Before the first, when the database was first migrated: one that never ran at all is seen as well.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT extract(epoch FROM coalesce(
                   (SELECT began_at FROM compliance_selfaudit WHERE complete ORDER BY id DESC LIMIT 1),
                   (SELECT min(applied) FROM django_migrations)))::float8"""
        )
        row = cursor.fetchone()
    return [((), float(row[0]))] if row and row[0] is not None else []


def list_ages() -> list[tuple[tuple[str, ...], float]]:
    """((list,), seconds since it was read and said what is in force), of the lists that others publish."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT l.name, extract(epoch FROM now() - v.seen_at)::float8
               FROM compliance_listversion v JOIN compliance_sanctionslist l ON l.id = v.list_id
               WHERE v.status = 'active' AND l.format <> 'internal-csv' ORDER BY l.name"""
        )
        return [((name,), max(0.0, age)) for name, age in cursor.fetchall()]


def last_verified() -> Verified | None:
    """Up to where the last self-audit read that was complete and found nothing: to the last block that was sealed
    before it began, for it saw all of that. By a minute, as the two clocks are not one."""
    sql = """
        SELECT b.to_xact, b.sealed_at FROM (
            SELECT a.began_at, a.xact FROM compliance_selfaudit a
            WHERE a.complete AND a.failing = 0 ORDER BY a.id DESC LIMIT 1
        ) audit
        CROSS JOIN LATERAL (
            SELECT b.to_xact, b.sealed_at FROM chain_block b
            WHERE b.sealed_at < audit.began_at - interval '1 minute' AND b.to_xact <= audit.xact
            ORDER BY b.number DESC LIMIT 1
        ) b"""
    found = rows(sql)
    return Verified(found[0]["to_xact"], found[0]["sealed_at"]) if found else None


def open_proposal(version: RuleVersion) -> RuleDecision | None:
    """What is proposed for a version and waits for a second person."""
    proposals = RuleDecision.objects.filter(version=version, step=RuleStep.PROPOSED, answer__isnull=True)
    return proposals.select_related("maker__user").order_by("-id").first()


def version_named(text: str) -> RuleVersion | None:
    """The version with this id, or the newest of the rule of this name, or `name:number`."""
    versions = RuleVersion.objects.select_related("rule").order_by("-number")
    try:
        return versions.filter(id=UUID(text)).first()
    except ValueError:
        name, _, number = text.partition(":")
    if number and not number.isdecimal():
        return None
    of_rule = versions.filter(rule__name=name)
    return (of_rule.filter(number=int(number)) if number else of_rule).first()


def newest_version(rule_id: UUID) -> RuleVersion | None:
    return RuleVersion.objects.filter(rule=rule_id).order_by("-number").first()


def running_versions(revision: RulesRevision) -> QuerySet[RuleVersion]:
    """The versions that ran in a set of rules."""
    ids = [*revision.active, *revision.shadow]
    return RuleVersion.objects.filter(id__in=ids).select_related("rule").order_by("id")


def spoken_in_shadow(version: RuleVersion) -> tuple[int, list[tuple[Screening, Mapping[str, Any]]]]:
    """How many screenings were looked at, the newest in which any version in shadow has spoken; and those in which this
    one has, with what it said."""
    newest = list(Screening.objects.filter(shadow__isnull=False).order_by("-id")[:SHADOW_LOOKED_AT])
    name, number = version.rule.name, version.number
    return len(newest), [
        (screening, finding)
        for screening in newest
        for finding in screening.shadow or ()
        if (finding["rule"], finding["version"]) == (name, number)
    ]
