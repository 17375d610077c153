"""What staff's movements need besides; the function is in ledger/sql/staff.sql."""

from uuid import UUID

from ledger.posting.calls import rows


def lock_transaction(transaction_id: UUID) -> None:
    """Lock a transaction that is to be reversed until what is open ends; before any account is locked."""
    rows("SELECT ledger_lock_transaction(%s)", [transaction_id])
