"""The home page: what waits for the person who has logged in."""

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from compliance.admin import queue
from compliance.models import Case
from compliance.states import CaseStatus
from ledger.models import Escalation
from ledger.states import EscalationStatus
from wallet_project.utils.admin import badge, instant, link, table

FIRST = 10
#: Beyond this a number says no more than "very many", and counting stops.
COUNTED = 1_000


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Called by unfold for the index page."""
    if not request.user.has_perm("compliance.view_case"):
        return context
    now = timezone.now()
    cases = reverse("admin:compliance_case_changelist")
    escalations = Escalation.objects.filter(status=EscalationStatus.OPEN)
    context["cards"] = [
        _card("waiting", queue.waiting(), cases),
        _card("nobody has them", Case.objects.filter(status=CaseStatus.OPEN), f"{cases}?queue=open"),
        _card("mine", queue.of_user(request.user), f"{cases}?queue=mine"),
        _card("overdue", queue.overdue(now), f"{cases}?queue=overdue", alert=True),
    ]
    if request.user.has_perm("compliance.approve_case"):
        mine = queue.for_second_person(request.user)
        context["cards"].append(_card("awaiting my approval", mine, f"{cases}?queue=my_approval"))
    else:
        every = Case.objects.filter(status=CaseStatus.AWAITING_APPROVAL)
        context["cards"].append(_card("awaiting approval", every, f"{cases}?queue=approval"))
    if request.user.has_perm("ledger.view_escalation"):
        url = reverse("admin:ledger_escalation_changelist")
        context["cards"].append(_card("open escalations", escalations, f"{url}?status__exact=open"))
    context["next_cases"] = _next_cases(request, now)
    context["all_cases"] = cases
    return context


def waiting_badge(request: HttpRequest) -> str:
    """How many cases wait, for the menu."""
    return _count(queue.waiting()) if request.user.has_perm("compliance.view_case") else ""


def _next_cases(request: HttpRequest, now: datetime) -> Any:
    """What is due first."""
    rows = queue.waiting().select_related("assignee", "customer__user", "customer__profile").order_by("due_at", "id")
    return table(
        ["Case", "Priority", "Status", "Customer", "With", "Due (UTC)"],
        [
            (
                link(Case, case.id, case.reason),
                badge(case.priority),
                badge(case.status),
                case.customer or "–",
                "me" if case.assignee_id == request.user.pk else case.assignee or "nobody",
                _due(case, now),
            )
            for case in rows[:FIRST]
        ],
        empty="Nothing waits.",
    )


def _due(case: Case, now: datetime) -> str:
    if case.due_at >= now:
        return instant(case.due_at)
    return format_html("{} {}", badge("overdue", tone="danger"), instant(case.due_at))


def _card(label: str, rows: Any, url: str, *, alert: bool = False) -> dict[str, Any]:
    count = _count(rows)
    return {"label": label, "count": count, "url": url, "alert": alert and count != "0"}


def _count(rows: Any) -> str:
    count = rows.order_by()[: COUNTED + 1].count()
    return str(count) if count <= COUNTED else f"{COUNTED}+"
