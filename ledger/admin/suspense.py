"""Money in suspense: on the account that holds it, and on the escalations that ask what becomes of it."""

from django.http import HttpRequest
from django.utils.safestring import SafeString

from accounts.models import Account
from accounts.states import SystemPurpose
from ledger.admin.adjustments import TONES
from ledger.models import Adjustment, Escalation, Transaction
from ledger.suspense import ITEM, item_of, open_amount, open_items
from wallet_project.utils.admin import (
    Panel,
    badge,
    instant,
    link,
    link_to,
    money,
    named_values,
    register_panel,
    table,
)

SHOWN = 50


def open_items_table(request: HttpRequest, row: Account) -> SafeString | None:
    if row.purpose != SystemPurpose.SUSPENSE:
        return None
    items = [item for item in open_items() if item.currency == row.currency]
    shown = items[:SHOWN]
    named = Escalation.objects.filter(status="open", **{f"details__{ITEM}__in": [str(item.id) for item in shown]})
    escalation_of = {item_of(each.details): each for each in named}
    rows = [
        (
            link(Transaction, item.id),
            badge("came in" if item.amount > 0 else "went out", tone="neutral"),
            money(item.amount, item.currency),
            instant(item.since),
            link_to(escalation_of.get(item.id), "what becomes of it")
            if item.id in escalation_of
            else "on its way back"
            if item.seen_to
            else badge("nobody", tone="danger"),
        )
        for item in shown
    ]
    headers = ["Item", "", "Left of it", "Since (UTC)", "Who sees to it"]
    return table(headers, rows, empty="Nothing is in suspense.")


def suspended(request: HttpRequest, row: Escalation) -> SafeString | None:
    """What is left of the item, and what was proposed for it."""
    item = item_of(row.details)
    if item is None:
        return None
    left, currency = open_amount(item)
    proposed = [
        (
            link(Adjustment, each.id, each.get_kind_display()),
            badge(each.status, tone=TONES.get(each.status)),
            money(each.amount, each.currency),
            each.maker,
            each.reason,
        )
        for each in Adjustment.objects.filter(escalation=row).select_related("maker__user").order_by("-id")[:SHOWN]
    ]
    values = {
        "item": link(Transaction, item),
        "left in suspense": money(left, currency) if currency else "nothing",
    }
    headers = ["Proposed", "Status", "Amount", "By", "Reason"]
    return SafeString(named_values(values) + table(headers, proposed, empty="Nothing has been proposed."))


register_panel(Account, Panel("In suspense", open_items_table, "ledger.view_escalation", order=15))
register_panel(Escalation, Panel("Money in suspense", suspended, "ledger.view_adjustment", order=5))
