"""The queue of cases: who should look at what. Served by the partial index case_queue."""

from datetime import datetime
from typing import Any

from django.contrib.admin import SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from compliance.models import Case
from compliance.states import CaseStatus


def waiting() -> QuerySet[Case]:
    return Case.objects.exclude(status=CaseStatus.RESOLVED)


def overdue(now: datetime) -> QuerySet[Case]:
    return waiting().filter(due_at__lt=now)


def of_user(user: Any) -> QuerySet[Case]:
    return waiting().filter(assignee=user)


def for_second_person(user: Any) -> QuerySet[Case]:
    """Proposals that this user could agree to: not his own."""
    return Case.objects.filter(status=CaseStatus.AWAITING_APPROVAL).exclude(assignee=user)


class QueueFilter(SimpleListFilter):
    """What waits is the list; what is over has to be asked for."""

    title = "queue"
    parameter_name = "queue"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("open", "nobody has it"),
            ("mine", "mine"),
            ("overdue", "overdue"),
            ("approval", "awaiting approval"),
            ("my_approval", "awaiting my approval"),
            ("resolved", "resolved"),
            ("all", "all, resolved too"),
        ]

    def choices(self, changelist: Any) -> Any:
        for index, choice in enumerate(super().choices(changelist)):
            yield {**choice, "display": "waiting"} if index == 0 else choice

    def queryset(self, request: HttpRequest, queryset: QuerySet[Case]) -> QuerySet[Case]:
        match self.value():
            case "all":
                return queryset
            case "resolved":
                return queryset.filter(status=CaseStatus.RESOLVED)
            case "open":
                return queryset.filter(status=CaseStatus.OPEN)
            case "mine":
                return queryset & of_user(request.user)
            case "overdue":
                return queryset & overdue(timezone.now())
            case "approval":
                return queryset.filter(status=CaseStatus.AWAITING_APPROVAL)
            case "my_approval":
                return queryset & for_second_person(request.user)
        return queryset.exclude(status=CaseStatus.RESOLVED)


class AboutFilter(SimpleListFilter):
    title = "about"
    parameter_name = "about"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("kyc_check", "an identity"),
            ("screening", "a transaction"),
            ("escalation", "an escalation"),
            ("name_screening", "a name on a list"),
            ("payer_screening", "a payer"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Case]) -> QuerySet[Case]:
        if self.value() in ("kyc_check", "screening", "escalation", "name_screening", "payer_screening"):
            return queryset.filter(**{f"{self.value()}__isnull": False})
        return queryset
