"""Units on their way: claimed, approved, held for an officer, failed, set aside and put back to work."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from ledger import posting
from ledger.posting import Claimed as Claimed
from ledger.steps.context import assert_open
from wallet_project.utils.context import Actor, request_id
from wallet_project.utils.nudges import nudge


def claim(stage: str, *, limit: int, lease: timedelta) -> list[Claimed]:
    """Lease up to `limit` due units of a stage, in a commit of its own; never waits for another worker."""
    assert_open()
    return posting.claim(stage, limit=limit, lease=lease)


def lock(units: Sequence[UUID], tokens: Sequence[UUID] | None = None) -> dict[UUID, str]:
    """Lock units that still wait (with the lease tokens, if given) and say in which stage each is."""
    assert_open()
    return posting.lock(units, tokens)


def approve(units: Sequence[UUID], *, tokens: Sequence[UUID] | None = None) -> set[UUID]:
    """Approve screened units: a transfer goes to clearing, the others to the bank. Returns those that did."""
    assert_open()
    approved = posting.approve(units, tokens) if units else set()
    if approved:
        nudge("ledger.transaction_approved")
        nudge("ledger.rail_due")
    return approved


def pass_payers(units: Sequence[UUID], *, tokens: Sequence[UUID] | None = None) -> set[UUID]:
    """Have deposits that the bank has collected posted, now that nothing speaks against who paid them. Returns those
    that are."""
    assert_open()
    passed = posting.pass_payers(units, tokens) if units else set()
    if passed:
        nudge("ledger.transaction_approved")
    return passed


def hold_for_review(units: Sequence[UUID], *, tokens: Sequence[UUID] | None = None) -> set[UUID]:
    """Let units wait for an officer, their funds reserved. The caller opens the cases in this same transaction."""
    assert_open()
    return posting.hold_for_review(units, tokens) if units else set()


def fail(
    units: Sequence[UUID], *, code: str, actor: Actor, reason: str, tokens: Sequence[UUID] | None = None
) -> set[UUID]:
    """End pending units as failed and release their funds; `code` is one of ledger.failures. Returns those that did.

    A unit that the bank may already have is left alone: only the bank's word ends that. So is a deposit that the bank
    has collected, unless its money was booked elsewhere before (`divert_to_suspense`).
    """
    assert_open()
    if not units:
        return set()
    return posting.fail(units, code=code, actor=actor, reason=reason, request_id=request_id.get(), tokens=tokens)


def park(units: Sequence[UUID], *, error: str) -> set[UUID]:
    """Set units aside for a human; escalate them in this same transaction."""
    assert_open()
    return posting.park(units, error)


def resume(units: Sequence[UUID]) -> set[UUID]:
    """Put units that were set aside, or whose bank has spoken, back to work. Returns those that go on."""
    assert_open()
    resumed = posting.resume(units) if units else set()
    if resumed:
        nudge("ledger.transaction_approved")
    return resumed
