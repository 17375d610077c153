"""The admin's pages of decisions, and what compliance shows on the pages of the apps below."""

from compliance.admin import below, checks

__all__ = ["below", "checks"]
