"""Lists, their versions with what each changed, and who is on them; the buttons that bring a version into force."""

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from accounts.admin.history import history_panel
from accounts.staff import staff_actor
from compliance.models import (
    ListChange,
    ListDecision,
    ListVersion,
    SanctionsEntry,
    SanctionsList,
    SanctionsName,
    StateChange,
)
from compliance.services import list_activation as activation
from compliance.services.lists import folded
from compliance.states import ListVerdict, ListVersionStatus
from compliance.watchlists import Difference, difference
from wallet_project.utils.admin import (
    BigTableAdmin,
    ExactSearchMixin,
    Panel,
    StaffAction,
    StaffActionsMixin,
    answer_form,
    badge,
    instant,
    link,
    link_to,
    named_values,
    register_panel,
    table,
)

#: Of a version's changes, of an entry's names, of what a search finds.
SHOWN = 50
_FOUND = 500


def _proposal(version: Any) -> ListDecision | None:
    """Read once for a page."""
    if not hasattr(version, "proposal_read"):
        version.proposal_read = activation.standing_proposal(version)
    found: ListDecision | None = version.proposal_read
    return found


ProposalForm = answer_form(_proposal)


def _between(version: Any) -> Difference:
    if not hasattr(version, "between_read"):
        active = ListVersion.objects.filter(list_id=version.list_id, status=ListVersionStatus.ACTIVE).first()
        version.between_read = difference(active, version)
    found: Difference = version.between_read
    return found


def _what_changes(version: ListVersion) -> str:
    between = _between(version)
    return (
        f"Against the version in force: {between.gained:,} entries come or are in other words, {between.lost:,} go or "
        f"were in other words ({between.gone:,} are gone altogether, of {between.had:,})."
    )


def _activation_says(version: Any) -> str:
    if activation.needs_two_people(version.list, _between(version)):
        return (
            f"{_what_changes(version)} Nothing happens yet: this is a proposal, and a second person has to confirm it."
        )
    return f"{_what_changes(version)} {_TAKES_EFFECT}"


_TAKES_EFFECT = (
    "Within seconds every worker looks on this version and no longer on the old one. All customers are looked for on "
    "what is new, and new matches become cases."
)


def _confirmation_says(version: Any) -> str:
    proposal = _proposal(version)
    if proposal is None:
        return "Nothing is proposed."
    return f"Proposed: “{proposal.reason}” {_what_changes(version)} If you agree: {_TAKES_EFFECT}"


def _activate(request: HttpRequest, row: Any, values: dict[str, Any]) -> str:
    made = activation.activate_version(
        actor=staff_actor(request.user), version_id=row.id, reason=values["reason"], now=timezone.now()
    )
    if made.verdict == ListVerdict.PROPOSE:
        return "The activation is proposed; a second person has to confirm it."
    return "The version is in force."


def _confirm(request: HttpRequest, row: Any, values: dict[str, Any]) -> str:
    activation.confirm_activation(
        actor=staff_actor(request.user),
        version_id=row.id,
        reason=values["reason"],
        now=timezone.now(),
        proposal_id=values["proposal"],
    )
    return "The version is in force."


def _decline(request: HttpRequest, row: Any, values: dict[str, Any]) -> str:
    activation.decline_activation(
        actor=staff_actor(request.user),
        version_id=row.id,
        reason=values["reason"],
        proposal_id=values["proposal"],
    )
    return "The proposal is declined; nothing has changed."


def _withdraw(request: HttpRequest, row: Any, values: dict[str, Any]) -> str:
    activation.withdraw_activation(actor=staff_actor(request.user), version_id=row.id, reason=values["reason"])
    return "Your proposal is withdrawn."


def _is_open(request: HttpRequest, row: Any) -> bool:
    return bool(row.status != ListVersionStatus.ACTIVE) and _proposal(row) is None


def _may_answer(request: HttpRequest, row: Any) -> bool:
    proposal = _proposal(row)
    return row.status != ListVersionStatus.ACTIVE and proposal is not None and not _is_mine(request, proposal)


def _may_withdraw(request: HttpRequest, row: Any) -> bool:
    proposal = _proposal(row)
    return row.status != ListVersionStatus.ACTIVE and proposal is not None and _is_mine(request, proposal)


