"""What limits an account or a customer has, and how much of them is used. Reads what the posting functions count."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import connection

from ledger.models import Limit
from ledger.states import LimitDirection, LimitScope

_USED = """
    SELECT u.owner_id, u.direction, u.currency,
           coalesce(sum(u.amount) FILTER (WHERE u.day = today.day), 0)::bigint,
           coalesce(sum(u.amount) FILTER (WHERE u.day > today.day - 30), 0)::bigint
    FROM ledger_usage u, (SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date AS day) today
    WHERE u.owner_id = ANY (%s) GROUP BY 1, 2, 3"""


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


def limits_of(owners: Sequence[UUID]) -> list[LimitView]:
    """The limits of accounts and customers. Two queries, however many owners."""
    with connection.cursor() as cursor:
        cursor.execute(_USED, [list(owners)])
        used = {tuple(row[:3]): row[3:] for row in cursor.fetchall()}
    return [
        LimitView(
            owner_id=row.owner_id,
            scope=LimitScope(row.scope),
            direction=LimitDirection(row.direction),
            currency=row.currency,
            per_transaction=row.per_transaction,
            per_day=row.per_day,
            per_30_days=row.per_30_days,
            used_today=used.get((row.owner_id, row.direction, row.currency), (0, 0))[0],
            used_in_30_days=used.get((row.owner_id, row.direction, row.currency), (0, 0))[1],
        )
        for row in Limit.objects.filter(owner_id__in=owners).order_by("scope", "currency", "-direction")
    ]
