"""Accounts, with both balances. What the ledger knows of them comes as panels from the ledger's admin."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts import staff
from accounts.admin.history import history_panel
from accounts.models import Account, Customer, StateChange
from accounts.services.accounts import freeze_account, unfreeze_account
from accounts.states import AccountKind, AccountStatus
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
    register_panel,
    short_id,
)


def _freeze(request: HttpRequest, account: Account, values: dict[str, Any]) -> str:
    actor = staff.staff_actor(request.user)
    freeze_account(account_id=account.id, actor=actor, reason=values["reason"])
    return "The account is frozen."


def _unfreeze(request: HttpRequest, account: Account, values: dict[str, Any]) -> str:
    actor = staff.staff_actor(request.user)
    unfreeze_account(account_id=account.id, actor=actor, reason=values["reason"])
    return "The account is open again."


def _customer_account_in(status: str) -> Any:
    return lambda request, row: row.kind == AccountKind.CUSTOMER and row.status == status


@admin.register(Account)
class AccountAdmin(StaffActionsMixin, ExactSearchMixin, BigTableAdmin):
    list_display = ["account", "owner", "state", "cleared_money", "reserved_money", "available_money", "created"]
    list_filter = ["status", "kind", "purpose", CurrencyFilter, CreatedFilter]
    search_ids = ("id", "customer_id")
    search_emails = ("customer__user__email__startswith",)
    search_help_text = "The beginning of an e-mail address, or a whole account or customer id"
    fieldsets = [
        (None, {"fields": ["id", "owner", "kind", "label", "state", "status_reason", "created_at"]}),
        ("Balances", {"fields": ["cleared_money", "reserved_money", "available_money", "last_sequence"]}),
    ]
    staff_actions = (
        StaffAction(
            name="freeze",
            label="Freeze",
            permission=staff.FREEZE_ACCOUNT,
            consequence="Nothing leaves the account from this moment on: new payments are refused, and those that wait "
            "to be cleared are set aside for an officer. What comes in is kept. The customer sees that the account is "
            "frozen, not why.",
            perform=_freeze,
            available=_customer_account_in(AccountStatus.OPEN),
            tone="danger",
        ),
        StaffAction(
            name="unfreeze",
            label="Unfreeze",
            permission=staff.FREEZE_ACCOUNT,
            consequence="The account works again, and what was set aside meanwhile goes on at once; what is not to go "
            "on, fail in its case before.",
            perform=_unfreeze,
            available=_customer_account_in(AccountStatus.FROZEN),
            tone="primary",
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Account]:
        rows: QuerySet[Account] = super().get_queryset(request)
        return rows.select_related("customer__user", "customer__profile").order_by("-id")

    def row_title(self, row: Account) -> str:
        owner = str(row.customer) if row.customer else f"the wallet: {row.get_purpose_display()}"
        return f"{owner} · {row.label or row.currency}"

    def action_summary(self, request: HttpRequest, row: Account) -> list[tuple[str, Any]]:
        return [
            ("Account", link(Account, row.id, f"{row} · {row.id}")),
            ("Owner", self.owner(row)),
            ("Status", badge(row.status)),
            ("Cleared", money(row.cleared, row.currency)),
            ("Reserved", money(row.reserved, row.currency)),
        ]

    @admin.display(description="account")
    def account(self, row: Account) -> str:
        return short_id(row.id)

    @admin.display(description="owner")
    def owner(self, row: Account) -> str:
        if row.customer is None:
            return f"the wallet: {row.get_purpose_display()}"
        return link(Customer, row.customer_id, str(row.customer))

    @admin.display(description="status")
    def state(self, row: Account) -> str:
        return badge(row.status)

    @admin.display(description="cleared")
    def cleared_money(self, row: Account) -> str:
        return money(row.cleared, row.currency)

    @admin.display(description="reserved")
    def reserved_money(self, row: Account) -> str:
        return money(row.reserved, row.currency)

    @admin.display(description="available")
    def available_money(self, row: Account) -> str:
        return money(row.available, row.currency)

    @admin.display(description="created (UTC)")
    def created(self, row: Account) -> str:
        return instant(row.created_at)


register_panel(Account, history_panel(StateChange, permission="accounts.view_statechange"))
