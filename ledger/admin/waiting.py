"""What waits, and what needs a human."""

from typing import Any

from django.contrib import admin

from accounts.admin.history import history_panel
from ledger.admin.transactions import unit_link
from ledger.models import Escalation, RailTransfer, StateChange, Transaction, WorkItem
from wallet_project.utils.admin import (
    BigTableAdmin,
    CreatedFilter,
    ExactSearchMixin,
    StaffActionsMixin,
    badge,
    instant,
    link,
    named_values,
    register_panel,
    short_id,
)


@admin.register(WorkItem)
class WorkItemAdmin(ExactSearchMixin, BigTableAdmin):
    page_hint = "A pending transaction or group that waits; the row goes when it ends."
    list_title = "What waits"
    list_display = ["unit", "stage", "due", "attempts", "last_error", "transactions", "created"]
    list_filter = ["stage", CreatedFilter]
    search_ids = ("unit_id",)
    search_help_text = "The whole id of a transaction or group"
    fields = ["unit_id", "transactions", "stage", "due", "attempts", "last_error", "created_at"]
    ordering = ["-unit_id"]

    def row_title(self, row: WorkItem) -> str:
        return f"{row.unit_id} waits for {row.get_stage_display()}"

    @admin.display(description="unit")
    def unit(self, row: WorkItem) -> str:
        return short_id(row.unit_id)

    @admin.display(description="due (UTC)")
    def due(self, row: WorkItem) -> str:
        return instant(row.next_at) if row.next_at else "waits for a person or the bank"

    @admin.display(description="transactions")
    def transactions(self, row: WorkItem) -> str:
        return unit_link(row.unit_id)

    @admin.display(description="waits since (UTC)")
    def created(self, row: WorkItem) -> str:
        return instant(row.created_at)


_SUBJECTS = {"transaction": Transaction, "rail_transfer": RailTransfer}


@admin.register(Escalation)
class EscalationAdmin(StaffActionsMixin, ExactSearchMixin, BigTableAdmin):
    page_hint = (
        "Something in the ledger that needs a human. It is decided in its case; money in suspense by two people."
    )
    list_display = ["what", "state", "transaction_link", "created", "resolved"]
    list_filter = ["status", "kind", CreatedFilter]
    search_ids = ("id", "transaction_id")
    search_help_text = "A whole id: of an escalation or a transaction"
    fields = [
        "id", "kind_name", "state", "subject", "transaction_link", "details_values", "created_at", "resolved_at",
    ]  # fmt: skip
    ordering = ["-id"]

    def row_title(self, row: Escalation) -> str:
        return str(row.get_kind_display())

    @admin.display(description="what")
    def what(self, row: Escalation) -> str:
        return str(row.get_kind_display())

    @admin.display(description="kind")
    def kind_name(self, row: Escalation) -> str:
        return self.what(row)

    @admin.display(description="status")
    def state(self, row: Escalation) -> str:
        return badge(row.status)

    @admin.display(description="about")
    def subject(self, row: Escalation) -> Any:
        model = _SUBJECTS.get(row.subject_type)
        name = f"{row.subject_type.replace('_', ' ')} {row.subject_id}"
        return link(model, row.subject_id, name) if model else name

    @admin.display(description="transaction")
    def transaction_link(self, row: Escalation) -> str:
        return link(Transaction, row.transaction_id)

    @admin.display(description="details")
    def details_values(self, row: Escalation) -> str:
        return named_values(row.details, minor_units=True)

    @admin.display(description="since (UTC)")
    def created(self, row: Escalation) -> str:
        return instant(row.created_at)

    @admin.display(description="resolved (UTC)")
    def resolved(self, row: Escalation) -> str:
        return instant(row.resolved_at)


register_panel(Escalation, history_panel(StateChange, permission="ledger.view_statechange"))
