"""Why a transaction was decided as it was, for staff's own programs. Nothing here writes."""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from accounts.models import Principal
from accounts.selectors import format_time
from accounts.staff import PermissionMissing, require_permission
from compliance.models import Case, Decision, PayerScreening, Screening
from compliance.watchlists import why
from wallet_project.utils.context import Actor
from wallet_project.utils.errors import NotFound

SEE_SCREENINGS = "compliance.view_screening"


class ScreeningNotFound(NotFound):
    """To who may not see screenings there is none."""

    code = "screening_not_found"
    message = "There is no screening of such a transaction."


def screening_for_staff(*, actor: Actor, transaction_id: UUID) -> dict[str, Any]:
    """The screening with all that spoke for and against, as ScreeningOutput shows it. Raises ScreeningNotFound."""
    try:
        require_permission(actor, SEE_SCREENINGS)
    except PermissionMissing as error:
        raise ScreeningNotFound() from error
    screening = Screening.objects.filter(transaction_id=transaction_id).first()
    if screening is None:
        raise ScreeningNotFound()
    return {
        "transaction": screening.transaction_id,
        "status": screening.status,
        "decided_by": screening.decided_by,
        "decided_at": format_time(screening.decided_at) if screening.decided_at else None,
        "reason": screening.reason,
        "rules": screening.rules_revision,
        "findings": [_finding(each) for each in screening.findings],
        "shadow": [_finding(each) for each in screening.shadow or []],
        "facts": screening.facts,
        "matches": [_match(each.score, each.explanation) for each in screening.matches.order_by("-score", "id")],
        "decisions": _decisions(Case.objects.filter(screening=screening)),
        "payer": _payer(transaction_id),
    }


def _payer(transaction_id: UUID) -> dict[str, Any] | None:
    """Of a deposit whose payer the bank has named, what the lists said of him."""
    looked = PayerScreening.objects.filter(transaction=transaction_id).first()
    if looked is None:
        return None
    return {
        **looked.asked,
        "status": looked.status,
        "lists_read": looked.versions is not None,
        "looked_at": format_time(looked.created_at),
        "decided_at": format_time(looked.decided_at) if looked.decided_at else None,
        "matches": [_match(each.score, each.explanation) for each in looked.matches.order_by("-score", "id")],
        "decisions": _decisions(Case.objects.filter(payer_screening=looked)),
    }


def _finding(said: dict[str, Any]) -> dict[str, Any]:
    return {
        "rule": said["rule"],
        "version": said.get("version", 0),
        "action": said.get("action", said["verdict"]),
        "verdict": said["verdict"],
        "points": said.get("points", 0),
        "explanation": said["explanation"],
    }


def _match(score: int, told: dict[str, Any]) -> dict[str, Any]:
    return {
        "list": told["list"],
        "version": told["version"],
        "name": told["name"],
        "score": score,
        "threshold": told["threshold"],
        "explanation": why(told),
    }


def _decisions(of_cases: QuerySet[Case]) -> list[dict[str, Any]]:
    made = list(Decision.objects.filter(case__in=of_cases).order_by("id"))
    people = {user for each in made for user in (each.maker_id, each.checker_id) if user is not None}
    principals = dict(Principal.objects.filter(user__in=people).values_list("user_id", "id"))
    return [
        {
            "verdict": each.verdict,
            "reason": each.reason,
            "maker": principals[each.maker_id],
            "checker": principals[each.checker_id] if each.checker_id else None,
            "agreed": each.agreed,
            "created_at": format_time(each.created_at),
        }
        for each in made
    ]
