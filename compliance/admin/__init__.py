"""The admin's pages of decisions, and what compliance shows on the pages of the apps below."""

from compliance.admin import below, cases, checks

__all__ = ["below", "cases", "checks"]
