"""Cases: the queue, and the page on which one is decided."""

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.admin.history import states
from accounts.models import Account
from compliance.admin.case_actions import CASE_ACTIONS, latest_proposal
from compliance.admin.checks import decision_answer, facts_values, findings_table
from compliance.admin.names import looked_at, matches_table
from compliance.admin.payers import payer_values
from compliance.admin.queue import AboutFilter, QueueFilter
from compliance.models import Case, KycCheck, NameScreening, PayerScreening, Screening
from compliance.selectors import CaseFile, case_file, transaction_of
from compliance.states import CaseStatus
from ledger.admin.suspense import suspended
from ledger.models import Escalation, Transaction
from wallet_project.utils.admin import (
    BigTableAdmin,
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
    table,
)
from wallet_project.utils.money import format_money

SHOWN = 20
_ABOUT = (
    "screening__transaction",
    "kyc_check",
    "escalation__transaction",
    "name_screening",
    "payer_screening__transaction",
)


@admin.register(Case)
class CaseAdmin(StaffActionsMixin, ExactSearchMixin, BigTableAdmin):
    list_title = "Cases"
    list_display = ["why", "about", "amount", "priority_badge", "state", "customer_link", "assignee", "due"]
    list_display_links = ["why"]
    list_filter = [QueueFilter, AboutFilter, "priority"]
    search_emails = ("customer__user__email__startswith",)
    search_help_text = "The beginning of an e-mail address, or a whole id: of a case, customer or transaction"
    fields = ["id", "state", "priority_badge", "about", "assignee", "created_at", "due", "resolved_at"]
    staff_actions = CASE_ACTIONS

    def get_queryset(self, request: HttpRequest) -> QuerySet[Case]:
        rows: QuerySet[Case] = super().get_queryset(request)
        return rows.select_related("assignee", "customer__user", "customer__profile", *_ABOUT).order_by("due_at", "id")

    def row_title(self, row: Case) -> str:
        about = transaction_of(row)
        if about is not None and row.payer_screening is not None:
            what = f"payer of a deposit of {format_money(about.amount, about.currency)}"
        elif about is not None and row.screening is not None:
            what = f"{about.kind} of {format_money(about.amount, about.currency)}"
        elif row.escalation is not None:
            what = str(row.escalation.get_kind_display())
        elif row.name_screening is not None:
            what = "name on a list"
        else:
            what = "identity"
        return f"{what} · {row.customer}" if row.customer else what

    def id_condition(self, identity: UUID) -> Q:
        # Looked up first: one OR over three joined tables would have no index to go by.
        screenings = list(Screening.objects.filter(transaction=identity).values_list("id", flat=True))
        escalations = list(Escalation.objects.filter(transaction=identity).values_list("id", flat=True)[:SHOWN])
        payers = list(PayerScreening.objects.filter(transaction=identity).values_list("id", flat=True))
        of_money = Q(screening__in=screenings) | Q(escalation__in=escalations) | Q(payer_screening__in=payers)
        return Q(id=identity) | Q(customer=identity) | of_money

    def action_summary(self, request: HttpRequest, row: Case) -> list[tuple[str, Any]]:
        return [
            ("Case", link(Case, row.id, row.reason)),
            ("About", self.about(row)),
            ("Amount", self.amount(row)),
            ("Customer", self.customer_link(row)),
            ("Status", self.state(row)),
        ]

    @admin.display(description="why it is here")
    def why(self, row: Case) -> str:
        return row.reason

    @admin.display(description="about")
    def about(self, row: Case) -> str:
        if row.screening is not None:
            return link(Transaction, row.screening.transaction_id, row.screening.transaction.get_kind_display())
        if row.kyc_check is not None:
            return link(KycCheck, row.kyc_check_id, "identity")
        if row.name_screening is not None:
            return link(NameScreening, row.name_screening_id, "name on a list")
        if row.payer_screening is not None:
            return link(PayerScreening, row.payer_screening_id, "payer of a deposit")
        return link(Escalation, row.escalation_id, "escalation")

    @admin.display(description="amount")
    def amount(self, row: Case) -> str:
        about = transaction_of(row)
        return money(about.amount, about.currency) if about else "–"

    @admin.display(description="priority")
    def priority_badge(self, row: Case) -> str:
        return badge(row.priority)

    @admin.display(description="status")
    def state(self, row: Case) -> str:
        return badge(row.status)

    @admin.display(description="customer")
    def customer_link(self, row: Case) -> str:
        return link_to(row.customer)

    @admin.display(description="due (UTC)")
    def due(self, row: Case) -> str:
        if row.status == CaseStatus.RESOLVED or row.due_at >= timezone.now():
            return instant(row.due_at)
        return format_html("{} {}", instant(row.due_at), badge("overdue", tone="danger"))


