"""The admin's pages of people and accounts."""

from accounts.admin import accounts, customers, people

__all__ = ["accounts", "customers", "people"]
