"""The admin's pages of money. All of them only show: what staff do to money is decided in cases."""

from ledger.admin import account_panels, bank, transactions, waiting

__all__ = ["account_panels", "bank", "transactions", "waiting"]
