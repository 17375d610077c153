"""Pages that show and never change: money, states, logs and decisions are nobody's to edit, superusers included."""

from typing import Any

from django.contrib import messages
from django.contrib.admin import ShowFacets
from django.db import OperationalError, models
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from unfold.admin import ModelAdmin

from wallet_project.utils.admin.paging import BOUND, BoundedPaginator
from wallet_project.utils.admin.panels import panels_for

# PostgreSQL's query_canceled: the statement timeout.
_TOO_SLOW = "57014"


class ReadOnlyAdmin(ModelAdmin):  # type: ignore[misc]
    """Viewable with the view permission; nobody may add, change or delete."""

    change_form_template = "admin/wallet/change_form.html"
    actions = None
    list_per_page = 50
    list_max_show_all = 0
    show_full_result_count = False
    # Counts beside each filter would read the whole table, once for every choice.
    show_facets = ShowFacets.NEVER
    #: The heading of the list, where the model's own name is not enough.
    list_title = ""
    #: One sentence above the fields: what is this.
    page_hint = ""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        title = self.name_of_list()
        context = {"title": title, "crumbs": [(title, None)], **(extra_context or {})}
        response: HttpResponse = super().changelist_view(request, context)
        return response

    def name_of_list(self) -> str:
        return self.list_title or str(self.opts.verbose_name_plural)

    def row_title(self, row: Any) -> str:
        """A row's name at the head of its page."""
        return str(row)

    def crumbs_to(self, row: models.Model) -> list[tuple[str, str | None]]:
        listed = reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")
        return [(self.name_of_list(), listed), (self.row_title(row), None)]

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], **kwargs: Any) -> HttpResponse:
        row = kwargs.get("obj")
        context["show_history"] = False
        context["page_hint"] = self.page_hint
        if row is not None:
            panels = panels_for(request, row)
            context["top_panels"] = [panel for panel in panels if panel.above_fields]
            context["panels"] = [panel for panel in panels if not panel.above_fields]
            context["crumbs"] = self.crumbs_to(row)
            context["subtitle"] = None
            context["title"] = self.row_title(row)
        response: HttpResponse = super().render_change_form(request, context, **kwargs)
        return response


class BigTableAdmin(ReadOnlyAdmin):
    """A list over millions of rows: newest first, counted up to a bound, sorted by nothing else."""

    paginator = BoundedPaginator
    sortable_by = ()
    list_before_template = "admin/wallet/bounded_note.html"

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        context = {"bound": BOUND, **(extra_context or {})}
        try:
            response = super().changelist_view(request, context)
            # The rows are read while rendering, and that must fail here or not at all.
            return response.render() if hasattr(response, "render") else response
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", None) != _TOO_SLOW or not request.GET:
                raise
            messages.error(request, "That asks for too much at once. Search by an id, or filter by a shorter time.")
            return HttpResponseRedirect(request.path)
