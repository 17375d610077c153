"""How values look to people: money, times, ids, states, links. All is escaped here; callers pass plain values."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import models
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from wallet_project.utils.money import currencies, format_money

NOTHING = "–"
_MAX_DEPTH = 4

#: What a state says at a glance; words that are not here are neutral.
TONES = {
    **dict.fromkeys(["cleared", "approved", "approve", "verified", "confirmed", "resolved"], "success"),
    **dict.fromkeys(["failed", "rejected", "reject", "closed", "expired"], "danger"),
    **dict.fromkeys(["pending", "in_review", "review", "frozen", "awaiting_approval", "high", "parked"], "warning"),
    **dict.fromkeys(["running", "in_progress", "submitted", "settling", "clearing", "screening"], "info"),
}


def money(amount: int | None, currency: str) -> str:
    """Minor units for people, never broken over two lines."""
    if amount is None:
        return NOTHING
    return format_html('<span class="wallet-money">{}</span>', format_money(amount, currency))


def instant(at: datetime | None) -> str:
    """A time in UTC to the second."""
    if at is None:
        return NOTHING
    shown = at.astimezone(UTC)
    return format_html(
        '<time class="wallet-time" datetime="{}">{}</time>', shown.isoformat(), shown.strftime("%Y-%m-%d %H:%M:%S")
    )


def short_id(value: UUID | str | None) -> str:
    """The end of an id, where two neighbours differ; the whole of it on hover."""
    if value is None:
        return NOTHING
    return format_html('<code class="wallet-id" title="{}">…{}</code>', value, str(value)[-8:])


def badge(value: str, text: str | None = None, *, tone: str | None = None) -> str:
    """A state as a coloured label."""
    if not value:
        return NOTHING
    tone = tone or TONES.get(value, "neutral")
    return format_html('<span class="wallet-badge wallet-{}">{}</span>', tone, text or value.replace("_", " "))


def link(model: type[models.Model], pk: Any, text: Any = None) -> str:
    """A link to the page of a row that need not be loaded."""
    if pk is None:
        return NOTHING
    text = short_id(pk) if text is None else text
    try:
        url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[pk])
    except NoReverseMatch:
        return format_html("{}", text)
    return format_html('<a class="wallet-link" href="{}">{}</a>', url, text)


def link_to(row: models.Model | None, text: Any = None) -> str:
    """A link to the page of a loaded row, with the row's own name."""
    if row is None:
        return NOTHING
    return link(type(row), row.pk, str(row) if text is None else text)


def table(headers: Sequence[str], rows: Iterable[Sequence[Any]], *, empty: str = "Nothing yet.") -> SafeString:
    return render_to_string("admin/wallet/table.html", {"headers": headers, "rows": list(rows), "empty": empty})


def named_values(value: Any, *, minor_units: bool = False, depth: int = 0) -> str:
    """JSON as a person reads it: names beside values, lists one below the other.

    `minor_units` says that an `amount` beside a `currency` is one of ours or of our bank; what customers call so may be
    anything.
    """
    if depth >= _MAX_DEPTH:
        return format_html("<code>{}</code>", str(value))
    if isinstance(value, Mapping):
        if not value:
            return NOTHING
        members = _with_money(value) if minor_units else value
        lines = (
            (str(name).replace("_", " "), named_values(member, minor_units=minor_units, depth=depth + 1))
            for name, member in members.items()
        )
        return format_html('<dl class="wallet-values">{}</dl>', format_html_join("", "<dt>{}</dt><dd>{}</dd>", lines))
    if isinstance(value, list | tuple):
        if not value:
            return NOTHING
        items = ((named_values(member, minor_units=minor_units, depth=depth + 1),) for member in value)
        return format_html('<ol class="wallet-list">{}</ol>', format_html_join("", "<li>{}</li>", items))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return NOTHING if value is None or value == "" else format_html("{}", value)


def _with_money(value: Mapping[Any, Any]) -> dict[Any, Any]:
    """The amount with its currency, which then need not be said again."""
    amount, currency = value.get("amount"), value.get("currency")
    if type(amount) is not int or not isinstance(currency, str) or currency not in currencies():
        return dict(value)
    return {
        name: money(amount, currency) if name == "amount" else member
        for name, member in value.items()
        if name != "currency"
    }
