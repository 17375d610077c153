"""Transactions and their entries."""

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.admin.history import StateChangeAdmin, history_panel
from ledger.admin.parties import NAMED, SEARCH_HELP, account_link, accounts_of_email, accounts_of_id, both_sides
from ledger.admin.statements import StatementsMixin
from ledger.models import Adjustment, Entry, Escalation, StateChange, Transaction, WorkItem
from ledger.states import Stage
from wallet_project.utils.admin import (
    BigTableAdmin,
    CreatedFilter,
    CurrencyFilter,
    ExactSearchMixin,
    Panel,
    StaffActionsMixin,
    badge,
    instant,
    link,
    link_to,
    money,
    named_values,
    register_panel,
    short_id,
    table,
)
from wallet_project.utils.money import format_money

SHOWN = 20
_SIDES = tuple(f"{side}_account__{path}" for side in ("debit", "credit") for path in NAMED)


@admin.register(Transaction)
class TransactionAdmin(StaffActionsMixin, ExactSearchMixin, BigTableAdmin):
    page_hint = "One amount from one account to another. Nobody can change it; what waits can be decided in its case."
    list_display = ["transaction", "created", "kind_name", "state", "stage_name", "amount_money", "sides", "reference"]
    list_filter = ["status", "kind", CurrencyFilter, CreatedFilter]
    search_texts = ("rail_transfer__key",)
    search_help_text = SEARCH_HELP
    fieldsets = [
        (None, {"fields": ["id", "kind_name", "state", "stage_name", "failure", "amount_money", "captured_money"]}),
        ("Between", {"fields": ["debit_link", "credit_link", "beneficiary_values"]}),
        ("Asked for", {"fields": ["initiator", "reference", "metadata_values", "group_link", "reverses_link"]}),
        (
            "Times (UTC)",
            {"fields": ["created_at", "approved_at", "held_until", "captured_at", "cleared_at", "failed_at"]},
        ),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Transaction]:
        rows: QuerySet[Transaction] = super().get_queryset(request)
        waiting = WorkItem.objects.filter(unit_id=OuterRef("unit")).values("stage")
        return (
            rows.select_related(*_SIDES, "initiator__user")
            .annotate(unit=Coalesce("group_id", "id"))
            .annotate(stage=Subquery(waiting))
            .order_by("-id")
        )

    def row_title(self, row: Transaction) -> str:
        return f"{row.kind} of {format_money(row.amount, row.currency)}"

    def id_condition(self, identity: UUID) -> Q:
        accounts = accounts_of_id(identity)
        return Q(id=identity) | Q(group_id=identity) | Q(debit_account__in=accounts) | Q(credit_account__in=accounts)

    def email_condition(self, email: str) -> Q:
        accounts = accounts_of_email(email)
        return Q(debit_account__in=accounts) | Q(credit_account__in=accounts)

    @admin.display(description="transaction")
    def transaction(self, row: Transaction) -> str:
        return short_id(row.id)

    @admin.display(description="created (UTC)")
    def created(self, row: Transaction) -> str:
        return instant(row.created_at)

    @admin.display(description="kind")
    def kind_name(self, row: Transaction) -> str:
        return str(row.get_kind_display())

    @admin.display(description="status")
    def state(self, row: Transaction) -> str:
        return badge(row.status)

    @admin.display(description="waits for")
    def stage_name(self, row: Any) -> str:
        return str(Stage(row.stage).label) if row.stage else "–"

    @admin.display(description="amount")
    def amount_money(self, row: Transaction) -> str:
        return money(row.amount, row.currency)

    @admin.display(description="captured")
    def captured_money(self, row: Transaction) -> str:
        return money(row.captured_amount, row.currency)

    @admin.display(description="from → to")
    def sides(self, row: Transaction) -> str:
        return both_sides(row.debit_account, row.credit_account)

    @admin.display(description="from")
    def debit_link(self, row: Transaction) -> str:
        return account_link(row.debit_account)

    @admin.display(description="to")
    def credit_link(self, row: Transaction) -> str:
        return account_link(row.credit_account)

    @admin.display(description="beneficiary")
    def beneficiary_values(self, row: Transaction) -> str:
        return named_values(row.beneficiary)

    @admin.display(description="metadata")
    def metadata_values(self, row: Transaction) -> str:
        return named_values(row.metadata)

    @admin.display(description="group")
    def group_link(self, row: Transaction) -> str:
        return unit_link(row.group_id, f"all legs of {row.group_id}")

    @admin.display(description="held until")
    def held_until(self, row: Transaction) -> str:
        return instant(row.expires_at) if row.expires_at else "no hold"

    @admin.display(description="reverses")
    def reverses_link(self, row: Transaction) -> str:
        return link(Transaction, row.reverses_id)


