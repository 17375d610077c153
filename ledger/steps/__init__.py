"""Parts of use cases that an app above composes into its own commit. They assert that a transaction is open."""

from ledger.resolutions import UNFINISHED_RAIL, Resolution, StillInSuspense, StillWaiting
from ledger.steps.escalations import escalate
from ledger.steps.levels import keep_limits_of, set_level_limits
from ledger.steps.resolve import (
    EscalationAlreadyResolved,
    EscalationNotFound,
    LockedEscalation,
    close_escalation,
    fail_collected,
    fail_settled_otherwise,
    lock_escalation,
    resolve_escalation,
)
from ledger.steps.suspense import BankDirection, ask_whose, divert_to_suspense, item_of_return, post_to_suspense
from ledger.steps.units import Claimed, approve, claim, fail, hold_for_review, lock, park, pass_payers, resume

__all__ = [
    "UNFINISHED_RAIL",
    "BankDirection",
    "Claimed",
    "EscalationAlreadyResolved",
    "EscalationNotFound",
    "LockedEscalation",
    "Resolution",
    "StillInSuspense",
    "StillWaiting",
    "approve",
    "ask_whose",
    "claim",
    "close_escalation",
    "divert_to_suspense",
    "escalate",
    "fail",
    "fail_collected",
    "fail_settled_otherwise",
    "hold_for_review",
    "item_of_return",
    "keep_limits_of",
    "lock",
    "lock_escalation",
    "park",
    "pass_payers",
    "post_to_suspense",
    "resolve_escalation",
    "resume",
    "set_level_limits",
]
