"""Parts of use cases that an app above composes into its own commit. They assert that a transaction is open."""

from ledger.resolutions import UNFINISHED_RAIL, Resolution, StillWaiting
from ledger.steps.escalations import escalate
from ledger.steps.resolve import EscalationAlreadyResolved, EscalationNotFound, resolve_escalation
from ledger.steps.suspense import BankDirection, divert_to_suspense, post_to_suspense
from ledger.steps.units import Claimed, approve, claim, fail, hold_for_review, lock, park, resume

__all__ = [
    "UNFINISHED_RAIL",
    "BankDirection",
    "Claimed",
    "EscalationAlreadyResolved",
    "EscalationNotFound",
    "Resolution",
    "StillWaiting",
    "approve",
    "claim",
    "divert_to_suspense",
    "escalate",
    "fail",
    "hold_for_review",
    "lock",
    "park",
    "post_to_suspense",
    "resolve_escalation",
    "resume",
]
