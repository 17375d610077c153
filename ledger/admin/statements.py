"""An account's statements by month, as the file that its owner gets."""

from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from accounts.models import Account
from ledger.selectors.entries import statement_of
from ledger.serializers.statement_csv import StatementTooLong, statement_file
from wallet_project.utils.admin import Panel, register_panel

#: Months on the account's page, this one among them.
SHOWN = 6
_NAME = "ledger_entry_statement"


class StatementsMixin:
    """For the admin of entries: a page that is one account's file of one month."""

    def get_urls(self) -> list[URLPattern]:
        urls: list[URLPattern] = super().get_urls()  # type: ignore[misc]
        view = self.admin_site.admin_view(self.statement_view)  # type: ignore[attr-defined]
        return [path("statement/<uuid:account_id>/<int:year>/<int:month>/", view, name=_NAME), *urls]

    def statement_view(self, request: HttpRequest, account_id: UUID, year: int, month: int) -> HttpResponseBase:
        if not self.has_view_permission(request):  # type: ignore[attr-defined]
            raise PermissionDenied
        account = get_object_or_404(Account, id=account_id)
        page = HttpResponseRedirect(reverse("admin:accounts_account_change", args=[account_id]))
        try:
            since = date(year, month, 1)
            until = _month_after(since)
        except ValueError:
            messages.warning(request, "There is no such month.")
            return page
        statement = statement_of(account, since=_midnight(since), until=_midnight(until), now=timezone.now())
        try:
            return statement_file(statement)
        except StatementTooLong as error:
            messages.warning(request, f"{error.message} It has {statement.count:,} lines.")
            return page


def statements(request: HttpRequest, account: Account) -> SafeString:
    month = timezone.now().astimezone(UTC).date().replace(day=1)
    links: list[tuple[Any, ...]] = []
    for _ in range(SHOWN):
        if _month_after(month) <= account.created_at.astimezone(UTC).date():
            break
        links.append((reverse(f"admin:{_NAME}", args=[account.id, month.year, month.month]), f"{month:%B %Y}"))
        month = _month_before(month)
    listed = format_html_join(" · ", '<a class="wallet-link" href="{}">{}</a>', links)
    return format_html('<p class="wallet-empty">CSV, months in UTC: {}</p>', listed)


def _month_after(month: date) -> date:
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


def _month_before(month: date) -> date:
    return date(month.year - (month.month == 1), (month.month - 2) % 12 + 1, 1)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


register_panel(Account, Panel("Statements", statements, "ledger.view_entry", order=45))
