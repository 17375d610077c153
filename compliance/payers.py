"""Looking on the lists for who has paid money in, by the name that the bank gave, once the money has come.

It is the same look as for whom a payout goes to (`destinations`), with the same pairs remembered: a name and an IBAN
that staff have let through once, whichever way the money went. The country that a bank gives is shown and not scored.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.db import connection

from compliance import destinations, steps
from compliance.destinations import Destination, Found
from compliance.matches import reason_of
from compliance.models import PayerScreening
from compliance.states import PayerScreeningStatus
from compliance.watchlists import ListHit, threshold
from wallet_project.utils.context import system_actor

_UNREADABLE: Final = "The lists could not be read, so a person looks for the payer."


@dataclass(frozen=True, slots=True)
class Look:
    """A payer as the bank names him, {"name", "iban", "country"}, and what was found."""

    payer: Mapping[str, str]
    found: Found

    @property
    def clear(self) -> bool:
        """Nothing was found, and the lists could be read."""
        return self.found.hits is not None and not self.found.hits

    @property
    def reason(self) -> str:
        """For the queue, why a person looks; empty where nobody needs to."""
        if self.clear:
            return ""
        return f"The payer. {reason_of(self.found.hits)}" if self.found.hits else _UNREADABLE


def look(payers: Mapping[UUID, Mapping[str, str]]) -> dict[UUID, Look]:
    """Who of those that the lists stop has a payer's name, by whatever is asked about. No query without a hit, but for
    the lists in force. Raises what the database raises."""
    asked = {id_: Destination(payer["name"], payer["iban"]) for id_, payer in payers.items()}
    return {id_: Look(payers[id_], found) for id_, found in destinations.look(asked).items()}


def keep_of_deposits(looks: Mapping[UUID, Look]) -> dict[UUID, PayerScreening]:
    """Write down what was found of deposits that are locked, by transaction; those with something are in review, and
    the caller opens their cases."""
    return _keep({id_: PayerScreening(transaction_id=id_) for id_ in looks}, looks, PayerScreeningStatus.IN_REVIEW)


def keep_of_escalations(looks: Mapping[UUID, Look]) -> dict[UUID, PayerScreening]:
    """Write down what was found of money that an escalation asks about, whose case is opened in this same commit."""
    return _keep({id_: PayerScreening(escalation_id=id_) for id_ in looks}, looks, PayerScreeningStatus.SHOWN)


def _keep(
    rows: Mapping[UUID, PayerScreening], looks: Mapping[UUID, Look], met: PayerScreeningStatus
) -> dict[UUID, PayerScreening]:
    assert connection.in_atomic_block, "a step belongs to the use case's transaction"
    if not rows:
        return {}
    for id_, row in rows.items():
        one = looks[id_]
        row.asked, row.threshold = dict(one.payer), threshold()
        row.versions = None if one.found.hits is None else [str(version) for version in one.found.versions]
        row.status = PayerScreeningStatus.CLEAR if one.clear else met
    PayerScreening.objects.bulk_create(rows.values())
    changes = [(row.id, "", str(row.status), looks[id_].reason) for id_, row in rows.items()]
    steps.log_changes("payerscreening", changes, actor=system_actor())
    kept: dict[UUID, tuple[Destination, Sequence[ListHit]]] = {
        row.id: (looks[id_].found.destination, looks[id_].found.hits or ()) for id_, row in rows.items()
    }
    destinations.keep({id_: each for id_, each in kept.items() if each[1]}, of="payer_screening")
    return dict(rows)
