"""Screening: every transaction is looked at once before its money moves (know your transaction).

A batch is leased, judged and decided as `leased` says: what is under way is the work item's, and a screening is written
once, as it was decided.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import structlog
from django.db import connection, transaction

from compliance import destinations, steps
from compliance.destinations import Destination
from compliance.facts import LegFacts, facts_of
from compliance.limits import four_eyes_from, limits_in_force
from compliance.models import Case
from compliance.rules import Decision, RuleSet, decide, unavailable, worst
from compliance.ruleset import rules_in_force, thresholds
from compliance.services.leased import decide_due
from compliance.states import CasePriority, ScreeningStatus, Verdict
from compliance.watchlists import ListHit
from ledger import steps as ledger
from ledger.failures import FailureCode
from ledger.states import Stage
from ledger.steps import Claimed
from wallet_project.utils.context import request_id, system_actor
from wallet_project.utils.errors import translate_database_error
from wallet_project.utils.ids import uuid7
from wallet_project.utils.jsons import json_text

logger = structlog.get_logger(__name__)

#: A batch holds its locks for as long as its commit takes.
BATCH: Final = 500
_END: Final = {
    Verdict.APPROVE: ScreeningStatus.APPROVED,
    Verdict.REVIEW: ScreeningStatus.IN_REVIEW,
    Verdict.REJECT: ScreeningStatus.REJECTED,
}


@dataclass(slots=True)
class Judged:
    """One transaction of a unit, and what the rules made of it."""

    leg: LegFacts
    decision: Decision
    #: The number of the set of rules that was asked.
    revision: int | None
    #: Whom of the lists the payee's name met.
    hits: Sequence[ListHit] = ()


def screen_due(*, now: datetime, limit: int = BATCH) -> int:
    """Screen up to `limit` due units; how many were taken up. Safe to run any number of times at once."""
    return decide_due(
        Stage.SCREENING,
        lambda batch: _commit(batch, _judge(batch), now=now),
        limit=limit,
        topic="ledger.transaction_pending",
    )


def _judge(batch: Sequence[Claimed]) -> list[Judged]:
    limits = limits_in_force()
    legs, found = _with_destinations(_with_risk(facts_of([unit.unit_id for unit in batch], limits)))
    rules, from_points = _rules(), thresholds()

    def decision(facts: Mapping[str, Any]) -> Decision:
        if rules is None:
            return unavailable("The rules could not be loaded, so a person looks.")
        return decide(facts, limits[facts["currency"]], rules, from_points)

    revision = None if rules is None else rules.revision
    return [Judged(leg, decision(leg.values), revision, found.get(leg.transaction_id, ())) for leg in legs]


def _with_risk(legs: list[LegFacts]) -> list[LegFacts]:
    """The legs with their customers' risk, in one look for all of them."""
    customers = {str(leg.customer_id) for leg in legs if leg.customer_id}
    with connection.cursor() as cursor:
        # As one text: hundreds of ids handed over one by one take a fifth of a batch's time here.
        cursor.execute(
            "SELECT customer_id, score FROM compliance_customerrisk WHERE customer_id = ANY (%s::uuid[]) AND score > 0",
            ["{" + ",".join(customers) + "}"],
        )
        scores = dict(cursor.fetchall())
    for leg in legs:
        if leg.customer_id in scores:
            leg.values["customer_risk"] = scores[leg.customer_id]
    return legs


def _with_destinations(legs: list[LegFacts]) -> tuple[list[LegFacts], dict[UUID, Sequence[ListHit]]]:
    """The legs with what the lists say of whom they go to, and the hits, by transaction."""
    found = destinations.look({leg.transaction_id: Destination(*leg.destination) for leg in legs if leg.destination})
    for leg in legs:
        if leg.transaction_id in found:
            leg.values["destination_score"] = found[leg.transaction_id].score
    return legs, {id_: each.hits for id_, each in found.items() if each.hits}


def _rules() -> RuleSet | None:
    """None when they can't be loaded: then a person decides. What is the database's fault is raised; the batch is
    tried again, as its facts could not have been read either."""
    try:
        return rules_in_force()
    except Exception as error:
        if translate_database_error(error) is not None:
            raise
        logger.exception("rules_not_loaded")
        return None


def _commit(batch: Sequence[Claimed], judged: Sequence[Judged], *, now: datetime) -> None:
    """Decisions, cases and the effect on the money in one transaction, for the units whose lease is still held."""
    tokens = {unit.unit_id: unit.token for unit in batch}
    verdicts: dict[UUID, list[Verdict]] = defaultdict(list)
    for item in judged:
        verdicts[item.leg.unit_id].append(item.decision.verdict)
    # The worst transaction of a group decides, for a group moves all or nothing.
    decided = {unit_id: worst(of_unit) for unit_id, of_unit in verdicts.items()}
    attempts = {unit.unit_id: unit.attempts for unit in batch}
    with transaction.atomic(durable=True):
        if all(verdict == Verdict.APPROVE for verdict in decided.values()):
            # As nearly always: then all locks that are needed are those that approving takes itself.
            units = decided
            done = ledger.approve(list(units), tokens=[tokens[unit_id] for unit_id in units])
        else:
            held = ledger.lock(list(tokens), list(tokens.values()))
            units = {unit_id: verdict for unit_id, verdict in decided.items() if held.get(unit_id) == Stage.SCREENING}
            done = _carry_out(units)
        _record([item for item in judged if item.leg.unit_id in done], units, attempts, now=now)


