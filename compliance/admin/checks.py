"""Identity checks and screenings, what came in from identity providers, and the records of decisions."""

from collections.abc import Mapping
from typing import Any, Final

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from accounts.admin.history import StateChangeAdmin, history_panel
from accounts.models import ProfileVersion
from compliance.admin.names import matches_table
from compliance.models import Case, Decision, InboundEvent, KycCheck, RulesRevision, Screening, StateChange
from ledger.models import Transaction
from wallet_project.utils.admin import (
    BigTableAdmin,
    CreatedFilter,
    ExactSearchMixin,
    InboundEventAdmin,
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

_AMOUNTS: Final = ("amount", "out_24h", "out_30d", "in_24h")
FACT_NAMES: Final = {
    "kind": "Kind",
    "outgoing": "Leaves the customer's account",
    "amount": "Amount",
    "identity_rejected": "Identity is rejected",
    "account_age_seconds": "Age of the account",
    "debits_1h": "Debits in the hour before",
    "out_24h": "Sent out in the 24 hours before",
    "to_own_account": "Between the customer's own accounts",
    "just_under_24h": "Just under a limit in the 24 hours before",
    "counterparty_known": "Counterparty was paid before",
    "beneficiary_first_use": "First use of the beneficiary",
    "debits_24h": "Debits in the 24 hours before",
    "debits_30d": "Debits in the 30 days before",
    "out_30d": "Sent out in the 30 days before",
    "days_idle": "Days since the last debit",
    "in_24h": "Came in in the 24 hours before",
    "party_matched": "A customer's name may be on a list",
    "destination_score": "Score of the payee's name on lists",
    "customer_risk": "The customer's risk, of 100",
}


def findings_table(screening: Screening) -> SafeString:
    """Rule version by rule version; those in shadow, which have decided nothing, below."""
    rows = [_finding_line(finding) for finding in screening.findings]
    shadow = [_finding_line(finding, "in shadow: ") for finding in screening.shadow or []]
    return table(["Says", "Rule", "Version", "Because"], [*rows, *shadow], empty="No rule had anything to say.")


def _finding_line(finding: Mapping[str, Any], prefix: str = "") -> tuple[str, str, str, str]:
    """What was recorded before rules had versions names none."""
    action, points = str(finding.get("action") or finding.get("verdict", "")), finding.get("points")
    said = badge(
        action, f"{prefix}{points} points" if points else f"{prefix}{action}", tone="neutral" if prefix else None
    )
    number = finding.get("version")
    name = str(finding.get("rule", "")).replace("_", " ")
    return said, name, str(number) if number else "–", str(finding.get("explanation", ""))


def facts_values(facts: Mapping[str, Any]) -> str:
    """The facts as the rules saw them, in words and with units."""
    shown: dict[str, Any] = {}
    for name, value in facts.items():
        if name == "currency":
            continue
        label = FACT_NAMES.get(name, name)
        if value is None:
            shown[label] = "the lists could not be read" if name == "destination_score" else "not looked up"
        elif name in _AMOUNTS:
            shown[label] = money(value, str(facts.get("currency", "")))
        elif name == "account_age_seconds":
            shown[label] = f"{value // 86_400} days, {value % 86_400 // 3600} hours"
        else:
            shown[label] = value
    return named_values(shown)


class CheckAdmin(ExactSearchMixin, BigTableAdmin):
    """What identity checks and screenings have in common."""

    ordering = ["-id"]

    @admin.display(description="check")
    def check_id(self, row: Any) -> str:
        return short_id(row.id)

    @admin.display(description="status")
    def state(self, row: Any) -> str:
        return badge(row.status)

    @admin.display(description="created (UTC)")
    def created(self, row: Any) -> str:
        return instant(row.created_at)

    @admin.display(description="decided (UTC)")
    def decided(self, row: Any) -> str:
        return instant(row.decided_at)

    @admin.display(description="case")
    def case_link(self, row: Any) -> str:
        case = getattr(row, "case", None)
        return link(Case, case.id, badge(case.status)) if case else "–"


@admin.register(KycCheck)
class KycCheckAdmin(CheckAdmin):
    page_hint = "One check of one version of a customer's profile. Who can't be decided by the provider becomes a case."
    list_title = "Identity checks"
    list_display = ["check_id", "customer_link", "state", "decided_by", "case_link", "tries", "created", "decided"]
    list_filter = ["status", CreatedFilter]
    search_ids = ("id", "customer_id")
    search_emails = ("customer__user__email__startswith",)
    search_help_text = "The beginning of an e-mail address, or a whole check or customer id"
    fieldsets = [
        (None, {"fields": ["id", "customer_link", "level", "profile_link", "state"]}),
        ("The decision", {"fields": ["decided_by", "reason", "case_link"]}),
        ("The provider", {"fields": ["provider_reference", "answers_values"]}),
        ("Tries", {"fields": ["attempts", "next_at", "created_at", "decided_at"]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[KycCheck]:
        rows: QuerySet[KycCheck] = super().get_queryset(request)
        return rows.select_related("customer__user", "customer__profile", "profile", "case")

    def row_title(self, row: KycCheck) -> str:
        return f"identity of {row.customer}"

    @admin.display(description="customer")
    def customer_link(self, row: KycCheck) -> str:
        return link_to(row.customer)

    @admin.display(description="profile that is checked")
    def profile_link(self, row: KycCheck) -> str:
        return link(ProfileVersion, row.profile_id, str(row.profile))

    @admin.display(description="tries")
    def tries(self, row: KycCheck) -> str:
        return str(row.attempts)

    @admin.display(description="its answers")
    def answers_values(self, row: KycCheck) -> str:
        return named_values(row.answers)


@admin.register(Screening)
class ScreeningAdmin(CheckAdmin):
    page_hint = "The one screening of a transaction. What is in review waits for its case; the funds stay reserved."
    list_title = "Screenings"
    list_display = [
        "check_id",
        "transaction_link",
        "amount_money",
        "state",
        "decided_by",
        "why",
        "case_link",
        "created",
    ]
    list_filter = ["status", CreatedFilter]
    search_ids = ("id", "transaction_id")
    search_help_text = "A whole id: of a screening or a transaction"
    fieldsets = [
        (None, {"fields": ["id", "transaction_link", "amount_money", "state", "decided_by", "reason", "case_link"]}),
        ("What the rules saw", {"fields": ["findings_shown", "rules_shown", "names_shown", "facts_shown"]}),
        ("Tries", {"fields": ["attempts", "created_at", "decided_at"]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Screening]:
        rows: QuerySet[Screening] = super().get_queryset(request)
        return rows.select_related("transaction", "case")

    def row_title(self, row: Screening) -> str:
        about = row.transaction
        return f"screening of a {about.kind} of {format_money(about.amount, about.currency)}"

    @admin.display(description="transaction")
    def transaction_link(self, row: Screening) -> str:
        return link(Transaction, row.transaction_id)

    @admin.display(description="amount")
    def amount_money(self, row: Screening) -> str:
        return money(row.transaction.amount, row.transaction.currency)

    @admin.display(description="rules that spoke")
    def why(self, row: Screening) -> str:
        return ", ".join(str(finding.get("rule", "")).replace("_", " ") for finding in row.findings) or "–"

    @admin.display(description="findings")
    def findings_shown(self, row: Screening) -> str:
        return findings_table(row)

    @admin.display(description="rules that were asked")
    def rules_shown(self, row: Screening) -> str:
        if row.rules_revision is None:
            return "–"
        return link(RulesRevision, row.rules_revision, f"set {row.rules_revision}")

    @admin.display(description="the payee's name on lists")
    def names_shown(self, row: Screening) -> str:
        return matches_table(row)

    @admin.display(description="facts")
    def facts_shown(self, row: Screening) -> str:
        return facts_values(row.facts)


@admin.register(Decision)
class DecisionAdmin(ExactSearchMixin, BigTableAdmin):
    page_hint = "What a person decided, why, and who agreed. It stays."
    list_display = ["when", "case_link", "verdict_badge", "maker", "checker", "answer", "reason"]
    list_filter = ["verdict", "agreed", CreatedFilter]
    search_ids = ("case_id",)
    search_emails = ("maker__email__startswith", "checker__email__startswith")
    search_help_text = "The beginning of an officer's e-mail address, or a whole case id"
    fields = ["id", "case_link", "verdict_badge", "reason", "maker", "checker", "answer", "created_at"]
    ordering = ["-id"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Decision]:
        rows: QuerySet[Decision] = super().get_queryset(request)
        return rows.select_related("case", "maker", "checker")

    def row_title(self, row: Decision) -> str:
        return f"{row.verdict} by {row.maker}"

    @admin.display(description="when (UTC)")
    def when(self, row: Decision) -> str:
        return instant(row.created_at)

    @admin.display(description="case")
    def case_link(self, row: Decision) -> str:
        return link(Case, row.case_id)

    @admin.display(description="verdict")
    def verdict_badge(self, row: Decision) -> str:
        return badge(row.verdict)

    @admin.display(description="second person's answer")
    def answer(self, row: Decision) -> str:
        return decision_answer(row)


def decision_answer(row: Decision) -> str:
    if row.agreed is None:
        return "–"
    return badge("agreed", tone="success") if row.agreed else badge("sent back", tone="warning")


@admin.register(InboundEvent)
class IdentityEventAdmin(InboundEventAdmin):
    list_title = "Messages from identity providers"


@admin.register(StateChange)
class ComplianceStateChangeAdmin(StateChangeAdmin):
    list_title = "State changes of checks, screenings, cases and rules"


for _model in (KycCheck, Screening):
    register_panel(_model, history_panel(StateChange, permission="compliance.view_statechange"))
