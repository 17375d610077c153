"""The suspense accounts, item by item: each is money that the bank has moved and that has no home yet.

What comes in begins an item, and what staff do about it (assign, return, charge) belongs to that item, as does what the
bank makes of a return. The open items of a currency add up to the balance of its suspense account.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import connection

#: In the details of an escalation, and in the metadata of what the bank moved for a return: the item it is about.
ITEM: Final = "suspense_item"
#: In the details of an escalation: who has paid this money in, as the bank names him.
PAYER: Final = "payer"

# The newest of an account's movements are found by transaction_by_debit_account and transaction_by_credit_account.
_MOVEMENTS: Final = """
    WITH suspense AS (
        SELECT id, currency FROM accounts_account WHERE kind = 'system' AND purpose = 'suspense'
    ), moved AS (
        SELECT t.id, t.metadata, t.cleared_at, s.currency, -t.amount AS amount
        FROM suspense s JOIN ledger_transaction t ON t.debit_account_id = s.id WHERE t.status = 'cleared'
        UNION ALL
        SELECT t.id, t.metadata, t.cleared_at, s.currency, t.amount
        FROM suspense s JOIN ledger_transaction t ON t.credit_account_id = s.id WHERE t.status = 'cleared'
    ), movement AS (
        SELECT coalesce(e.details ->> 'suspense_item', m.metadata ->> 'suspense_item', m.id::text)::uuid AS item_id,
               m.currency, m.amount, m.cleared_at
        FROM moved m
        LEFT JOIN ledger_adjustment a ON a.transaction_id = m.id
        LEFT JOIN ledger_escalation e ON e.id = a.escalation_id
    )"""


@dataclass(frozen=True, slots=True)
class Item:
    """`amount` (minor units) is what is left of it: above zero it came in, below zero it went out. `id` is the
    transaction that began it; `seen_to` says that its escalation is open, or that it is on its way back to its sender.
    """

    id: UUID
    currency: str
    amount: int
    since: datetime
    seen_to: bool


def open_items() -> list[Item]:
    """What the suspense accounts hold, oldest first."""
    return [
        Item(*row)
        for row in _rows(
            f"""{_MOVEMENTS}
                SELECT m.item_id, m.currency, sum(m.amount)::bigint, min(m.cleared_at),
                       EXISTS (SELECT FROM ledger_escalation e
                               LEFT JOIN ledger_adjustment a ON a.escalation_id = e.id AND a.kind = 'return'
                               LEFT JOIN ledger_transaction t ON t.id = a.transaction_id
                               WHERE e.details ->> 'suspense_item' = m.item_id::text
                                   AND (e.status = 'open' OR t.status = 'pending'))
                FROM movement m GROUP BY m.item_id, m.currency HAVING sum(m.amount) <> 0 ORDER BY 4, 1""",  # noqa: S608
            [],
        )
    ]


def open_amount(item_id: UUID) -> tuple[int, str]:
    """What is left of an item, in minor units, and its currency; (0, "") when there is no such item."""
    found = _rows(
        f"{_MOVEMENTS} SELECT sum(m.amount)::bigint, m.currency FROM movement m WHERE m.item_id = %s GROUP BY 2",  # noqa: S608
        [item_id],
    )
    return (found[0][0], found[0][1]) if found else (0, "")


def item_of(details: dict[str, Any]) -> UUID | None:
    """The item that an escalation is about, from its details; None when it is about something else."""
    named = details.get(ITEM)
    return UUID(named) if named else None


def _rows(sql: str, parameters: Sequence[UUID]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found
