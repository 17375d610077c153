"""Facts of a whole batch at once; sql/screening_facts.sql says what is read and how far back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.db import connection

from compliance.rules import FACTS, Facts, Limits

_SQL: Final = """
    SELECT * FROM compliance_facts(%s::uuid[], %s::text[], %s::bigint[], %s::text[], %s::bigint[], %s::bigint[])
"""


#: In the order in which compliance_facts returns them; what the lists say of a payee is looked for elsewhere.
#: What others than the database's function know; the caller looks it up.
_ADDED: Final = {"destination_score": 0, "customer_risk": 0}
_COLUMNS: Final = tuple(name for name in FACTS if name not in _ADDED)


@dataclass(slots=True)
class LegFacts:
    """One transaction of a unit. `customer_id` is whose money it is: the payer's, or the receiver's of a deposit.

    `values` are its facts by name, as rules are asked and as they are recorded: there are hundreds in a batch, and an
    object of nineteen fields for each takes longer to make than the database takes to look up half of them."""

    transaction_id: UUID
    unit_id: UUID
    customer_id: UUID | None
    values: dict[str, Any]
    #: Whom it is paid out to; looked for on the lists by the caller.
    destination: tuple[str, str] | None = None

    @property
    def facts(self) -> Facts:
        return Facts(**self.values)


def facts_of(units: Sequence[UUID], limits: Mapping[str, Limits]) -> list[LegFacts]:
    """The facts of every pending leg of the units, in the order of ids. Units that have ended are left out.

    `limits` bound the work: a counterparty is only looked up where the amount is large enough for it to matter."""
    with connection.cursor() as cursor:
        cursor.execute(_SQL, [list(units), *limits_of_facts(limits)])
        return [_leg(row) for row in cursor.fetchall()]


def _leg(row: tuple[Any, ...]) -> LegFacts:
    transaction_id, unit_id, customer_id, *columns, name, iban = row
    values = dict(zip(_COLUMNS, columns, strict=True)) | _ADDED
    return LegFacts(transaction_id, unit_id, customer_id, values, (name, iban) if name else None)


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
