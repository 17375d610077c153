"""What waits: claiming units, and moving them between their stages to their end."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from ledger.posting import calls
from wallet_project.utils.context import Actor

Verdict = Literal["cleared", "frozen", "closed", "limited"]


@dataclass(frozen=True, slots=True)
class Claimed:
    """A leased unit. What is decided about it counts only while the token is still its own."""

    unit_id: UUID
    token: UUID
    attempts: int


def claim(stage: str, *, limit: int, lease: timedelta) -> list[Claimed]:
    """Lease up to `limit` due units of a stage; never waits for another worker."""
    return [Claimed(*row) for row in calls.rows("SELECT * FROM ledger_claim(%s, %s, %s)", [stage, limit, lease])]


def lock(units: Sequence[UUID], tokens: Sequence[UUID] | None = None) -> dict[UUID, str]:
    """Lock units that still wait until the transaction ends, and say in which stage each is."""
    return dict(calls.rows("SELECT * FROM ledger_lock(%s, %s)", [list(units), _listed(tokens)]))


def approve(units: Sequence[UUID], tokens: Sequence[UUID] | None = None) -> set[UUID]:
    """Mark screened units as approved; what goes over a bank gets its rail transfer. Returns those that were."""
    return calls.units("SELECT ledger_approve(%s, %s)", [list(units), _listed(tokens)])


def pass_payers(units: Sequence[UUID], tokens: Sequence[UUID] | None = None) -> set[UUID]:
    """Have collected deposits posted, whose payers nothing speaks against. Returns those that are."""
    return calls.units("SELECT ledger_pass_payers(%s, %s)", [list(units), _listed(tokens)])


def hold_for_review(units: Sequence[UUID], tokens: Sequence[UUID] | None = None) -> set[UUID]:
    """Let units wait for an officer. Returns those that do."""
    return calls.units("SELECT ledger_hold_for_review(%s, %s)", [list(units), _listed(tokens)])


def park(units: Sequence[UUID], error: str) -> set[UUID]:
    """Set units aside for a human; the caller escalates in the same commit."""
    return calls.units("SELECT ledger_park(%s, %s)", [list(units), error])


def resume(units: Sequence[UUID]) -> set[UUID]:
    """Put units that were set aside, or whose bank has spoken, back to work at the stage their rows call for."""
    return calls.units("SELECT ledger_resume(%s)", [list(units)])


def fail(
    units: Sequence[UUID],
    *,
    code: str,
    actor: Actor,
    reason: str,
    request_id: str,
    tokens: Sequence[UUID] | None = None,
) -> set[UUID]:
    """End pending units as failed and release what they reserved. Returns those that did."""
    return calls.units(
        "SELECT ledger_fail(%s, %s, %s, %s, %s, %s)",
        [list(units), _listed(tokens), code, actor.principal_id, reason[:500], request_id],
    )


def clear(
    *, limit: int, actor: Actor, request_id: str, only: Sequence[UUID] | None = None
) -> list[tuple[UUID, Verdict]]:
    """Post a batch of due units, or just those in `only`; each comes back with its verdict.

    All that are not `cleared` are left as they were, locked: the caller parks or fails them before it commits.
    """
    verdicts = calls.rows(
        "SELECT * FROM ledger_clear(%s, %s, %s, %s)",
        [limit, None if only is None else list(only), actor.principal_id, request_id],
    )
    return [(unit, verdict) for unit, verdict in verdicts]


def due(stage: str, *, limit: int, now: datetime | None = None) -> list[UUID]:
    """Ids of due units of a stage, without a lock: what a failed batch is cut into."""
    return [
        row[0]
        for row in calls.rows(
            "SELECT unit_id FROM ledger_workitem WHERE stage = %s AND next_at <= coalesce(%s, clock_timestamp()) "
            "ORDER BY unit_id LIMIT %s",
            [stage, now, limit],
        )
    ]


def _listed(tokens: Sequence[UUID] | None) -> list[UUID] | None:
    return None if tokens is None else list(tokens)