def file_of(case: Any) -> CaseFile:
    """Read once for all panels of a page."""
    if not hasattr(case, "file_read"):
        case.file_read = case_file(case.id)
    file: CaseFile = case.file_read
    return file


def heading(text: str) -> str:
    return format_html("<h3>{}</h3>", text)


def columns(left: str, right: str) -> str:
    """Side by side where there is room. Both are safe HTML, made by this module's functions."""
    return SafeString(f'<div class="wallet-columns"><div>{left}</div><div>{right}</div></div>')


def why_shown(request: HttpRequest, row: Case) -> SafeString:
    """Why is it here: what rules, provider or ledger said, and about what."""
    file = file_of(row)
    reason = format_html('<p class="wallet-text">{}</p>', row.reason)
    parts: list[Any] = []
    if row.screening is not None:
        parts += [findings_table(row.screening) if row.screening.findings else reason]
        parts += [
            columns(
                heading("The transaction") + transaction_values(row.screening.transaction),
                heading("What the rules saw") + facts_values(file.facts),
            )
        ]
    elif row.kyc_check is not None and file.case.kyc_check is not None:
        parts += [reason]
        said = named_values(file.answers) if file.answers else "It was never reached."
        parts += [
            columns(
                heading("What the customer said") + profile_values(file.case.kyc_check),
                heading("What the provider said") + said,
            )
        ]
    elif row.name_screening is not None:
        said = heading("What the customer said") + named_values(row.name_screening.asked)
        looked = heading("Looked at") + looked_at(row.name_screening)
        parts += [reason, *_met(row.name_screening, said, looked)]
    elif row.payer_screening is not None and row.payer_screening.transaction is not None:
        deposit = heading("The deposit") + transaction_values(row.payer_screening.transaction)
        payer = heading("Who paid it, as the bank says") + payer_values(row.payer_screening)
        parts += [reason, *_met(row.payer_screening, deposit, payer)]
    elif row.escalation is not None:
        parts += [reason, heading("What happened"), named_values(file.details, minor_units=True)]
        if row.escalation.transaction is not None:
            parts += [heading("The transaction"), transaction_values(row.escalation.transaction)]
    return SafeString("".join(str(part) for part in parts))


def _met(screening: NameScreening | PayerScreening, one: str, other: str) -> list[str]:
    """Two sides of what was looked for, and below them what of the lists it has met."""
    return [columns(one, other), heading("Who is on the lists"), matches_table(screening)]


def transaction_values(about: Transaction) -> str:
    sides = Account.objects.select_related("customer__user", "customer__profile").in_bulk(
        [about.debit_account_id, about.credit_account_id]
    )
    values = {
        "transaction": link(Transaction, about.id, f"{about.get_kind_display()} {about.id}"),
        "status": badge(about.status),
        "amount": money(about.amount, about.currency),
        "from": party(sides.get(about.debit_account_id)),
        "to": party(sides.get(about.credit_account_id)),
        "asked for (UTC)": instant(about.created_at),
    }
    said = {"beneficiary": about.beneficiary, "reference": about.reference}
    return named_values(values | {name: value for name, value in said.items() if value})


def party(account: Account | None) -> str:
    if account is None:
        return "–"
    if account.customer is None:
        return link(Account, account.id, f"the wallet: {account.get_purpose_display()}")
    return format_html(
        "{} · {} · {} available",
        link(Account, account.id, account.customer),
        badge(account.status),
        money(account.available, account.currency),
    )


