"""Decisions, the rules by which they are made, and the lists that they look at."""

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
from compliance.models.documents import Document, DocumentAccess
from compliance.models.lists import (
    ListChange,
    ListDecision,
    ListIndex,
    ListVersion,
    SanctionsEntry,
    SanctionsList,
    SanctionsName,
)
from compliance.models.matches import (
    DestinationMatch,
    NameMatch,
    NameScreening,
    NameTokens,
    PayerScreening,
    Rescreening,
    RescreeningCandidate,
)
from compliance.models.risk import CustomerRisk, RiskAgreement, RiskScore, RiskWeights
from compliance.models.rules import Backtest, Rule, RuleDecision, RulesRevision, RuleVersion

__all__ = [
    "Backtest",
    "Case",
    "CaseNote",
    "Check",
    "CustomerRisk",
    "Decision",
    "DestinationMatch",
    "Document",
    "DocumentAccess",
    "InboundEvent",
    "KycCheck",
    "ListChange",
    "ListDecision",
    "ListIndex",
    "ListVersion",
    "NameMatch",
    "NameScreening",
    "NameTokens",
    "PayerScreening",
    "Rescreening",
    "RescreeningCandidate",
    "RiskAgreement",
    "RiskScore",
    "RiskWeights",
    "Rule",
    "RuleDecision",
    "RuleVersion",
    "RulesRevision",
    "SanctionsEntry",
    "SanctionsList",
    "SanctionsName",
    "Screening",
    "SelfAudit",
    "StateChange",
]
