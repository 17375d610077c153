"""Customers' risk: found out again when something changes and every day; what counts how much takes two people."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Max, Q

from accounts.staff import given_reason, require_permission
from compliance.models import CustomerRisk, RiskAgreement, RiskWeights
from compliance.risk import check_weights, known_of, score
from compliance.states import RiskWeightsStatus
from compliance.steps import clipped
from wallet_project.utils.context import Actor
from wallet_project.utils.errors import Conflict, NotAllowed, NotFound, database_refusals, on_constraint
from wallet_project.utils.transitions import born, move

EDIT_RISK: Final = "compliance.edit_risk"
APPROVE_RISK: Final = "compliance.approve_risk"
BATCH: Final = 500
#: Windows move on also where nothing is done.
AGAIN: Final = timedelta(days=1)


class WeightsNotFound(NotFound):
    code = "risk_weights_not_found"
    message = "There is no such version of the risk weights."


class WeightsElsewhere(Conflict):
    code = "risk_weights_elsewhere"
    message = "This version is in another state by now; look at it again."


class SecondPersonNeeded(NotAllowed):
    code = "second_person_needed"
    message = "Whoever drafted the weights can't bring them into force; a second person must."


on_constraint("risk_checker_is_not_the_maker", SecondPersonNeeded)


def score_due(*, now: datetime, limit: int = BATCH) -> int:
    """Find out the risk of up to `limit` customers anew; how many. Those that another sweep has are left to it."""
    with transaction.atomic(durable=True):
        weights = RiskWeights.objects.get(status=RiskWeightsStatus.ACTIVE)
        # As two ranges, which an index serves: "another one" it would have to look for in all rows.
        others = Q(weights__isnull=True) | Q(weights_id__lt=weights.id) | Q(weights_id__gt=weights.id)
        # In no order: of a million that are due at once none is to be sorted, and nobody waits for another's.
        due = CustomerRisk.objects.filter(Q(next_at__lte=now) | others)
        rows = list(due.select_for_update(no_key=True, skip_locked=True)[:limit].values_list("customer_id", flat=True))
        found = [
            {"customer_id": str(known.customer_id), **_as_json(known, weights.weights, now=now)}
            for known in known_of(rows, now=now)
        ]
        _write(found, weights.id, now=now)
    return len(rows)


def draft_weights(*, actor: Actor, weights: Mapping[str, Any], reason: str) -> RiskWeights:
    """The next version, as a draft. Raises PermissionMissing, WeightsInvalid, ReasonRequired."""
    checked = check_weights(weights)
    with transaction.atomic(durable=True):
        require_permission(actor, EDIT_RISK)
        last = RiskWeights.objects.aggregate(last=Max("number"))["last"] or 0
        version = RiskWeights.objects.create(
            number=last + 1, weights=checked, author_id=actor.principal_id, reason=clipped(given_reason(reason))
        )
        born(version, actor=actor, reason=version.reason)
    return version


def activate_weights(*, actor: Actor, weights_id: UUID, reason: str) -> RiskWeights:
    """Another than the author brings a draft into force; every customer is scored by it within minutes.

    Raises PermissionMissing, WeightsNotFound, WeightsElsewhere, SecondPersonNeeded, ReasonRequired.
    """
    with database_refusals(), transaction.atomic(durable=True):
        version, said = _locked(weights_id, actor, APPROVE_RISK), clipped(given_reason(reason))
        RiskAgreement.objects.create(
            weights=version, maker_id=version.author_id, checker_id=actor.principal_id, reason=said
        )
        for before in RiskWeights.objects.filter(status=RiskWeightsStatus.ACTIVE):
            move(before, "retire", actor=actor, reason=clipped(f"version {version.number} takes its place: {said}"))
        move(version, "activate", actor=actor, reason=said)
    return version


def discard_weights(*, actor: Actor, weights_id: UUID, reason: str) -> RiskWeights:
    """Give a draft up. Raises PermissionMissing, WeightsNotFound, WeightsElsewhere, ReasonRequired."""
    with transaction.atomic(durable=True):
        version = _locked(weights_id, actor, EDIT_RISK)
        move(version, "retire", actor=actor, reason=clipped(given_reason(reason)))
    return version


def _locked(weights_id: UUID, actor: Actor, permission: str) -> RiskWeights:
    """A draft. All versions are locked, in order: two drafts are not brought into force at once."""
    versions = {each.id: each for each in RiskWeights.objects.order_by("id").select_for_update(no_key=True)}
    version = versions.get(weights_id)
    if version is None:
        raise WeightsNotFound
    require_permission(actor, permission)
    if version.status != RiskWeightsStatus.DRAFT:
        raise WeightsElsewhere
    return version


def _as_json(known: Any, weights: Mapping[str, Any], *, now: datetime) -> dict[str, Any]:
    found = score(known, weights, now=now)
    return {"score": found.score, "band": str(found.band), "parts": found.parts}


def _write(found: list[dict[str, Any]], weights_id: UUID, *, now: datetime) -> None:
    """What each customer's risk is, and a line of its history where it is another than before."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH found AS MATERIALIZED (
                SELECT * FROM jsonb_to_recordset(%(found)s::jsonb)
                    AS f (customer_id uuid, score int, band text, parts jsonb)
            ), history AS (
                INSERT INTO compliance_riskscore (customer_id, weights_id, score, band, parts)
                SELECT f.customer_id, %(weights)s, f.score, f.band, f.parts
                FROM found f JOIN compliance_customerrisk r ON r.customer_id = f.customer_id
                WHERE (r.weights_id, r.score, r.band, r.parts) IS DISTINCT FROM (%(weights)s, f.score, f.band, f.parts)
                ORDER BY f.customer_id
            )
            UPDATE compliance_customerrisk r
            SET weights_id = %(weights)s, score = f.score, band = f.band, parts = f.parts, next_at = %(next)s
            FROM found f WHERE r.customer_id = f.customer_id
            """,
            {"found": json.dumps(found), "weights": weights_id, "next": now + AGAIN},
        )
