"""The self-audit: every check of every app, read in one snapshot; what is found gets a human, and is never repaired.

It reads for minutes where there are many rows, so it runs off peak and on a lane of workers of its own. Twice at once
is twice the reading and nothing else; one that dies leaves no row, and the age of the last complete one tells.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from django.conf import settings
from django.db import transaction

from accounts.staff import require_permission
from compliance.models import SelfAudit
from ledger import steps as ledger
from ledger.rails import configured_rail
from ledger.states import EscalationKind
from ledger.verification import bank_check
from wallet_project.utils.context import Actor
from wallet_project.utils.nudges import nudge
from wallet_project.utils.verification import Check, Result, checks_by_app, verify

ASK: Final = "compliance.ask_self_audit"
#: Offending rows of a check that the row and the escalation keep; `verify_ledger` names more.
KEPT: Final = 20


def self_audit(*, actor: Actor, now: datetime) -> SelfAudit:
    """Read every check and write down what it found, with one open escalation for each check that found something.

    A check that could not be read is no finding: the audit is then not `complete`.
    """
    checks: list[tuple[str, Check]] = [*checks_by_app(settings.LEDGER_CHECKS), ("ledger", bank_check(configured_rail))]
    results = verify([check for _, check in checks], timeout_seconds=settings.SELF_AUDIT_QUERY_SECONDS)
    found = [(app, result) for (app, _), result in zip(checks, results, strict=True)]
    with transaction.atomic(durable=True):
        for app, result in found:
            if result.offending:
                _escalate(app, result)
        return SelfAudit.objects.create(
            asked_by_id=actor.principal_id,
            began_at=now,
            complete=not any(result.unread for result in results),
            failing=sum(bool(result.offending) for result in results),
            results=[_kept(app, result) for app, result in found],
        )


def ask_for_audit(*, actor: Actor) -> None:
    """Have the books audited soon, in the background. Raises PermissionMissing."""
    with transaction.atomic(durable=True):
        require_permission(actor, ASK)
        nudge("compliance.audit_wanted")


def _escalate(app: str, result: Result) -> None:
    ledger.escalate(
        kind=EscalationKind.AUDIT_FINDING,
        subject_type="check",
        subject_id=f"{app}:{result.name}",
        details={"why": f"{result.name}: {_summary(result.offending)}", "holds_no_longer": result.title},
    )


def _summary(offending: Sequence[Mapping[str, Any]]) -> str:
    problems = Counter(str(row["problem"]) for row in offending)
    return "; ".join(f"{problem} ({count})" for problem, count in problems.items())


def _kept(app: str, result: Result) -> dict[str, Any]:
    return {
        "app": app,
        "check": result.name,
        "title": result.title,
        "holds": result.holds,
        "unread": result.unread,
        "figures": dict(result.figures),
        "offending": [dict(row) for row in result.offending[:KEPT]],
    }
