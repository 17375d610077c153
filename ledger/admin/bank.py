"""The bank's side: what we asked of it, and what it told us."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.admin.history import history_panel
from ledger.models import InboundEvent, RailTransfer, StateChange, Transaction
from wallet_project.utils.admin import (
    BigTableAdmin,
    CreatedFilter,
    ExactSearchMixin,
    InboundEventAdmin,
    badge,
    instant,
    link,
    money,
    named_values,
    register_panel,
    short_id,
)
from wallet_project.utils.money import format_money


@admin.register(RailTransfer)
class RailTransferAdmin(ExactSearchMixin, BigTableAdmin):
    page_hint = "What we asked of the bank for one deposit or withdrawal. Once submitted, only the bank's word ends it."
    list_title = "Bank transfers"
    list_display = ["what", "state", "amount_money", "transaction_link", "tries", "asked_again", "reference", "created"]
    list_filter = ["status", "direction", CreatedFilter]
    search_ids = ("id", "transaction_id")
    search_texts = ("key",)
    search_help_text = "A whole id: of a bank transfer or a transaction; or our whole key at the bank"
    fieldsets = [
        (None, {"fields": ["id", "transaction_link", "direction", "amount_money", "state", "key"]}),
        ("The bank", {"fields": ["bank_reference", "reason", "payer_values", "answers_values"]}),
        ("Tries", {"fields": ["attempts", "next_at", "created_at", "submitted_at", "ended_at", "payer_passed_at"]}),
    ]
    ordering = ["-id"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[RailTransfer]:
        rows: QuerySet[RailTransfer] = super().get_queryset(request)
        return rows.select_related("transaction")

    def row_title(self, row: RailTransfer) -> str:
        return f"{row.direction} of {format_money(row.transaction.amount, row.transaction.currency)}"

    @admin.display(description="what")
    def what(self, row: RailTransfer) -> str:
        return badge(row.get_direction_display(), tone="neutral")

    @admin.display(description="status")
    def state(self, row: RailTransfer) -> str:
        return badge(row.status)

    @admin.display(description="amount")
    def amount_money(self, row: RailTransfer) -> str:
        return money(row.transaction.amount, row.transaction.currency)

    @admin.display(description="transaction")
    def transaction_link(self, row: RailTransfer) -> str:
        return link(Transaction, row.transaction_id)

    @admin.display(description="tries")
    def tries(self, row: RailTransfer) -> str:
        return str(row.attempts)

    @admin.display(description="next asked (UTC)")
    def asked_again(self, row: RailTransfer) -> str:
        return instant(row.next_at)

    @admin.display(description="bank's reference")
    def reference(self, row: RailTransfer) -> str:
        return short_id(row.bank_reference or None)

    @admin.display(description="created (UTC)")
    def created(self, row: RailTransfer) -> str:
        return instant(row.created_at)

    @admin.display(description="who paid, as the bank names him")
    def payer_values(self, row: RailTransfer) -> str:
        return named_values(row.payer) if row.payer else "–"

    @admin.display(description="its answers")
    def answers_values(self, row: RailTransfer) -> str:
        return named_values(row.answers, minor_units=True)


@admin.register(InboundEvent)
class BankEventAdmin(InboundEventAdmin):
    list_title = "Messages from the bank"


register_panel(RailTransfer, history_panel(StateChange, permission="ledger.view_statechange"))
