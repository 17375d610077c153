"""Panels: how an upper app shows something on a lower app's page without being known there."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.http import HttpRequest
from django.utils.safestring import SafeString

#: The panel's inside as safe HTML (`columns.table`, or a rendered template); None leaves the panel out.
Body = Callable[[HttpRequest, Any], SafeString | str | None]


ABOVE_FIELDS = 10


@dataclass(frozen=True, slots=True)
class Panel:
    title: str
    body: Body
    #: Who may see it, such as `ledger.view_transaction`.
    permission: str
    #: Smaller comes first, below ABOVE_FIELDS even above the row's own fields; equals keep the order of registration.
    order: int = 50


@dataclass(frozen=True, slots=True)
class ShownPanel:
    title: str
    body: SafeString | str
    above_fields: bool


_panels: dict[str, list[Panel]] = defaultdict(list)


def register_panel(model: type[models.Model], panel: Panel) -> None:
    """Show `panel` on every page of a row of `model`. Registering the same panel twice shows it once."""
    panels = _panels[model._meta.label]
    if panel not in panels:
        panels.append(panel)
        panels.sort(key=lambda each: each.order)


def panels_for(request: HttpRequest, row: models.Model) -> list[ShownPanel]:
    user = request.user
    if isinstance(user, AnonymousUser):
        return []
    return [
        ShownPanel(panel.title, body, panel.order < ABOVE_FIELDS)
        for panel in _panels[row._meta.label]
        if user.has_perm(panel.permission) and (body := panel.body(request, row)) is not None
    ]
