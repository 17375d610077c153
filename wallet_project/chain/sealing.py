"""Thin functions over `chain_seal`."""

from typing import Final

from django.db import DEFAULT_DB_ALIAS, connections

#: Rows of each table in a block, unless one transaction wrote more: some 20 ms of hashing, far from any timeout.
ROWS: Final = 2_000


def seal(*, rows: int = ROWS, using: str = DEFAULT_DB_ALIAS) -> int:
    """Seal one more block; 1 when there is more to seal, 0 when not, or when somebody else is at it."""
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT more FROM chain_seal(%s)", [rows])
        row = cursor.fetchone()
    return int(row is not None and row[0])


def seal_all(*, rows: int = ROWS, using: str = DEFAULT_DB_ALIAS) -> None:
    """Seal block after block, until no more can be sealed now."""
    while seal(rows=rows, using=using):
        pass
