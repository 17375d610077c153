"""What staff have proposed, and the second person's answer."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from accounts.admin.history import history_panel
from accounts.models import Principal
from accounts.staff import staff_actor
from ledger.admin.forms import AgreeForm
from ledger.admin.parties import NAMED, account_link, both_sides, owner_name
from ledger.models import Adjustment, Escalation, StateChange, Transaction
from ledger.services import adjustments
from ledger.services.proposals import PROPOSE_ADJUSTMENT
from ledger.states import AdjustmentKind, AdjustmentStatus
from wallet_project.utils.admin import (
    BigTableAdmin,
    CreatedFilter,
    CurrencyFilter,
    ExactSearchMixin,
    StaffAction,
    StaffActionsMixin,
    badge,
    instant,
    link,
    money,
    named_values,
    register_panel,
    short_id,
)
from wallet_project.utils.money import format_money

_SIDES = tuple(f"{side}_account__{path}" for side in ("debit", "credit") for path in NAMED)
TONES = {"proposed": "warning", "posted": "success", "refused": "danger", "declined": "danger"}


def is_anothers(request: HttpRequest, row: Adjustment) -> bool:
    return row.status == AdjustmentStatus.PROPOSED and row.maker.user_id != request.user.pk


def is_mine(request: HttpRequest, row: Adjustment) -> bool:
    return row.status == AdjustmentStatus.PROPOSED and row.maker.user_id == request.user.pk


def what_agreeing_does(row: Adjustment) -> str:
    amount = format_money(row.amount, row.currency)
    payer, receiver = owner_name(row.debit_account), owner_name(row.credit_account)
    match row.kind:
        case AdjustmentKind.RETURN:
            to = row.beneficiary or {}
            return (
                f"{amount} leave for {to.get('name')}, {to.get('iban')}, over the bank, which can't be undone. The "
                "escalation is resolved; if the bank rejects it, a new one says so."
            )
        case AdjustmentKind.CHARGE:
            return (
                f"{amount} that the bank has paid out are taken from {payer}. If that payout still waits it fails, and "
                "what it had reserved is released first. The escalation is resolved."
            )
        case AdjustmentKind.LOSS:
            return f"{amount} are given back to {receiver}, and the wallet bears it."
        case _:
            return f"{amount} move from {payer} to {receiver} at once, in one commit with your answer."


def _agree(request: HttpRequest, row: Adjustment, values: dict[str, Any]) -> str:
    answered = adjustments.approve(
        actor=staff_actor(request.user), adjustment_id=row.id, now=timezone.now(), note=values["note"]
    )
    if answered.refusal is not None:
        return f"Agreed, but the ledger refused it, and the proposal has ended: {answered.refusal.message}"
    if row.kind == AdjustmentKind.RETURN:
        return "Agreed; the bank is asked to pay it out."
    return "Agreed and posted."


def _decline(request: HttpRequest, row: Adjustment, values: dict[str, Any]) -> str:
    adjustments.decline(
        actor=staff_actor(request.user), adjustment_id=row.id, reason=values["reason"], now=timezone.now()
    )
    return "Declined; no money has moved."


def _withdraw(request: HttpRequest, row: Adjustment, values: dict[str, Any]) -> str:
    adjustments.withdraw(
        actor=staff_actor(request.user), adjustment_id=row.id, reason=values["reason"], now=timezone.now()
    )
    return "Your proposal is withdrawn."


@admin.register(Adjustment)
class AdjustmentAdmin(StaffActionsMixin, ExactSearchMixin, BigTableAdmin):
    page_hint = "A movement of money that one member of staff proposes; it happens when another one agrees."
    list_title = "Adjustments"
    list_display = ["proposal", "created", "what", "state", "amount_money", "sides", "proposed_by", "answered_by"]
    list_filter = ["status", "kind", CurrencyFilter, CreatedFilter]
    search_ids = ("id", "transaction_id", "about_id")
    search_help_text = "A whole id: of a proposal, of what it posted, or of the transaction that it is about"
    fieldsets = [
        (None, {"fields": ["id", "what", "state", "amount_money", "reason"]}),
        ("Between", {"fields": ["debit_link", "credit_link", "beneficiary_values", "reference"]}),
        ("About", {"fields": ["about_link", "reverses_link", "escalation_link"]}),
        ("Two people", {"fields": ["proposed_by", "created", "answered_by", "decided"]}),
        ("What it has posted", {"fields": ["transaction_link"]}),
    ]
    ordering = ["-id"]
    staff_actions = (
        StaffAction(
            name="agree",
            label="Agree",
            permission=adjustments.APPROVE_ADJUSTMENT,
            consequence=what_agreeing_does,
            perform=_agree,
            available=is_anothers,
            form=AgreeForm,
            tone="primary",
        ),
        StaffAction(
            name="decline",
            label="Decline",
            permission=adjustments.APPROVE_ADJUSTMENT,
            consequence="The proposal ends, with your reason. No money moves; its case, if it has one, stays open.",
            perform=_decline,
            available=is_anothers,
            tone="danger",
        ),
        StaffAction(
            name="withdraw",
            label="Withdraw my proposal",
            permission=PROPOSE_ADJUSTMENT,
            consequence="The proposal ends. No money moves, and you may make another one.",
            perform=_withdraw,
            available=is_mine,
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Adjustment]:
        rows: QuerySet[Adjustment] = super().get_queryset(request)
        return rows.select_related(*_SIDES, "maker__user", "checker__user")

    def row_title(self, row: Adjustment) -> str:
        return f"{row.get_kind_display()}: {format_money(row.amount, row.currency)}"

    def action_summary(self, request: HttpRequest, row: Adjustment) -> list[tuple[str, Any]]:
        return [
            ("Proposal", link(Adjustment, row.id, self.row_title(row))),
            ("From", self.debit_link(row)),
            ("To", self.credit_link(row)),
            ("Reason", row.reason),
            ("Proposed by", row.maker),
        ]

    @admin.display(description="proposal")
    def proposal(self, row: Adjustment) -> str:
        return short_id(row.id)

    @admin.display(description="proposed (UTC)")
    def created(self, row: Adjustment) -> str:
        return instant(row.created_at)

    @admin.display(description="what")
    def what(self, row: Adjustment) -> str:
        return str(row.get_kind_display())

    @admin.display(description="status")
    def state(self, row: Adjustment) -> str:
        return badge(row.status, str(row.get_status_display()).lower(), tone=TONES.get(row.status))

    @admin.display(description="amount")
    def amount_money(self, row: Adjustment) -> str:
        return money(row.amount, row.currency)

    @admin.display(description="from → to")
    def sides(self, row: Adjustment) -> str:
        return both_sides(row.debit_account, row.credit_account)

    @admin.display(description="proposed by")
    def proposed_by(self, row: Adjustment) -> Principal:
        return row.maker

    @admin.display(description="answered by")
    def answered_by(self, row: Adjustment) -> Principal | str:
        return row.checker or "–"

    @admin.display(description="answered (UTC)")
    def decided(self, row: Adjustment) -> str:
        return instant(row.decided_at)

    @admin.display(description="from")
    def debit_link(self, row: Adjustment) -> str:
        return account_link(row.debit_account)

    @admin.display(description="to")
    def credit_link(self, row: Adjustment) -> str:
        return account_link(row.credit_account)

    @admin.display(description="back to")
    def beneficiary_values(self, row: Adjustment) -> str:
        return named_values(row.beneficiary)

    @admin.display(description="sets right")
    def about_link(self, row: Adjustment) -> str:
        return link(Transaction, row.about_id)

    @admin.display(description="reverses")
    def reverses_link(self, row: Adjustment) -> str:
        return link(Transaction, row.reverses_id)

    @admin.display(description="escalation")
    def escalation_link(self, row: Adjustment) -> str:
        return link(Escalation, row.escalation_id)

    @admin.display(description="transaction")
    def transaction_link(self, row: Adjustment) -> str:
        return link(Transaction, row.transaction_id)


def waiting_badge(request: HttpRequest) -> str:
    """How many proposals wait for somebody else's answer, beside the menu's line."""
    if not request.user.has_perm(adjustments.APPROVE_ADJUSTMENT):
        return ""
    waiting = Adjustment.objects.filter(status=AdjustmentStatus.PROPOSED).exclude(maker__user=request.user.pk)
    count = waiting.order_by()[:100].count()
    return str(count) if count else ""


register_panel(Adjustment, history_panel(StateChange, permission="ledger.view_statechange"))
