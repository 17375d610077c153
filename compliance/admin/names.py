"""What came of looking for a customer on the lists, match by match."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString

from accounts.admin.history import history_panel
from accounts.models import Customer
from compliance.models import (
    Case,
    ListVersion,
    NameScreening,
    PayerScreening,
    SanctionsEntry,
    Screening,
    StateChange,
)
from compliance.watchlists import why
from wallet_project.utils.admin import (
    BigTableAdmin,
    ExactSearchMixin,
    Panel,
    badge,
    instant,
    link,
    link_to,
    named_values,
    register_panel,
    table,
)

SHOWN = 50


def matches_table(screening: NameScreening | Screening | PayerScreening) -> SafeString:
    """What of the lists a customer's, a payee's or a payer's name has met."""
    rows = [
        (
            match.score,
            link(SanctionsEntry, match.entry_id, match.explanation.get("name", "?")),
            link(ListVersion, match.version_id, f"{match.explanation['list']}, version {match.explanation['version']}"),
            ", ".join(match.entry.birth_dates) or "–",
            ", ".join(match.entry.countries) or "–",
            named_values(why(match.explanation)),
        )
        for match in screening.matches.select_related("entry").order_by("-score", "id")[:SHOWN]
    ]
    return table(["Score", "Name on the list", "List", "Born", "Countries", "Why"], rows, empty="No new match.")


def lists_looked_at(versions: Sequence[str]) -> list[str]:
    found = ListVersion.objects.filter(id__in=versions).select_related("list").order_by("list__name")
    return [link(ListVersion, each.id, f"{each.list.name}, version {each.number}") for each in found]


def looked_at(screening: NameScreening) -> str:
    return named_values(
        {
            "because of": screening.get_cause_display(),
            "when (UTC)": instant(screening.created_at),
            "a match from": f"{screening.threshold} of 100",
            "lists": lists_looked_at(screening.versions),
        }
    )


@admin.register(NameScreening)
class NameScreeningAdmin(ExactSearchMixin, BigTableAdmin):
    list_title = "Name screenings"
    page_hint = "A look for a customer, as he described himself, on the lists that were in force."
    list_display = ["when", "customer_link", "state", "cause"]
    list_display_links = ["when"]
    list_filter = ["status", "cause"]
    list_select_related = ("customer__user", "customer__profile")
    search_ids = ("id", "customer_id")
    search_help_text = "A whole id, of a screening or a customer"
    fields = ["id", "customer_link", "state", "asked_values", "looked", "found", "case_link", "decided"]
    ordering = ["-id"]

    def row_title(self, row: NameScreening) -> str:
        return f"Name screening · {row.customer}"

    @admin.display(description="when (UTC)")
    def when(self, row: NameScreening) -> str:
        return instant(row.created_at)

    @admin.display(description="customer")
    def customer_link(self, row: NameScreening) -> str:
        return link_to(row.customer)

    @admin.display(description="status")
    def state(self, row: NameScreening) -> str:
        return badge(row.status, tone={"confirmed": "danger", "in_review": "warning"}.get(row.status, "success"))

    @admin.display(description="looked for")
    def asked_values(self, row: NameScreening) -> str:
        return named_values(row.asked)

    @admin.display(description="how")
    def looked(self, row: NameScreening) -> str:
        return looked_at(row)

    @admin.display(description="matches")
    def found(self, row: NameScreening) -> str:
        return matches_table(row)

    @admin.display(description="case")
    def case_link(self, row: NameScreening) -> str:
        return link_to(Case.objects.filter(name_screening=row).first())

    @admin.display(description="decided (UTC)")
    def decided(self, row: NameScreening) -> str:
        return instant(row.decided_at)


def of_customer(request: HttpRequest, row: Any) -> SafeString:
    rows = [
        (link(NameScreening, each.id, each.get_cause_display()), badge(each.status), instant(each.created_at))
        for each in NameScreening.objects.filter(customer=row).order_by("-id")[:SHOWN]
    ]
    return table(["Because of", "Status", "When (UTC)"], rows, empty="Nobody has looked yet.")


register_panel(NameScreening, history_panel(StateChange, permission="compliance.view_statechange"))
register_panel(Customer, Panel("Name on lists", of_customer, "compliance.view_namescreening", order=35))
