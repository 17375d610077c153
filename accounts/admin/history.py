"""The logs of state changes, the same for every app that keeps one."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.contrib.admin import SimpleListFilter, display
from django.db.models import Case, CharField, F, OuterRef, QuerySet, Subquery, When
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django_fsm import FSMFieldMixin

from accounts.models import Principal
from wallet_project.utils.admin import BigTableAdmin, ExactSearchMixin, Panel, badge, instant, link, table
from wallet_project.utils.transitions import StateChangeBase

#: Of a row's history, the newest so many.
SHOWN = 50


def actor_names(ids: Iterable[UUID]) -> dict[UUID, str]:
    """Who the principals are: an e-mail address, or `system`. One query."""
    rows = Principal.objects.filter(id__in=set(ids)).values_list("id", "kind", "user__email")
    return {identity: email or kind for identity, kind, email in rows}


def history_panel(log: type[StateChangeBase], *, permission: str, title: str = "History", order: int = 90) -> Panel:
    """What happened to a row: one line for each change of its state."""

    def body(request: HttpRequest, row: Any) -> SafeString:
        return history_table(log, row._meta.model_name, row.pk)

    return Panel(title, body, permission, order)


def history_table(log: type[StateChangeBase], machine: str, subject_id: Any) -> SafeString:
    # By kind too: a bank transfer may bear the id of its transaction.
    newest = log._default_manager.filter(subject_id=subject_id, machine=machine).order_by("-id")
    changes = list(newest[:SHOWN])
    names = actor_names(change.actor_id for change in changes)
    rows = [
        (
            instant(c.at),
            states(c.from_state, c.to_state),
            names.get(c.actor_id, str(c.actor_id)),
            c.reason or "–",
            c.request_id or "–",
        )
        for c in changes
    ]
    return table(["When (UTC)", "Change", "By", "Reason", "Request"], rows, empty="No change of state is on record.")


def states(before: str, after: str) -> str:
    """From where to where; `before` is empty at birth."""
    if not before:
        return badge(after)
    return format_html('<span class="wallet-line">{} → {}</span>', badge(before), badge(after))


class MachineFilter(SimpleListFilter):
    title = "what moved"
    parameter_name = "machine"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        models = model_admin.model._meta.apps.get_app_config(model_admin.model._meta.app_label).get_models()
        moving = [m for m in models if any(isinstance(f, FSMFieldMixin) for f in m._meta.concrete_fields)]
        return [(m._meta.model_name, m._meta.verbose_name) for m in moving]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(machine=self.value()) if self.value() else queryset


class StateChangeAdmin(ExactSearchMixin, BigTableAdmin):
    """Append-only; by the id of the row that moved."""

    list_display = ["when", "subject", "change", "actor", "reason"]
    list_display_links = ["when"]
    list_filter = [MachineFilter]
    search_ids = ("subject_id",)
    search_help_text = "The whole id of the row that moved"
    fields = ["when", "subject", "change", "actor", "reason", "request_id"]
    ordering = ["-id"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        # A subquery by primary key for each row that is shown; the log itself knows only the principal's id.
        name = Case(When(user__isnull=False, then=F("user__email")), default=F("kind"), output_field=CharField())
        named = Principal.objects.filter(id=OuterRef("actor_id")).annotate(name=name).values("name")
        rows: QuerySet[Any] = super().get_queryset(request).annotate(actor_name=Subquery(named))
        return rows

    def row_title(self, row: StateChangeBase) -> str:
        return f"{row.machine}: {row.from_state or 'new'} → {row.to_state}"

    @display(description="when (UTC)")
    def when(self, row: StateChangeBase) -> str:
        return instant(row.at)

    @display(description="what moved")
    def subject(self, row: StateChangeBase) -> str:
        try:
            model = row._meta.apps.get_model(row._meta.app_label, row.machine)
        except LookupError:
            return f"{row.machine} {row.subject_id}"
        return format_html(
            '<span class="wallet-line">{} {}</span>', model._meta.verbose_name, link(model, row.subject_id)
        )

    @display(description="change")
    def change(self, row: StateChangeBase) -> str:
        return states(row.from_state, row.to_state)

    @display(description="by")
    def actor(self, row: Any) -> str:
        return row.actor_name or str(row.actor_id)
