"""The admin's pages of decisions, and what compliance shows on the pages of the apps below."""

from compliance.admin import audits, below, cases, checks, documents, levels, lists, names, payers, risk, rules

__all__ = ["audits", "below", "cases", "checks", "documents", "levels", "lists", "names", "payers", "risk", "rules"]
