"""Who has paid money in, as the bank named him, and what the lists say of him."""

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from accounts.admin.history import history_panel
from compliance.admin.names import lists_looked_at, matches_table
from compliance.models import Case, PayerScreening, StateChange
from ledger.models import Escalation, Transaction
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
)

_TONES = {"refused": "danger", "in_review": "warning", "shown": "warning"}


def payer_values(row: PayerScreening) -> str:
    """Whom it was looked for, where, and what became of it."""
    return named_values(
        {
            **{name: said for name, said in row.asked.items() if said},
            "status": _status(row),
            "when (UTC)": instant(row.created_at),
            "a match from": f"{row.threshold} of 100",
            "lists": "they could not be read" if row.versions is None else lists_looked_at(row.versions),
            "decided (UTC)": instant(row.decided_at),
        }
    )


def _status(row: PayerScreening) -> str:
    return badge(row.status, row.get_status_display(), tone=_TONES.get(row.status, "success"))


def payer_and_matches(row: PayerScreening) -> SafeString:
    return SafeString(payer_values(row) + SafeString("<h3>Who is on the lists</h3>") + matches_table(row))


@admin.register(PayerScreening)
class PayerScreeningAdmin(ExactSearchMixin, BigTableAdmin):
    list_title = "Payer screenings"
    page_hint = "A look for whoever paid money in, by the name that the bank gave, on the lists that were in force."
    list_display = ["when", "who", "about", "state"]
    list_display_links = ["when"]
    list_filter = ["status"]
    search_ids = ("id", "transaction_id", "escalation__transaction_id")
    search_help_text = "A whole id, of a screening or a transaction"
    fields = ["id", "about", "looked", "found", "case_link"]
    ordering = ["-id"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[PayerScreening]:
        rows: QuerySet[PayerScreening] = super().get_queryset(request)
        return rows.select_related("transaction", "escalation")

    def row_title(self, row: PayerScreening) -> str:
        return f"Payer {row.asked['name']}"

    @admin.display(description="when (UTC)")
    def when(self, row: PayerScreening) -> str:
        return instant(row.created_at)

    @admin.display(description="who has paid")
    def who(self, row: PayerScreening) -> str:
        return str(row.asked["name"])

    @admin.display(description="about")
    def about(self, row: PayerScreening) -> str:
        if row.escalation is not None:
            return link(Escalation, row.escalation_id, row.escalation.get_kind_display())
        return link(Transaction, row.transaction_id, "deposit")

    @admin.display(description="status")
    def state(self, row: PayerScreening) -> str:
        return _status(row)

    @admin.display(description="looked for")
    def looked(self, row: PayerScreening) -> str:
        return payer_values(row)

    @admin.display(description="matches")
    def found(self, row: PayerScreening) -> str:
        return matches_table(row)

    @admin.display(description="case")
    def case_link(self, row: PayerScreening) -> str:
        of_escalation = Q(escalation=row.escalation_id, escalation__isnull=False)
        return link_to(Case.objects.filter(Q(payer_screening=row) | of_escalation).first())


def payer_of_transaction(request: HttpRequest, row: Transaction) -> SafeString | None:
    screenings = PayerScreening.objects.filter(transaction=row) | PayerScreening.objects.filter(
        escalation__transaction=row
    )
    shown = [payer_and_matches(each) for each in screenings.order_by("id")]
    return SafeString("".join(shown)) if shown else None


def payer_of_escalation(request: HttpRequest, row: Escalation) -> SafeString | None:
    screening = PayerScreening.objects.filter(escalation=row).first()
    return payer_and_matches(screening) if screening is not None else None


def payer_of_case(request: HttpRequest, row: Case) -> SafeString | None:
    """Of money that an escalation asks about; a payer's own case says it under why it is here."""
    return payer_of_escalation(request, row.escalation) if row.escalation is not None else None


_TITLE = "Who paid it in"
register_panel(PayerScreening, history_panel(StateChange, permission="compliance.view_statechange"))
register_panel(Transaction, Panel(_TITLE, payer_of_transaction, "compliance.view_payerscreening", order=22))
register_panel(Escalation, Panel(_TITLE, payer_of_escalation, "compliance.view_payerscreening", order=4))
register_panel(Case, Panel(_TITLE, payer_of_case, "compliance.view_payerscreening", order=2))
