"""Decisions, and the rules by which they are made."""

from compliance.models.decisions import (
    Case,
    CaseNote,
    Check,
    Decision,
    InboundEvent,
    KycCheck,
    Screening,
    SelfAudit,
    StateChange,
)
from compliance.models.rules import Backtest, Rule, RuleDecision, RulesRevision, RuleVersion

__all__ = [
    "Backtest",
    "Case",
    "CaseNote",
    "Check",
    "Decision",
    "InboundEvent",
    "KycCheck",
    "Rule",
    "RuleDecision",
    "RuleVersion",
    "RulesRevision",
    "Screening",
    "SelfAudit",
    "StateChange",
]
