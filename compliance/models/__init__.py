"""Decisions, and the lists that they look at."""

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
from compliance.models.lists import (
    ListChange,
    ListDecision,
    ListIndex,
    ListVersion,
    SanctionsEntry,
    SanctionsList,
    SanctionsName,
)
from compliance.models.matches import NameMatch, NameScreening, Rescreening

__all__ = [
    "Case",
    "CaseNote",
    "Check",
    "Decision",
    "InboundEvent",
    "KycCheck",
    "ListChange",
    "ListDecision",
    "ListIndex",
    "ListVersion",
    "NameMatch",
    "NameScreening",
    "Rescreening",
    "SanctionsEntry",
    "SanctionsList",
    "SanctionsName",
    "Screening",
    "SelfAudit",
    "StateChange",
]
