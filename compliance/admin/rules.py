"""Rules, their versions, what two people have decided on them, which ran when, and trials on the past."""

from typing import Any

from django.contrib import admin
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from accounts.admin.history import history_panel
from compliance.admin.rule_actions import NEW_DRAFT, NEW_RULE, VERSION_ACTIONS
from compliance.models import Backtest, Rule, RuleDecision, RulesRevision, RuleVersion, Screening, StateChange
from compliance.selectors import running_versions, spoken_in_shadow
from ledger.models import Transaction
from wallet_project.utils.admin import (
    BigTableAdmin,
    CreatedFilter,
    ExactSearchMixin,
    Panel,
    StaffActionsMixin,
    badge,
    instant,
    link,
    money,
    register_panel,
    table,
)

TONES = {"active": "success", "shadow": "info", "draft": "neutral", "retired": "danger", "done": "success"}
SHOWN = 20


def state_badge(status: str) -> str:
    return badge(status, tone=TONES.get(status))


def version_link(row: RuleVersion) -> str:
    return link(RuleVersion, row.id, f"{row.rule} {row.number}")


def what_it_does(row: RuleVersion) -> str:
    return f"{row.points} points" if row.points else row.action


@admin.register(Rule)
class RuleAdmin(StaffActionsMixin, ExactSearchMixin, BigTableAdmin):
    page_hint = "What transactions are looked at for. A rule changes by a new version, which takes two people."
    list_title = "Rules"
    list_display = ["named", "description", "in_force", "versions_counted", "since"]
    search_ids = ("id",)
    search_help_text = "A whole id"
    fieldsets = [(None, {"fields": ["id", "name", "description", "created_by", "since"]})]
    ordering = ["name"]
    staff_actions = (NEW_DRAFT, NEW_RULE)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Rule]:
        rows: QuerySet[Rule] = super().get_queryset(request)
        counted = Count("versions"), Count("versions", filter=Q(versions__status="active"))
        return rows.select_related("created_by__user").annotate(counted=counted[0], active=counted[1])

    @admin.display(description="rule")
    def named(self, row: Rule) -> str:
        return str(row)

    @admin.display(description="in force")
    def in_force(self, row: Any) -> str:
        return state_badge("active") if row.active else badge("no version")

    @admin.display(description="versions")
    def versions_counted(self, row: Any) -> str:
        return str(row.counted)

    @admin.display(description="since (UTC)")
    def since(self, row: Rule) -> str:
        return instant(row.created_at)


def versions_of_rule(request: HttpRequest, row: Rule) -> SafeString:
    rows = [
        (link(RuleVersion, each.id, each.number), state_badge(each.status), what_it_does(each), code(each.expression))
        for each in row.versions.order_by("-number")[:SHOWN]
    ]
    return table(["Version", "Status", "Does", "When"], rows)


def code(text: str) -> str:
    return format_html('<code class="wallet-text" style="white-space: pre-wrap">{}</code>', text)


@admin.register(RuleVersion)
class RuleVersionAdmin(StaffActionsMixin, ExactSearchMixin, BigTableAdmin):
    page_hint = "What a rule says. It never changes; a new version takes its place."
    list_title = "Rule versions"
    list_display = ["rule", "number", "state", "does", "is_serious", "author", "created"]
    list_filter = ["status", "action"]
    search_ids = ("id", "rule_id")
    search_help_text = "A whole id: of a version or a rule"
    fieldsets = [
        (None, {"fields": ["id", "rule_link", "number", "state", "author", "created"]}),
        ("What it says", {"fields": ["when", "explanation", "does", "is_serious"]}),
    ]
    ordering = ["-id"]
    staff_actions = VERSION_ACTIONS

    def get_queryset(self, request: HttpRequest) -> QuerySet[RuleVersion]:
        rows: QuerySet[RuleVersion] = super().get_queryset(request)
        return rows.select_related("rule", "author__user")

    def row_title(self, row: RuleVersion) -> str:
        return f"{row.rule}, version {row.number}"

    @admin.display(description="rule")
    def rule_link(self, row: RuleVersion) -> str:
        return link(Rule, row.rule_id, str(row.rule))

    @admin.display(description="status")
    def state(self, row: RuleVersion) -> str:
        return state_badge(row.status)

    @admin.display(description="when it is true")
    def when(self, row: RuleVersion) -> str:
        return code(row.expression)

    @admin.display(description="does")
    def does(self, row: RuleVersion) -> str:
        return what_it_does(row)

    @admin.display(description="serious")
    def is_serious(self, row: RuleVersion) -> str:
        return "yes" if row.serious else "no"

    @admin.display(description="created (UTC)")
    def created(self, row: RuleVersion) -> str:
        return instant(row.created_at)


def decisions_of_version(request: HttpRequest, row: RuleVersion) -> SafeString | None:
    rows = [
        (instant(each.created_at), each.change, badge(each.step), each.checker or each.maker, each.reason)
        for each in row.decisions.select_related("maker__user", "checker__user")[:SHOWN]
    ]
    return table(["When (UTC)", "To", "", "By", "Reason"], rows, empty="Nobody has proposed anything.")


def said_in_shadow(request: HttpRequest, row: RuleVersion) -> SafeString | None:
    looked_at, spoken = spoken_in_shadow(row)
    if not looked_at:
        return None
    rows = [
        (link(Screening, each.id), badge(each.status), finding.get("action", ""), finding.get("explanation", ""))
        for each, finding in spoken[:SHOWN]
    ]
    heading = format_html("<p>{} of the last {} screenings in which any shadow spoke.</p>", len(spoken), looked_at)
    return SafeString(heading + table(["Screening", "Decided", "Would", "Because"], rows, empty="It has not spoken."))