@admin.register(Entry)
class EntryAdmin(StatementsMixin, ExactSearchMixin, BigTableAdmin):
    page_hint = "One side of a cleared transaction. Nobody, the application included, can change or remove it."
    list_display = [
        "entry",
        "created",
        "account_name",
        "direction_badge",
        "amount_money",
        "balance",
        "transaction_link",
    ]
    list_filter = ["direction", CreatedFilter]
    search_help_text = SEARCH_HELP
    fields = [
        "id",
        "transaction_link",
        "account_name",
        "direction_badge",
        "amount_money",
        "balance",
        "sequence",
        "created_at",
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Entry]:
        rows: QuerySet[Entry] = super().get_queryset(request)
        return rows.select_related(*(f"account__{path}" for path in NAMED)).order_by("-id")

    def row_title(self, row: Entry) -> str:
        return f"entry {row.id}: {row.direction} of {format_money(row.amount, row.account.currency)}"

    def id_condition(self, identity: UUID) -> Q:
        return Q(transaction_id=identity) | Q(account__in=accounts_of_id(identity))

    def email_condition(self, email: str) -> Q:
        return Q(account__in=accounts_of_email(email))

    @admin.display(description="entry")
    def entry(self, row: Entry) -> str:
        return str(row.id)

    @admin.display(description="created (UTC)")
    def created(self, row: Entry) -> str:
        return instant(row.created_at)

    @admin.display(description="account")
    def account_name(self, row: Entry) -> str:
        return account_link(row.account)

    @admin.display(description="direction")
    def direction_badge(self, row: Entry) -> str:
        return badge(row.direction, tone="neutral")

    @admin.display(description="amount")
    def amount_money(self, row: Entry) -> str:
        return money(row.amount, row.account.currency)

    @admin.display(description="balance after it")
    def balance(self, row: Entry) -> str:
        return money(row.balance_after, row.account.currency)

    @admin.display(description="transaction")
    def transaction_link(self, row: Entry) -> str:
        return link(Transaction, row.transaction_id)


@admin.register(StateChange)
class LedgerStateChangeAdmin(StateChangeAdmin):
    list_title = "State changes of transactions, bank transfers and escalations"


def unit_link(unit_id: UUID | None, text: str = "") -> str:
    """To the transactions of a unit: one, or all legs of a group."""
    if unit_id is None:
        return "–"
    url = f"{reverse('admin:ledger_transaction_changelist')}?q={unit_id}"
    return format_html('<a class="wallet-link" href="{}">{}</a>', url, text or short_id(unit_id))


def waiting_values(request: HttpRequest, row: Transaction) -> SafeString | str | None:
    item = WorkItem.objects.filter(unit_id=row.group_id or row.id).first()
    if item is None:
        return None
    return named_values(
        {
            "waits for": item.get_stage_display(),
            "due (UTC)": instant(item.next_at) if item.next_at else "when a person or the bank has spoken",
            "tries": item.attempts,
            "last error": item.last_error,
        }
    )


def entries_table(request: HttpRequest, row: Transaction) -> SafeString:
    entries = Entry.objects.filter(transaction=row).select_related(*(f"account__{path}" for path in NAMED))
    rows = [
        (
            link(Entry, each.id, str(each.id)),
            account_link(each.account),
            badge(each.direction, tone="neutral"),
            money(each.amount, row.currency),
            money(each.balance_after, row.currency),
            instant(each.created_at),
        )
        for each in entries.order_by("id")
    ]
    headers = ["Entry", "Account", "Direction", "Amount", "Balance after it", "Posted (UTC)"]
    return table(headers, rows, empty="No entry: only a cleared transaction has two.")


def rail_values(request: HttpRequest, row: Transaction) -> SafeString | str | None:
    rail = getattr(row, "rail_transfer", None)
    if rail is None:
        return None
    return named_values(
        {
            "bank transfer": link_to(rail, rail.key),
            "status": badge(rail.status),
            "bank's reference": rail.bank_reference,
            "reason": rail.reason,
            "tries": rail.attempts,
            "next asked (UTC)": instant(rail.next_at),
        }
    )


def escalations_table(request: HttpRequest, row: Transaction) -> SafeString | None:
    rows = [
        (link_to(each, each.get_kind_display()), badge(each.status), instant(each.created_at))
        for each in Escalation.objects.filter(transaction=row).order_by("-id")[:SHOWN]
    ]
    return table(["Escalation", "Status", "Since (UTC)"], rows) if rows else None


def set_right_table(request: HttpRequest, row: Transaction) -> SafeString | None:
    """What has been given back of it, and what staff have proposed about it or posted by it."""
    reversals = [
        (link(Transaction, each.id), "reversal", badge(each.status), money(each.amount, each.currency), instant(at))
        for each in row.reversals.order_by("-id")[:SHOWN]
        for at in [each.created_at]
    ]
    about = Adjustment.objects.filter(Q(about=row) | Q(transaction=row)).order_by("-id")[:SHOWN]
    proposed = [
        (
            link(Adjustment, each.id),
            each.get_kind_display(),
            badge(each.status),
            money(each.amount, each.currency),
            instant(each.created_at),
        )
        for each in about
    ]
    rows = [*reversals, *proposed]
    return table(["", "What", "Status", "Amount", "Since (UTC)"], rows) if rows else None


register_panel(Transaction, Panel("Reversals and adjustments", set_right_table, "ledger.view_adjustment", order=25))
register_panel(Transaction, Panel("Waiting", waiting_values, "ledger.view_workitem", order=30))
register_panel(Transaction, Panel("At the bank", rail_values, "ledger.view_railtransfer", order=40))
register_panel(Transaction, Panel("Escalations", escalations_table, "ledger.view_escalation", order=45))
register_panel(Transaction, Panel("Entries", entries_table, "ledger.view_entry", order=50))
register_panel(Transaction, history_panel(StateChange, permission="ledger.view_statechange"))
