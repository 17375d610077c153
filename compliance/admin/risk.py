"""Customers' risk with its parts and its history, and what counts how much."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminTextareaWidget

from accounts.admin.history import actor_names, history_panel
from accounts.models import Customer
from accounts.staff import staff_actor
from compliance.models import CustomerRisk, RiskAgreement, RiskScore, RiskWeights, StateChange
from compliance.services.risk import (
    APPROVE_RISK,
    EDIT_RISK,
    activate_weights,
    discard_weights,
    draft_weights,
)
from compliance.states import RiskBand, RiskWeightsStatus
from wallet_project.utils.admin import (
    BigTableAdmin,
    ExactSearchMixin,
    Panel,
    StaffAction,
    StaffActionsMixin,
    badge,
    instant,
    link,
    register_panel,
    table,
)
from wallet_project.utils.admin.actions import ReasonForm

SHOWN = 20
_TONES = {RiskBand.HIGH.value: "danger", RiskBand.MEDIUM.value: "warning", RiskBand.LOW.value: "success"}


class _Indented(json.JSONEncoder):
    """A line for each number, as the version's page shows them."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "indent": 2, "sort_keys": True})


class WeightsForm(ReasonForm):
    weights = forms.JSONField(
        encoder=_Indented,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 24}),
        help_text="JSON; docs/kyc.md says what each number means.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if isinstance(self.row, RiskWeights):
            self.initial["weights"] = self.row.weights


def _draft(request: HttpRequest, row: RiskWeights, values: dict[str, Any]) -> str:
    made = draft_weights(actor=staff_actor(request.user), weights=values["weights"], reason=values["reason"])
    return f"Version {made.number} is a draft; somebody else brings it into force."


def _activate(request: HttpRequest, row: RiskWeights, values: dict[str, Any]) -> str:
    activate_weights(actor=staff_actor(request.user), weights_id=row.id, reason=values["reason"])
    return "These weights are in force; every customer is scored by them within minutes."


def _discard(request: HttpRequest, row: RiskWeights, values: dict[str, Any]) -> str:
    discard_weights(actor=staff_actor(request.user), weights_id=row.id, reason=values["reason"])
    return "The draft is given up."


def _is_draft(request: HttpRequest, row: RiskWeights) -> bool:
    return bool(row.status == RiskWeightsStatus.DRAFT)


@admin.register(RiskWeights)
class RiskWeightsAdmin(StaffActionsMixin, ExactSearchMixin, BigTableAdmin):
    page_hint = "What counts how much for a customer's risk. A version never changes; another one takes its place."
    list_title = "Risk weights"
    list_display = ["name", "state", "reason", "created"]
    list_filter = ["status"]
    search_ids = ("id",)
    search_help_text = "A whole id"
    fields = ["id", "number", "state", "weights_shown", "author_name", "reason", "agreement_shown", "created"]
    list_select_related = ("author__user", "agreement__checker__user")
    ordering = ["-number"]
    staff_actions = (
        StaffAction(
            name="draft",
            label="Draft the next version",
            permission=EDIT_RISK,
            consequence="A new version is kept as a draft, without effect until somebody else brings it into force.",
            perform=_draft,
            available=lambda request, row: True,
            form=WeightsForm,
        ),
        StaffAction(
            name="activate",
            label="Bring into force",
            permission=APPROVE_RISK,
            consequence="The version that is in force retires. Every customer is scored anew within minutes; rules "
            "that ask for the risk, and the order of new cases, go by it. Whoever drafted it can't.",
            perform=_activate,
            available=_is_draft,
        ),
        StaffAction(
            name="discard",
            label="Give up",
            permission=EDIT_RISK,
            consequence="The draft stays on record and never comes into force.",
            perform=_discard,
            available=_is_draft,
            tone="danger",
        ),
    )

    def row_title(self, row: RiskWeights) -> str:
        return f"Risk weights, {row}"

    @admin.display(description="version")
    def name(self, row: RiskWeights) -> str:
        return str(row.number)

    @admin.display(description="status")
    def state(self, row: RiskWeights) -> str:
        return badge(row.status)

    @admin.display(description="created (UTC)")
    def created(self, row: RiskWeights) -> str:
        return instant(row.created_at)

    @admin.display(description="drafted by")
    def author_name(self, row: RiskWeights) -> str:
        return actor_names([row.author_id]).get(row.author_id, str(row.author_id))

    @admin.display(description="weights")
    def weights_shown(self, row: RiskWeights) -> str:
        return format_html("<pre>{}</pre>", json.dumps(row.weights, indent=2, sort_keys=True))

    @admin.display(description="agreed to by")
    def agreement_shown(self, row: RiskWeights) -> str:
        agreement = RiskAgreement.objects.filter(weights=row).first()
        if agreement is None:
            return "–"
        who = actor_names([agreement.checker_id]).get(agreement.checker_id, str(agreement.checker_id))
        return f"{who}, {instant(agreement.created_at)}: {agreement.reason}"


def risk_badge(score: int, band: str) -> SafeString:
    return SafeString(badge(band, f"{score} of 100, {band}", tone=_TONES[band]))


def _parts(parts: Sequence[Mapping[str, Any]]) -> str:
    said = (f"{str(each['part']).replace('_', ' ')} {each['points']} ({each['because']})" for each in parts)
    return "; ".join(said) or "nothing"


def risk_of_customer(request: HttpRequest, row: Customer) -> SafeString:
    now = CustomerRisk.objects.filter(customer=row).first()
    if now is None or now.weights_id is None:
        return SafeString("It is found out when the identity has been checked.")
    lines = [
        (
            instant(each.created_at),
            risk_badge(each.score, each.band),
            _parts(each.parts),
            link(RiskWeights, each.weights_id, str(each.weights)),
        )
        for each in RiskScore.objects.filter(customer=row).select_related("weights").order_by("-id")[:SHOWN]
    ]
    history = table(["From (UTC)", "Risk", "Because", "Weights"], lines)
    return SafeString(risk_badge(now.score, now.band) + history)


register_panel(Customer, Panel("Risk", risk_of_customer, "compliance.view_riskscore", order=28))
register_panel(RiskWeights, history_panel(StateChange, permission="compliance.view_statechange"))
