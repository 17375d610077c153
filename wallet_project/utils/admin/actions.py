"""What staff may do, as buttons that are safe to press.

A GET shows what would happen and asks for a reason; it changes nothing. A POST (with CSRF token) checks the permission
again and calls one service, which checks once more under its lock. What the service refuses becomes a message.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django_fsm import TransitionNotAllowed
from unfold.widgets import UnfoldAdminTextareaWidget

from wallet_project.utils.errors import DomainError, database_refusals


class StaffForm(forms.Form):
    """The base of an action's form; alone, it asks for nothing but the confirmation. `row` is what is acted on."""

    def __init__(self, *args: Any, row: models.Model | None = None, **kwargs: Any) -> None:
        self.row = row
        super().__init__(*args, **kwargs)


class ReasonForm(StaffForm):
    reason = forms.CharField(
        max_length=500,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="Goes on record under your name, and stays.",
    )


def answer_form(standing: Callable[[Any], Any]) -> type[ReasonForm]:
    """A form that carries which proposal was looked at: if another one stands by the time of the answer, that was not
    it. `standing` says which one waits for a row."""

    class AnswerForm(ReasonForm):
        proposal = forms.IntegerField(widget=forms.HiddenInput)

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            shown = standing(self.row)
            self.initial["proposal"] = shown.id if shown else None

    return AnswerForm


class NoteForm(StaffForm):
    text = forms.CharField(
        label="Note",
        max_length=4000,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 6}),
        help_text="Stays with the case; it can't be changed or removed.",
    )


@dataclass(frozen=True, slots=True)
class StaffAction:
    """One button on a row's page."""

    #: In the URL.
    name: str
    label: str
    #: Such as `accounts.freeze_account`.
    permission: str
    #: What happens if I do: a sentence, or a function of the row.
    consequence: str | Callable[[Any], str]
    #: Calls one service and returns the sentence that is shown when it is done.
    perform: Callable[[HttpRequest, Any, dict[str, Any]], str]
    #: Whether to show the button. The service decides; this only spares people a refusal.
    available: Callable[[HttpRequest, Any], bool]
    form: type[StaffForm] = ReasonForm
    tone: str = "default"

    def says(self, row: models.Model) -> str:
        return self.consequence if isinstance(self.consequence, str) else self.consequence(row)

    def shown_to(self, request: HttpRequest, row: models.Model) -> bool:
        return request.user.has_perm(self.permission) and self.available(request, row)


_registered: dict[str, list[StaffAction]] = defaultdict(list)


def register_action(model: type[models.Model], action: StaffAction) -> None:
    """Offer `action` on every page of a row of `model`, as an upper app does on a lower one's. Registering
    the same action twice offers it once."""
    actions = _registered[model._meta.label]
    if action not in actions:
        actions.append(action)


class StaffActionsMixin:
    """For a ReadOnlyAdmin: its `staff_actions`, and those that upper apps have registered for its model, as buttons
    above the page, each with a page of its own."""

    staff_actions: tuple[StaffAction, ...] = ()

    def all_actions(self) -> tuple[StaffAction, ...]:
        return (*self.staff_actions, *_registered[self.opts.label])  # type: ignore[attr-defined]

    def get_urls(self) -> list[URLPattern]:
        urls: list[URLPattern] = super().get_urls()  # type: ignore[misc]
        view = self.admin_site.admin_view(self.staff_action_view)  # type: ignore[attr-defined]
        return [path("<path:object_id>/do/<slug:action>/", view, name=self._url_name("do")), *urls]

    def staff_action_view(self, request: HttpRequest, object_id: str, action: str) -> HttpResponse:
        chosen = next((each for each in self.all_actions() if each.name == action), None)
        if chosen is None:
            raise Http404(f"there is no action {action!r}")
        if request.method not in ("GET", "HEAD", "POST"):
            return HttpResponseNotAllowed(["GET", "POST"])
        row = self.get_object(request, unquote(object_id))  # type: ignore[attr-defined]
        if not self.has_view_permission(request, row):  # type: ignore[attr-defined]
            raise PermissionDenied
        if not request.user.has_perm(chosen.permission):
            raise PermissionDenied
        if row is None:
            raise Http404("there is no such row")
        page = HttpResponseRedirect(reverse(f"admin:{self._url_name('change')}", args=[row.pk]))
        if request.method == "POST":
            form = chosen.form(request.POST, row=row)
            if form.is_valid():
                self._carry_out(chosen, request, row, form.cleaned_data)
                return page
        else:
            if not chosen.available(request, row):
                messages.warning(request, f"{chosen.label}: not possible now, somebody may have been faster.")
                return page
            form = chosen.form(row=row)
        return self._confirmation(request, chosen, row, form)

    def _carry_out(self, action: StaffAction, request: HttpRequest, row: models.Model, values: dict[str, Any]) -> None:
        try:
            with database_refusals():
                done = action.perform(request, row, values)
        except DomainError as error:
            messages.error(request, f"{action.label}: {error.message}")
        except TransitionNotAllowed:
            messages.error(request, f"{action.label}: not possible in the present state; look at it again.")
        else:
            messages.success(request, done)

    def _confirmation(
        self, request: HttpRequest, action: StaffAction, row: models.Model, form: StaffForm
    ) -> HttpResponse:
        back = reverse(f"admin:{self._url_name('change')}", args=[row.pk])
        listed, (title, _) = self.crumbs_to(row)  # type: ignore[attr-defined]
        context = {
            **self.admin_site.each_context(request),  # type: ignore[attr-defined]
            "title": action.label,
            "crumbs": [listed, (title, back), (action.label, None)],
            "opts": self.opts,  # type: ignore[attr-defined]
            "row": row,
            "action": action,
            "consequence": action.says(row),
            "form": form,
            "summary": self.action_summary(request, row),
            "back": back,
        }
        return TemplateResponse(request, "admin/wallet/confirm_action.html", context)

    def action_summary(self, request: HttpRequest, row: Any) -> list[tuple[str, Any]]:
        """What the confirmation page says about the row: names and (safe or plain) values."""
        return [(self.opts.verbose_name.capitalize(), row)]  # type: ignore[attr-defined]

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], **kwargs: Any) -> HttpResponse:
        row = kwargs.get("obj")
        if row is not None:
            context["staff_actions"] = [
                {
                    "label": action.label,
                    "tone": action.tone,
                    "consequence": action.says(row),
                    "url": reverse(f"admin:{self._url_name('do')}", args=[row.pk, action.name]),
                }
                for action in self.all_actions()
                if action.shown_to(request, row)
            ]
        response: HttpResponse = super().render_change_form(request, context, **kwargs)  # type: ignore[misc]
        return response

    def _url_name(self, page: str) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_{page}"  # type: ignore[attr-defined]
