"""What the ledger shows on an account's page."""

from django.db.models import Q
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.models import Account
from ledger.admin.parties import NAMED, account_link
from ledger.models import Entry, Pending, Transaction
from wallet_project.utils.admin import Panel, badge, instant, link, money, register_panel, table

SHOWN = 20
_SIDES = tuple(f"{side}_account__{path}" for side in ("debit", "credit") for path in NAMED)


def pending_table(request: HttpRequest, account: Account) -> SafeString:
    listed = Pending.objects.filter(Q(debit_account_id=account.id) | Q(credit_account_id=account.id))
    newest = listed.order_by("-transaction_id").values_list("transaction_id", flat=True)[:SHOWN]
    waiting = Transaction.objects.filter(id__in=list(newest))
    rows = [
        (
            link(Transaction, each.id),
            each.get_kind_display(),
            badge("debit" if each.debit_account_id == account.id else "credit", tone="neutral"),
            money(each.amount, each.currency),
            account_link(each.credit_account if each.debit_account_id == account.id else each.debit_account),
            instant(each.created_at),
        )
        for each in waiting.select_related(*_SIDES).order_by("-id")
    ]
    headers = ["Transaction", "Kind", "Direction", "Amount", "Other side", "Since (UTC)"]
    return table(headers, rows, empty="Nothing is pending.")


def entries_table(request: HttpRequest, account: Account) -> SafeString:
    newest = Entry.objects.filter(account=account).order_by("-sequence")
    rows = [
        (
            each.sequence,
            instant(each.created_at),
            badge(each.direction, tone="neutral"),
            money(each.amount, account.currency),
            money(each.balance_after, account.currency),
            link(Transaction, each.transaction_id),
        )
        for each in newest[:SHOWN]
    ]
    more = format_html(
        '<p class="wallet-empty"><a class="wallet-link" href="{}?q={}">All entries of this account</a></p>',
        reverse("admin:ledger_entry_changelist"),
        account.id,
    )
    headers = ["No.", "Posted (UTC)", "Direction", "Amount", "Balance after it", "Transaction"]
    shown = table(headers, rows, empty="Nothing has been posted.")
    return SafeString(shown + more) if len(rows) == SHOWN else shown


register_panel(Account, Panel("Pending transactions", pending_table, "ledger.view_transaction", order=30))
register_panel(Account, Panel("Last entries", entries_table, "ledger.view_entry", order=40))