def _carry_out(units: Mapping[UUID, Verdict]) -> set[UUID]:
    """Do with locked units what was decided; those with which it was done."""

    def of(verdict: Verdict) -> list[UUID]:
        return sorted(unit_id for unit_id, of_unit in units.items() if of_unit == verdict)

    done = ledger.approve(of(Verdict.APPROVE))
    done |= ledger.hold_for_review(of(Verdict.REVIEW))
    return done | ledger.fail(
        of(Verdict.REJECT), code=FailureCode.NOT_PERMITTED, actor=system_actor(), reason="rejected by screening"
    )


def _record(
    judged: Sequence[Judged], units: Mapping[UUID, Verdict], attempts: Mapping[UUID, int], *, now: datetime
) -> None:
    """Write the decisions with their log, and open a case for each transaction that an officer is to look at."""
    if not judged:
        return
    by_transaction = {item.leg.transaction_id: item for item in judged}
    # As one text: to pass hundreds of rows as arrays takes several times as long.
    rows = json_text(
        [
            {
                "id": str(uuid7()),
                "transaction_id": str(item.leg.transaction_id),
                "status": str(_status(item, units)),
                "attempts": attempts[item.leg.unit_id],
                "facts": item.leg.values,
                "findings": [finding.as_json() for finding in item.decision.findings],
                "shadow": [finding.as_json() for finding in item.decision.shadow] or None,
                "rules_revision": item.revision,
                "reason": _explanation(item.decision),
            }
            for item in by_transaction.values()
        ]
    )
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH written AS (
                INSERT INTO compliance_screening AS s (
                    id, transaction_id, status, attempts, decided_by, decided_at, reason, facts, findings,
                    shadow, rules_revision)
                SELECT v.id, v.transaction_id, v.status, v.attempts,
                       CASE v.status WHEN 'in_review' THEN '' ELSE 'rules' END,
                       CASE v.status WHEN 'in_review' THEN NULL ELSE %(now)s END, v.reason, v.facts, v.findings,
                       v.shadow, v.rules_revision
                FROM json_to_recordset(%(rows)s::json) AS v (
                    id uuid, transaction_id uuid, status text, attempts int, reason text, facts jsonb, findings jsonb,
                    shadow jsonb, rules_revision int)
                ON CONFLICT (transaction_id) DO NOTHING
                RETURNING s.id, s.transaction_id, s.status, s.reason
            ), logged AS (
                INSERT INTO compliance_statechange (
                    machine, subject_id, from_state, to_state, actor_id, reason, request_id)
                SELECT 'screening', w.id, '', w.status, %(actor)s, w.reason, %(request)s FROM written w
            )
            SELECT id, transaction_id, status FROM written WHERE status = 'in_review' OR transaction_id = ANY (%(met)s)
            """,
            {
                "now": now,
                "rows": rows,
                "actor": system_actor().principal_id,
                "request": request_id.get()[:64],
                "met": [id_ for id_, item in by_transaction.items() if item.hits],
            },
        )
        told = [(id_, by_transaction[transaction_id], status) for id_, transaction_id, status in cursor.fetchall()]
    destinations.keep(
        {
            id_: (Destination(*item.leg.destination), item.hits)
            for id_, item, _ in told
            if item.hits and item.leg.destination
        }
    )
    in_review = [
        _case(screening_id=id_, item=item, now=now) for id_, item, status in told if status == ScreeningStatus.IN_REVIEW
    ]
    if in_review:
        steps.open_cases(in_review)


def _status(item: Judged, units: Mapping[UUID, Verdict]) -> ScreeningStatus:
    if units[item.leg.unit_id] == Verdict.REJECT:
        return ScreeningStatus.REJECTED
    return _END[item.decision.verdict]


def _explanation(decision: Decision) -> str:
    return steps.clipped(" ".join(finding.explanation for finding in decision.findings))


def _case(*, screening_id: UUID, item: Judged, now: datetime) -> Case:
    amount, currency = item.leg.values["amount"], item.leg.values["currency"]
    serious = any(finding.serious for finding in item.decision.findings)
    high = serious or amount >= four_eyes_from(currency)
    return steps.new_case(
        reason=_explanation(item.decision),
        now=now,
        priority=CasePriority.HIGH if high else CasePriority.NORMAL,
        customer_id=item.leg.customer_id,
        screening_id=screening_id,
    )