def backtests_of_version(request: HttpRequest, row: RuleVersion) -> SafeString | None:
    rows = [
        (
            link(Backtest, each.id, instant(each.created_at)),
            state_badge(each.status),
            f"{each.replayed:,}",
            (each.report or {}).get("hits", "–"),
            (each.report or {}).get("extra_cases_a_day", "–"),
        )
        for each in row.backtests.order_by("-id")[:SHOWN]
    ]
    headers = ["Asked (UTC)", "Status", "Replayed", "Hits", "Extra cases a day"]
    return table(headers, rows, empty="It was not tried on the past.") if rows else None


@admin.register(RuleDecision)
class RuleDecisionAdmin(ExactSearchMixin, BigTableAdmin):
    page_hint = "Who proposed that a rule runs or ends, and who answered. It stays."
    list_title = "Decisions on rules"
    list_display = ["when", "version_shown", "change", "step_badge", "maker", "checker", "reason"]
    list_filter = ["step", "change", CreatedFilter]
    search_ids = ("version_id",)
    search_help_text = "A whole version's id"
    fields = ["id", "version_shown", "change", "step_badge", "maker", "checker", "reason", "when"]
    ordering = ["-id"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[RuleDecision]:
        rows: QuerySet[RuleDecision] = super().get_queryset(request)
        return rows.select_related("version__rule", "maker__user", "checker__user")

    @admin.display(description="when (UTC)")
    def when(self, row: RuleDecision) -> str:
        return instant(row.created_at)

    @admin.display(description="version")
    def version_shown(self, row: RuleDecision) -> str:
        return version_link(row.version)

    @admin.display(description="step")
    def step_badge(self, row: RuleDecision) -> str:
        return badge(row.step)


@admin.register(RulesRevision)
class RulesRevisionAdmin(ExactSearchMixin, BigTableAdmin):
    page_hint = "Which versions ran together from a moment on. Each screening names the set by which it was decided."
    list_title = "Sets of rules"
    list_display = ["number", "since", "made_by", "counted"]
    search_ids = ()
    fields = ["number", "since", "made_by", "versions"]
    ordering = ["-number"]
    list_select_related = ("made_by__user",)

    @admin.display(description="from (UTC)")
    def since(self, row: RulesRevision) -> str:
        return instant(row.made_at)

    @admin.display(description="versions")
    def counted(self, row: RulesRevision) -> str:
        return f"{len(row.active)} active, {len(row.shadow)} in shadow"

    @admin.display(description="versions")
    def versions(self, row: RulesRevision) -> str:
        shadow = set(row.shadow)
        rows = [
            (version_link(each), state_badge("shadow" if str(each.id) in shadow else "active"), what_it_does(each))
            for each in running_versions(row)
        ]
        return table(["Version", "Ran as", "Does"], rows)


@admin.register(Backtest)
class BacktestAdmin(ExactSearchMixin, BigTableAdmin):
    page_hint = "A version tried on what was screened in a period, with the facts of the time. Nothing is decided anew."
    list_title = "Backtests"
    list_display = ["asked", "version_shown", "state", "since", "until", "replayed", "hits"]
    list_filter = ["status"]
    search_ids = ("id", "version_id")
    search_help_text = "A whole id: of a backtest or a version"
    fieldsets = [
        (
            None,
            {"fields": ["id", "version_shown", "state", "error", "since", "until", "asked_by", "asked", "ended_at"]},
        ),
        ("The report", {"fields": ["replayed", "report_shown", "examples"]}),
    ]
    ordering = ["-id"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Backtest]:
        rows: QuerySet[Backtest] = super().get_queryset(request)
        return rows.select_related("version__rule", "asked_by__user")

    def row_title(self, row: Backtest) -> str:
        return f"Backtest of {row.version}"

    @admin.display(description="asked (UTC)")
    def asked(self, row: Backtest) -> str:
        return instant(row.created_at)

    @admin.display(description="version")
    def version_shown(self, row: Backtest) -> str:
        return version_link(row.version)

    @admin.display(description="status")
    def state(self, row: Backtest) -> str:
        return state_badge(row.status)

    @admin.display(description="hits")
    def hits(self, row: Backtest) -> str:
        return str((row.report or {}).get("hits", "–"))

    @admin.display(description="it says")
    def report_shown(self, row: Backtest) -> str:
        report = dict(row.report or {})
        report.pop("examples", None)
        amounts = report.pop("amount_not_caught_then", {})
        lines = [(name.replace("_", " "), _plain(value)) for name, value in report.items()]
        lines += [("amount not caught then", money(amount, currency)) for currency, amount in amounts.items()]
        return table(["", ""], lines, empty="Not yet.")

    @admin.display(description="examples")
    def examples(self, row: Backtest) -> str:
        rows = [
            (
                link(Transaction, each["transaction"]),
                link(Screening, each["screening"]),
                money(each["amount"], each["currency"]),
                each["explanation"],
            )
            for each in (row.report or {}).get("examples", [])
        ]
        return table(["Transaction", "Screening", "Amount", "Because"], rows, empty="None.")


def _plain(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return format_html_join(", ", "{}: {}", value.items()) or "–"


register_panel(Rule, Panel("Versions", versions_of_rule, "compliance.view_ruleversion", order=20))
register_panel(RuleVersion, Panel("Two people", decisions_of_version, "compliance.view_ruledecision", order=20))
register_panel(RuleVersion, Panel("In shadow", said_in_shadow, "compliance.view_screening", order=30))
register_panel(RuleVersion, Panel("On the past", backtests_of_version, "compliance.view_backtest", order=40))
for _model in (RuleVersion, Backtest):
    register_panel(_model, history_panel(StateChange, permission="compliance.view_statechange"))
