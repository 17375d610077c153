"""Facts of a whole batch at once; sql/screening_facts.sql says what is read and how far back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.db import connection

from compliance.rules import Facts, Limits

_SQL: Final = """
    SELECT * FROM compliance_facts(%s::uuid[], %s::text[], %s::bigint[], %s::text[], %s::bigint[], %s::bigint[])
"""


@dataclass(frozen=True, slots=True)
class LegFacts:
    """One transaction of a unit. `customer_id` is whose money it is: the payer's, or the receiver's of a deposit."""

    transaction_id: UUID
    unit_id: UUID
    customer_id: UUID | None
    facts: Facts
    #: Whom it is paid out to; looked for on the lists by the caller (`destination_score` is 0 here).
    destination: tuple[str, str] | None = None


def facts_of(units: Sequence[UUID], limits: Mapping[str, Limits]) -> list[LegFacts]:
    """The facts of every pending leg of the units, in the order of ids. Units that have ended are left out.

    `limits` bound the work: a counterparty is only looked up where the amount is large enough for it to matter."""
    with connection.cursor() as cursor:
        cursor.execute(_SQL, [list(units), *limits_of_facts(limits)])
        return [
            LegFacts(transaction_id, unit_id, customer_id, Facts(*(*columns, 0)), (name, iban) if name else None)
            for transaction_id, unit_id, customer_id, *columns, name, iban in cursor.fetchall()
        ]


def limits_of_facts(limits: Mapping[str, Limits]) -> list[list[Any]]:
    """What compliance_facts is told of the limits, in its order."""
    bands = [(currency, low, high) for currency, limit in limits.items() for low, high in limit.bands()]
    return [
        list(limits),
        [limit.first_payment_amount for limit in limits.values()],
        [currency for currency, _, _ in bands],
        [low for _, low, _ in bands],
        [high for _, _, high in bands],
    ]
