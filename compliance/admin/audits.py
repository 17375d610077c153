"""What each self-audit found, and the button that has the books audited now."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html_join

from accounts.staff import staff_actor
from compliance.models import SelfAudit
from compliance.services.self_audit import ASK, ask_for_audit
from wallet_project.utils.admin import (
    BigTableAdmin,
    ExactSearchMixin,
    StaffAction,
    StaffActionsMixin,
    StaffForm,
    badge,
    instant,
    table,
)


def _ask(request: HttpRequest, row: SelfAudit, values: dict[str, Any]) -> str:
    ask_for_audit(actor=staff_actor(request.user))
    return "The books are being audited; what comes of it will stand at the top of the list."


@admin.register(SelfAudit)
class SelfAuditAdmin(StaffActionsMixin, ExactSearchMixin, BigTableAdmin):
    page_hint = (
        "What a look at all the books found. A finding is an escalation with a case; nothing is repaired by itself."
    )
    list_title = "Self-audits"
    list_display = ["when", "state", "failing", "asked_by", "took"]
    list_filter = ["complete"]
    search_ids = ("id",)
    search_help_text = "A whole id"
    fields = ["id", "when", "took", "asked_by", "state", "checks", "findings"]
    list_select_related = ("asked_by__user",)
    ordering = ["-id"]
    staff_actions = (
        StaffAction(
            name="again",
            label="Audit again now",
            permission=ASK,
            consequence="All the books are read in the background, which takes minutes where there is much to read.",
            perform=_ask,
            available=lambda request, row: True,
            form=StaffForm,
        ),
    )

    def row_title(self, row: SelfAudit) -> str:
        return f"Self-audit of {instant(row.began_at)}"

    @admin.display(description="began (UTC)")
    def when(self, row: SelfAudit) -> str:
        return instant(row.began_at)

    @admin.display(description="took")
    def took(self, row: SelfAudit) -> str:
        return f"{(row.ended_at - row.began_at).total_seconds():.1f} s"

    @admin.display(description="outcome")
    def state(self, row: SelfAudit) -> str:
        if row.failing:
            return badge("findings", tone="danger")
        return badge("all hold", tone="success") if row.complete else badge("not all read", tone="warning")

    @admin.display(description="checks")
    def checks(self, row: SelfAudit) -> str:
        return table(["Check", "", "What has to hold", "Figures"], [_line(result) for result in row.results])

    @admin.display(description="findings")
    def findings(self, row: SelfAudit) -> Any:
        return (
            format_html_join(
                "\n",
                "<p><strong>{}</strong> {}</p>",
                ((result["check"], _words(offence)) for result in row.results for offence in result["offending"]),
            )
            or "None."
        )


def _line(result: dict[str, Any]) -> tuple[Any, ...]:
    state = badge("holds", tone="success") if result["holds"] else badge("broken", tone="danger")
    if result["unread"]:
        state = badge("not read", tone="warning")
    return result["check"], state, result["unread"] or result["title"], _words(result["figures"]) or "–"


def _words(values: dict[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in values.items())
