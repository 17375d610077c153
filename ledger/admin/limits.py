"""Limits of accounts and customers: what they are, what is used, who set them."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString

from accounts.admin.history import actor_names
from accounts.models import Account, Customer
from accounts.staff import staff_actor
from accounts.states import AccountKind
from ledger.admin.forms import CustomerLimitForm, LimitForm
from ledger.models import LimitChange
from ledger.selectors.limits import limits_of
from ledger.services import limits
from ledger.states import LimitDirection, LimitScope
from wallet_project.utils.admin import (
    BigTableAdmin,
    CurrencyFilter,
    ExactSearchMixin,
    Panel,
    StaffAction,
    instant,
    link,
    money,
    register_action,
    register_panel,
    table,
)
from wallet_project.utils.money import format_money

SHOWN = 20
_HEADERS = ["Of", "Direction", "Per transaction", "Per day", "used today", "In 30 days", "used in 30 days"]
_OWNERS = {LimitScope.ACCOUNT.value: Account, LimitScope.CUSTOMER.value: Customer, LimitScope.LEVEL.value: Customer}
_BY_LEVEL = {LimitScope.LEVEL.value: ", by level"}
_OF = {
    LimitScope.ACCOUNT: "this account",
    LimitScope.CUSTOMER: "all of the customer's accounts",
    LimitScope.LEVEL: "all of the customer's accounts, by his level",
}


def limits_table(owners: Sequence[UUID]) -> SafeString:
    rows = [
        (
            _OF[each.scope],
            f"{LimitDirection(each.direction).label}, {each.currency}",
            money(each.per_transaction, each.currency),
            money(each.per_day, each.currency),
            money(each.used_today, each.currency),
            money(each.per_30_days, each.currency),
            money(each.used_in_30_days, each.currency),
        )
        for each in limits_of(owners)
    ]
    return table(_HEADERS, rows, empty="No limit is set.")


def changes_table(owners: Sequence[UUID]) -> SafeString:
    changes = list(LimitChange.objects.filter(owner_id__in=owners).order_by("-id")[:SHOWN])
    if not changes:
        return SafeString()
    names = actor_names(change.actor_id for change in changes)
    rows = [
        (
            instant(change.at),
            f"{change.get_direction_display()}, {change.currency}{_BY_LEVEL.get(change.scope, '')}",
            money(change.per_transaction, change.currency),
            money(change.per_day, change.currency),
            money(change.per_30_days, change.currency),
            names.get(change.actor_id, str(change.actor_id)),
            change.reason,
        )
        for change in changes
    ]
    headers = ["Set (UTC)", "Direction", "Per transaction", "Per day", "In 30 days", "By", "Reason"]
    return SafeString(SafeString("<h3>Who set them</h3>") + table(headers, rows))


def limits_of_account(request: HttpRequest, row: Account) -> SafeString | None:
    if row.customer_id is None:
        return None
    owners = [row.id, row.customer_id]
    return SafeString(limits_table(owners) + changes_table(owners))


def limits_of_customer(request: HttpRequest, row: Customer) -> SafeString:
    return SafeString(limits_table([row.id]) + changes_table([row.id]))


def _set_of_account(request: HttpRequest, row: Account, values: dict[str, Any]) -> str:
    limits.set_account_limit(
        actor=staff_actor(request.user),
        account_id=row.id,
        direction=values["direction"],
        per_transaction=values["per_transaction"],
        per_day=values["per_day"],
        per_30_days=values["per_30_days"],
        reason=values["reason"],
    )
    return "The limit is set."


def _set_of_customer(request: HttpRequest, row: Customer, values: dict[str, Any]) -> str:
    limits.set_customer_limit(
        actor=staff_actor(request.user),
        customer_id=row.id,
        currency=values["currency"],
        direction=values["direction"],
        per_transaction=values["per_transaction"],
        per_day=values["per_day"],
        per_30_days=values["per_30_days"],
        reason=values["reason"],
    )
    return "The limit is set."


_TAKES_EFFECT = (
    "It holds from now on, in place of the one in this direction; what was moved in the last 30 days counts. "
    "What goes out beyond it is refused at once, what comes in fails when it would be posted, and money from a bank "
    "then waits in suspense. The customer sees the limit and what is left of it, not who set it or why."
)


def what_setting_does(row: Any) -> str:
    """With the limits that it would replace: what is left empty is gone."""
    present = [
        f"{LimitDirection(each.direction).label} {each.currency}: "
        + ", ".join(
            f"{format_money(amount, each.currency)} {name}"
            for amount, name in (
                (each.per_transaction, "per transaction"),
                (each.per_day, "per day"),
                (each.per_30_days, "in 30 days"),
            )
            if amount is not None
        )
        for each in limits_of([row.id])
        if each.scope != LimitScope.LEVEL
    ]
    return f"{_TAKES_EFFECT} At present: {'; '.join(present) or 'no limit'}."


@admin.register(LimitChange)
class LimitChangeAdmin(ExactSearchMixin, BigTableAdmin):
    list_title = "Limits that were set"
    page_hint = "Who set a limit, and why. Three dashes: it was removed."
    list_display = ["when", "owner", "direction_name", "transaction_money", "day_money", "month_money", "reason"]
    list_filter = ["direction", "scope", CurrencyFilter]
    search_ids = ("owner_id",)
    search_help_text = "The whole id of an account or a customer"
    fields = [
        "when", "owner", "direction_name", "transaction_money", "day_money", "month_money", "actor", "reason",
        "request_id",
    ]  # fmt: skip
    ordering = ["-id"]

    def row_title(self, row: LimitChange) -> str:
        return f"{row.get_direction_display()} limit, {row.currency}"

    @admin.display(description="when (UTC)")
    def when(self, row: LimitChange) -> str:
        return instant(row.at)

    @admin.display(description="of")
    def owner(self, row: LimitChange) -> str:
        return link(_OWNERS[row.scope], row.owner_id)

    @admin.display(description="direction")
    def direction_name(self, row: LimitChange) -> str:
        return f"{row.get_direction_display()}, {row.currency}{_BY_LEVEL.get(row.scope, '')}"

    @admin.display(description="per transaction")
    def transaction_money(self, row: LimitChange) -> str:
        return money(row.per_transaction, row.currency)

    @admin.display(description="per day")
    def day_money(self, row: LimitChange) -> str:
        return money(row.per_day, row.currency)

    @admin.display(description="in 30 days")
    def month_money(self, row: LimitChange) -> str:
        return money(row.per_30_days, row.currency)

    @admin.display(description="by")
    def actor(self, row: LimitChange) -> str:
        return actor_names([row.actor_id]).get(row.actor_id, str(row.actor_id))


register_action(
    Account,
    StaffAction(
        name="set-limit",
        label="Set a limit",
        permission=limits.SET_LIMIT,
        consequence=what_setting_does,
        perform=_set_of_account,
        available=lambda request, row: row.kind == AccountKind.CUSTOMER,
        form=LimitForm,
    ),
)
register_action(
    Customer,
    StaffAction(
        name="set-limit",
        label="Set a limit",
        permission=limits.SET_LIMIT,
        consequence=what_setting_does,
        perform=_set_of_customer,
        available=lambda request, row: True,
        form=CustomerLimitForm,
    ),
)
register_panel(Account, Panel("Limits", limits_of_account, "ledger.view_limit", order=20))
register_panel(Customer, Panel("Limits", limits_of_customer, "ledger.view_limit", order=25))