def profile_values(check: KycCheck) -> str:
    shown = ("first_name", "last_name", "date_of_birth", "country", "address", "document_type", "document_number")
    values: dict[str, Any] = {"profile": link_to(check.profile)}
    return named_values(values | {name: getattr(check.profile, name) for name in shown})


def proposal_shown(request: HttpRequest, row: Case) -> str | None:
    if row.status != CaseStatus.AWAITING_APPROVAL:
        return None
    proposal = latest_proposal(row)
    if proposal is None:
        return None
    return named_values(
        {
            "proposed": badge(proposal.verdict),
            "by": str(proposal.maker),
            "because": proposal.reason,
            "when (UTC)": instant(proposal.created_at),
            "what now": f"Somebody who may approve, other than {proposal.maker}, confirms it or sends it back.",
        }
    )


def customer_shown(request: HttpRequest, row: Case) -> SafeString | None:
    if row.customer is None:
        return None
    customer = row.customer
    who = {"customer": link_to(customer), "e-mail": customer.user.email, "identity": badge(customer.kyc_status)}
    accounts = [
        (
            link(Account, each.id, each.label or each.currency),
            badge(each.status),
            money(each.cleared, each.currency),
            money(each.reserved, each.currency),
        )
        for each in Account.objects.filter(customer=customer).order_by("id")[:SHOWN]
    ]
    others = [
        (link(Case, each.id, each.reason), badge(each.status), instant(each.created_at))
        for each in Case.objects.filter(customer=customer).exclude(id=row.id).order_by("-id")[:SHOWN]
    ]
    return SafeString(
        named_values(who)
        + heading("Accounts")
        + table(["Account", "Status", "Cleared", "Reserved"], accounts, empty="None.")
        + heading("Other cases")
        + table(["Case", "Status", "Since (UTC)"], others, empty="None.")
    )


def notes_shown(request: HttpRequest, row: Case) -> SafeString:
    notes = [
        (instant(note.created_at), note.author, format_html('<p class="wallet-quote">{}</p>', note.text))
        for note in file_of(row).notes
    ]
    return table(["When (UTC)", "By", "Note"], notes, empty="Nobody has written a note.")


def decisions_shown(request: HttpRequest, row: Case) -> SafeString:
    rows = [
        (instant(d.created_at), badge(d.verdict), d.maker, d.checker or "–", decision_answer(d), d.reason)
        for d in file_of(row).decisions
    ]
    headers = ["When (UTC)", "Decision", "By", "Second person", "Answer", "Reason"]
    return table(headers, rows, empty="Nothing has been decided.")


def history_shown(request: HttpRequest, row: Case) -> SafeString:
    """Of the case, of what it is about, and of the money or person behind that; newest first."""
    rows = [
        (
            instant(line.at),
            line.what.replace("kyccheck", "identity check").replace("railtransfer", "bank transfer"),
            states(line.from_state, line.to_state),
            line.who,
            line.reason or "–",
        )
        for line in reversed(file_of(row).history)
    ]
    return table(["When (UTC)", "What", "Change", "By", "Reason"], rows)


register_panel(Case, Panel("Why it is here", why_shown, "compliance.view_case", order=1))


def suspended_shown(request: HttpRequest, row: Case) -> SafeString | None:
    return suspended(request, row.escalation) if row.escalation is not None else None


register_panel(Case, Panel("Money in suspense", suspended_shown, "ledger.view_adjustment", order=2))
register_panel(Case, Panel("What is proposed", proposal_shown, "compliance.view_decision", order=2))
register_panel(Case, Panel("The customer", customer_shown, "accounts.view_customer", order=20))
register_panel(Case, Panel("Notes", notes_shown, "compliance.view_casenote", order=30))
register_panel(Case, Panel("Decisions", decisions_shown, "compliance.view_decision", order=40))
register_panel(Case, Panel("History", history_shown, "compliance.view_statechange", order=90))