def _is_mine(request: HttpRequest, proposal: ListDecision) -> bool:
    return bool(proposal.maker.user_id == request.user.pk)


VERSION_ACTIONS: tuple[StaffAction, ...] = (
    StaffAction(
        name="activate",
        label="Bring it into force",
        permission=activation.ACTIVATE_LIST,
        consequence=_activation_says,
        perform=_activate,
        available=_is_open,
        tone="primary",
    ),
    StaffAction(
        name="confirm",
        label="Confirm the proposal",
        permission=activation.APPROVE_LIST,
        consequence=_confirmation_says,
        perform=_confirm,
        available=_may_answer,
        form=ProposalForm,
        tone="primary",
    ),
    StaffAction(
        name="decline",
        label="Decline it",
        permission=activation.APPROVE_LIST,
        consequence="The version in force stays in force; your reason is kept.",
        perform=_decline,
        available=_may_answer,
        form=ProposalForm,
    ),
    StaffAction(
        name="withdraw",
        label="Withdraw my proposal",
        permission=activation.ACTIVATE_LIST,
        consequence="The version in force stays in force.",
        perform=_withdraw,
        available=_may_withdraw,
    ),
)


@admin.register(SanctionsList)
class SanctionsListAdmin(ExactSearchMixin, BigTableAdmin):
    list_title = "Lists"
    page_hint = "Whom the wallet may not serve, or knows well. Operators import versions with `manage.py import_list`."
    list_display = ["name", "purpose", "format", "activations", "created"]
    list_filter = ["purpose"]
    search_texts = ("name",)
    search_help_text = "The whole name, or a whole id"
    fields = ["id", "name", "purpose", "format", "activations", "created"]
    ordering = ["name"]

    @admin.display(description="since (UTC)")
    def created(self, row: SanctionsList) -> str:
        return instant(row.created_at)


@admin.register(ListVersion)
class ListVersionAdmin(StaffActionsMixin, ExactSearchMixin, BigTableAdmin):
    list_title = "Versions of lists"
    page_hint = "What a list said when it was imported. It never changes; which version is in force does."
    list_display = ["title", "state", "entries", "added", "changed", "removed", "imported"]
    list_display_links = ["title"]
    list_filter = ["status", "list"]
    list_select_related = ("list",)
    search_ids = ("id", "list_id")
    search_help_text = "The whole id of a version or a list"
    fields = [
        "id", "list_link", "number", "state", "digest", "entries", "names", "added", "changed", "removed",
        "imported", "activated", "retired", "reading",
    ]  # fmt: skip
    ordering = ["-id"]
    staff_actions = VERSION_ACTIONS

    def row_title(self, row: ListVersion) -> str:
        return f"{row.list.name}, version {row.number}"

    def action_summary(self, request: HttpRequest, row: ListVersion) -> list[tuple[str, Any]]:
        return [
            ("Version", link(ListVersion, row.id, self.row_title(row))),
            ("Purpose of the list", badge(row.list.purpose)),
            ("Entries", f"{row.entries:,}"),
            ("Against the version in force", _what_changes(row)),
            ("Warnings of its reading", named_values(row.report.get("warnings", []))),
        ]

    @admin.display(description="version")
    def title(self, row: ListVersion) -> str:
        return self.row_title(row)

    @admin.display(description="list")
    def list_link(self, row: ListVersion) -> str:
        return link_to(row.list)

    @admin.display(description="status")
    def state(self, row: ListVersion) -> str:
        return badge(row.status, tone="success" if row.status == ListVersionStatus.ACTIVE else None)

    @admin.display(description="imported (UTC)")
    def imported(self, row: ListVersion) -> str:
        return instant(row.imported_at)

    @admin.display(description="in force since (UTC)")
    def activated(self, row: ListVersion) -> str:
        return instant(row.activated_at)

    @admin.display(description="retired (UTC)")
    def retired(self, row: ListVersion) -> str:
        return instant(row.retired_at)

    @admin.display(description="how it was read")
    def reading(self, row: ListVersion) -> str:
        return named_values({name: value for name, value in row.report.items() if value})


