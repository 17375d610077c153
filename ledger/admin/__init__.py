"""The admin's pages of money: they show. What staff may do is decided in cases, or proposed by one and agreed to by
another."""

from ledger.admin import (
    account_panels,
    adjustments,
    bank,
    limits,
    proposals,
    statements,
    suspense,
    transactions,
    waiting,
)

__all__ = [
    "account_panels",
    "adjustments",
    "bank",
    "limits",
    "proposals",
    "statements",
    "suspense",
    "transactions",
    "waiting",
]
