"""Matching names in any script. Pure: it knows neither Django nor the database, and depends on nothing but its input.

docs/names.md says how it works and how well.
"""

from compliance.names.blocking import ANYBODY, TOKENS_MAKING, tokens_of_listed, tokens_of_person
from compliance.names.index import NameIndex, explain
from compliance.names.records import (
    CONFIRMED_FROM,
    DEFAULT_THRESHOLD,
    NAME_ALONE_AT_MOST,
    Adjustment,
    Aligned,
    Hit,
    ListedEntry,
    ListedName,
    NameKind,
    Query,
    Subject,
)

__all__ = [
    "ANYBODY",
    "CONFIRMED_FROM",
    "DEFAULT_THRESHOLD",
    "NAME_ALONE_AT_MOST",
    "TOKENS_MAKING",
    "Adjustment",
    "Aligned",
    "Hit",
    "ListedEntry",
    "ListedName",
    "NameIndex",
    "NameKind",
    "Query",
    "Subject",
    "explain",
    "tokens_of_listed",
    "tokens_of_person",
]