def changes_of(request: HttpRequest, row: ListVersion) -> SafeString:
    """What went first: that is what lets somebody through."""
    found = []
    for kind in ("removed", "changed", "added"):
        of_kind = ListChange.objects.filter(version=row, kind=kind).order_by("id")
        found += list(of_kind.values_list("kind", "external_id", "entry_id", "before_id")[:SHOWN])
    names = dict(
        SanctionsName.objects.filter(entry_id__in={id_ for each in found for id_ in each[2:] if id_}, kind="primary")
        .values_list("entry_id", "name")
    )  # fmt: skip
    rows = [
        (
            badge(kind, tone={"removed": "danger", "changed": "warning"}.get(kind)),
            external_id,
            link(SanctionsEntry, before, names.get(before, "?")) if before else "–",
            link(SanctionsEntry, entry, names.get(entry, "?")) if entry else "–",
        )
        for kind, external_id, entry, before in found
    ]
    headers = ["", "Id on the list", "Before", "From this version on"]
    shown = table(headers, rows, empty="It changed nothing.")
    if max(row.added, row.changed, row.removed) > SHOWN:
        shown = SafeString(shown + f"<p>The first {SHOWN} of each kind.</p>")
    return shown


def decisions_of(request: HttpRequest, row: ListVersion) -> SafeString:
    rows = [
        (
            instant(made.created_at),
            badge(made.verdict, tone="success" if made.verdict == ListVerdict.ACTIVATE else None),
            str(made.maker),
            str(made.checker) if made.checker else "–",
            f"{made.gained:,} / {made.lost:,}",
            made.reason,
        )
        for made in row.decisions.select_related("maker__user", "checker__user").order_by("-id")[:SHOWN]
    ]
    return table(["When (UTC)", "What", "By", "Second person", "Came / went", "Reason"], rows)


@admin.register(SanctionsEntry)
class SanctionsEntryAdmin(ExactSearchMixin, BigTableAdmin):
    list_title = "List entries"
    page_hint = "Somebody as a list described him. A description that changed is an entry of its own."
    list_display = ["title", "list", "external_id", "subject", "births", "nations"]
    list_display_links = ["title"]
    list_filter = ["list", "subject"]
    search_help_text = "The beginning of a name as it stands on the list, or the whole id that the list gives"
    fields = ["list_link", "external_id", "subject", "births", "nations", "gender", "all_names", "more"]
    ordering = ["-id"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[SanctionsEntry]:
        rows: QuerySet[SanctionsEntry] = super().get_queryset(request)
        return rows.select_related("list").prefetch_related("names")

    def condition(self, term: str) -> Q:
        begins = SanctionsName.objects.filter(folded__startswith=folded(term)).order_by("id")
        return Q(external_id=term) | Q(id__in=list(begins.values_list("entry_id", flat=True)[:_FOUND]))

    def id_condition(self, identity: UUID) -> Q:
        return Q(external_id=str(identity))

    def row_title(self, row: SanctionsEntry) -> str:
        return self.title(row)

    @admin.display(description="name")
    def title(self, row: SanctionsEntry) -> str:
        return next((name.name for name in row.names.all() if name.kind == "primary"), row.external_id)

    @admin.display(description="list")
    def list_link(self, row: SanctionsEntry) -> str:
        return link_to(row.list)

    @admin.display(description="born")
    def births(self, row: SanctionsEntry) -> str:
        return ", ".join(row.birth_dates) or "–"

    @admin.display(description="countries")
    def nations(self, row: SanctionsEntry) -> str:
        return ", ".join(row.countries) or "–"

    @admin.display(description="names")
    def all_names(self, row: SanctionsEntry) -> str:
        return table(["Name", "Kind"], [(name.name, name.kind) for name in row.names.all()[:_FOUND]])

    @admin.display(description="what else the list says")
    def more(self, row: SanctionsEntry) -> str:
        return named_values(row.details)


register_panel(ListVersion, Panel("What it changed", changes_of, "compliance.view_listchange", order=20))
register_panel(ListVersion, Panel("Who decided", decisions_of, "compliance.view_listdecision", order=30))
register_panel(ListVersion, history_panel(StateChange, permission="compliance.view_statechange"))
