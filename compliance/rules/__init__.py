"""Screening rules: what a transaction's facts mean.

`vocabulary` declares what a rule may speak of, `language` what it may say, `explaining` its sentences for staff,
`deciding` how the answers of several rules become one decision; `defaults` are those that a new wallet starts with.
"""

from compliance.rules.deciding import (
    ERROR,
    Decision,
    Finding,
    RuleSet,
    Thresholds,
    Version,
    decide,
    failed,
    unavailable,
    worst,
)
from compliance.rules.explaining import accept_template
from compliance.rules.language import Unacceptable, accept
from compliance.rules.vocabulary import FACTS, LIMITS, Facts, Limits, Term

__all__ = [
    "ERROR",
    "FACTS",
    "LIMITS",
    "Decision",
    "Facts",
    "Finding",
    "Limits",
    "RuleSet",
    "Term",
    "Thresholds",
    "Unacceptable",
    "Version",
    "accept",
    "accept_template",
    "decide",
    "failed",
    "unavailable",
    "worst",
]
