"""How the admin looks, and its menu. Everything comes from our own static files: no CDN, no foreign fonts."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy


def may(permission: str) -> Callable[[HttpRequest], bool]:
    return lambda request: bool(request.user.has_perm(permission))


def item(title: str, icon: str, model: str, **more: Any) -> dict[str, Any]:
    """One line of the menu: the list of `app.model`, for those who may view it."""
    app, name = model.split(".")
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{app}_{name}_changelist"),
        "permission": may(f"{app}.view_{name}"),
        **more,
    }


def environment(request: HttpRequest) -> list[str] | None:
    return ["Development", "warning"] if settings.DEBUG else None


def icon(request: HttpRequest) -> str:
    return static("wallet/icon.svg")


def stylesheet(request: HttpRequest) -> str:
    return static("wallet/admin.css")


NAVIGATION: list[dict[str, Any]] = [
    {
        "title": "Work",
        "items": [
            {"title": "Home", "icon": "home", "link": reverse_lazy("admin:index")},
            item("Cases", "inbox", "compliance.case", badge="compliance.admin.dashboard.waiting_badge"),
            item("Identity checks", "badge", "compliance.kyccheck"),
            item("Screenings", "policy", "compliance.screening"),
            item("Name screenings", "person_search", "compliance.namescreening"),
            item("Payer screenings", "person_search", "compliance.payerscreening"),
            item("Escalations", "warning", "ledger.escalation"),
        ],
    },
    {
        "title": "Customers",
        "separator": True,
        "items": [
            item("Customers", "group", "accounts.customer"),
            item("Accounts", "account_balance_wallet", "accounts.account"),
            item("Profile versions", "contact_page", "accounts.profileversion"),
            item("Risk weights", "speed", "compliance.riskweights"),
            item("Documents", "description", "compliance.document"),
            item("Looks at documents", "visibility", "compliance.documentaccess"),
        ],
    },
    {
        "title": "Money",
        "separator": True,
        "items": [
            item("Transactions", "swap_horiz", "ledger.transaction"),
            item("Entries", "receipt_long", "ledger.entry"),
            item("Waiting units", "hourglass_top", "ledger.workitem"),
            item("Adjustments", "balance", "ledger.adjustment", badge="ledger.admin.adjustments.waiting_badge"),
            item("Bank transfers", "account_balance", "ledger.railtransfer"),
            item("Messages from the bank", "mail", "ledger.inboundevent"),
        ],
    },
    {
        "title": "Lists",
        "separator": True,
        "collapsible": True,
        "items": [
            item("Lists", "list_alt", "compliance.sanctionslist"),
            item("Versions", "history_edu", "compliance.listversion"),
            item("Entries", "person_alert", "compliance.sanctionsentry"),
        ],
    },
    {
        "title": "Rules",
        "separator": True,
        "items": [
            item("Rules", "rule", "compliance.rule"),
            item("Rule versions", "rule_settings", "compliance.ruleversion"),
            item("Backtests", "history_toggle_off", "compliance.backtest"),
            item("Sets of rules", "layers", "compliance.rulesrevision"),
            item("Decisions on rules", "gavel", "compliance.ruledecision"),
        ],
    },
    {
        "title": "Records",
        "separator": True,
        "collapsible": True,
        "items": [
            item("Decisions", "gavel", "compliance.decision"),
            item("Self-audits", "fact_check", "compliance.selfaudit"),
            item("Log: decisions", "history", "compliance.statechange"),
            item("Log: money", "history", "ledger.statechange"),
            item("Log: limits", "history", "ledger.limitchange"),
            item("Log: people, accounts", "history", "accounts.statechange"),
            item("Messages from identity", "mail", "compliance.inboundevent"),
        ],
    },
    {
        "title": "Staff",
        "separator": True,
        "collapsible": True,
        "items": [
            item("Users", "person", "accounts.user"),
            item("Roles", "shield_person", "auth.group"),
            item("Log: users and roles", "history", "admin.logentry"),
        ],
    },
]

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Wallet",
    "SITE_HEADER": "Wallet",
    "SITE_SUBHEADER": "Compliance and operations",
    "SITE_SYMBOL": "account_balance_wallet",
    "SITE_URL": None,
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": icon}],
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": True,
    "ENVIRONMENT": "wallet_project.backoffice.look.environment",
    "DASHBOARD_CALLBACK": "compliance.admin.dashboard.dashboard",
    "STYLES": [stylesheet],
    "BORDER_RADIUS": "6px",
    "COLORS": {
        "primary": {
            "50": "oklch(97% .014 230)",
            "100": "oklch(94% .03 230)",
            "200": "oklch(89% .06 230)",
            "300": "oklch(82% .1 232)",
            "400": "oklch(73% .13 235)",
            "500": "oklch(64% .14 238)",
            "600": "oklch(53% .14 243)",
            "700": "oklch(46% .12 244)",
            "800": "oklch(40% .1 244)",
            "900": "oklch(34% .08 244)",
            "950": "oklch(26% .06 244)",
        }
    },
    "SIDEBAR": {"show_search": False, "show_all_applications": False, "navigation": NAVIGATION},
}
