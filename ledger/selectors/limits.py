"""What limits an account or a customer has, and how much of them is used. Reads what the posting functions count."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from ledger.selectors.transactions import read
from ledger.states import LimitDirection, LimitScope

_LIMITS: Final = """
    SELECT l.owner_id, of.scope, l.direction, l.currency, of.per_transaction, of.per_day, of.per_30_days,
           used.today AS used_today, used.in_30_days AS used_in_30_days
    FROM ledger_limit l
    CROSS JOIN LATERAL (VALUES
        (l.scope, l.per_transaction, l.per_day, l.per_30_days),
        ('level', l.level_per_transaction, l.level_per_day, l.level_per_30_days)
    ) AS of (scope, per_transaction, per_day, per_30_days)
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(u.amount) FILTER (WHERE u.day = today.day), 0)::bigint AS today,
               coalesce(sum(u.amount), 0)::bigint AS in_30_days
        FROM (SELECT (statement_timestamp() AT TIME ZONE 'UTC')::date AS day) today
        JOIN ledger_usage u ON u.day BETWEEN today.day - 29 AND today.day
        WHERE u.owner_id = l.owner_id AND u.direction = l.direction AND u.currency = l.currency
    ) used
    WHERE l.owner_id = ANY (%(owners)s) AND l.currency = coalesce(%(currency)s, l.currency)
        AND coalesce(of.per_transaction, of.per_day, of.per_30_days) IS NOT NULL
    ORDER BY of.scope, l.currency, l.direction DESC"""


@dataclass(frozen=True, slots=True)
class LimitView:
    """One limit with what is used of it: amounts in minor units, None is no limit. Days are UTC."""

    owner_id: UUID
    scope: LimitScope
    direction: LimitDirection
    currency: str
    per_transaction: int | None
    per_day: int | None
    per_30_days: int | None
    used_today: int
    used_in_30_days: int


def limits_of(owners: Sequence[UUID], *, currency: str | None = None) -> list[LimitView]:
    """The limits of accounts and customers, those of an account first, in one currency or in all. One query, so one
    snapshot: what is used belongs to the limit that it is shown with."""
    return [
        LimitView(**{**row, "scope": LimitScope(row["scope"]), "direction": LimitDirection(row["direction"])})
        for row in read(_LIMITS, {"owners": list(owners), "currency": currency})
    ]
