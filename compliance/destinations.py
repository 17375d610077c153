"""Looking on the lists for whom a payout goes to, by the name that the customer gave, at each withdrawal; and in the
same way for who has paid in, by the name that the bank gave (`payers`).

A pair of a destination (a name and an IBAN) and an entry that staff have let through once is not put before them again
until either side is another: the screening that they approved is the evidence. Where a bank is says nothing of who has
an account there, so its country neither raises nor lowers a score.
"""

import hashlib
import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal
from uuid import UUID

import structlog
from django.db import connection
from django.db.models import Q

from compliance.models import DestinationMatch
from compliance.names import Query
from compliance.states import ListPurpose, PayerScreeningStatus, ScreeningStatus
from compliance.watchlists import ListHit, ListInForce, lists_in_force, look_for
from wallet_project.utils.errors import translate_database_error

logger = structlog.get_logger(__name__)

_MOST_KEPT: Final = 10_000


@dataclass(frozen=True, slots=True)
class Destination:
    """A bank account, as the customer describes it."""

    name: str
    iban: str

    @property
    def asked_hash(self) -> bytes:
        said = [self.name, self.iban.replace(" ", "").upper()]
        return hashlib.sha256(json.dumps(said, ensure_ascii=False).encode()).digest()


@dataclass(frozen=True, slots=True)
class Found:
    """`hits` are those that nobody has let through, best first; None: the lists could not be read. `versions` are those
    of the lists that were looked at."""

    destination: Destination
    hits: Sequence[ListHit] | None
    versions: Sequence[UUID] = ()

    @property
    def score(self) -> int | None:
        """The best one's, of 100; 0 without any."""
        if self.hits is None:
            return None
        return self.hits[0].hit.score if self.hits else 0


def look(destinations: Mapping[UUID, Destination]) -> dict[UUID, Found]:
    """Who of those that the lists stop has a destination's name, by transaction. No query without a destination, and
    one more where there are hits. Raises what the database raises."""
    if not destinations:
        return {}
    try:
        stopping = tuple(each for each in lists_in_force() if each.purpose != ListPurpose.ALLOW)
        hits = {id_: _searched(each.name, stopping) for id_, each in destinations.items()}
    except Exception as error:
        if translate_database_error(error) is not None:
            raise
        logger.exception("lists_not_read")
        return {id_: Found(each, None) for id_, each in destinations.items()}
    versions = [each.version_id for each in stopping]
    let_through = _let_through([each.asked_hash for id_, each in destinations.items() if hits[id_]])
    return {
        id_: Found(each, [hit for hit in hits[id_] if (each.asked_hash, hit.entry_id) not in let_through], versions)
        for id_, each in destinations.items()
    }


def keep(
    by_screening: Mapping[UUID, tuple[Destination, Sequence[ListHit]]],
    *,
    of: Literal["screening", "payer_screening"] = "screening",
) -> None:
    """What was found, with the screening that it was found for, in the transaction that writes that."""
    if not by_screening:
        return
    assert connection.in_atomic_block, "a step belongs to the use case's transaction"
    DestinationMatch.objects.bulk_create(
        DestinationMatch(
            **{f"{of}_id": screening_id},
            asked_hash=destination.asked_hash,
            **hit.as_columns(),
        )
        for screening_id, (destination, hits) in by_screening.items()
        for hit in hits
    )


def _let_through(hashes: Sequence[bytes]) -> set[tuple[bytes, int]]:
    if not hashes:
        return set()
    approved = DestinationMatch.objects.filter(
        Q(screening__status=ScreeningStatus.APPROVED, screening__decided_by="officer")
        | Q(payer_screening__status=PayerScreeningStatus.LET_THROUGH),
        asked_hash__in=hashes,
    )
    return {(bytes(asked), entry) for asked, entry in approved.values_list("asked_hash", "entry_id")}


_lock = threading.Lock()
_kept_for: tuple[UUID, ...] = ()
_kept: dict[str, list[ListHit]] = {}


def _searched(name: str, lists: Sequence[ListInForce]) -> list[ListHit]:
    """What was found for a name on these versions is kept: salaries and rents go to the same names again and again."""
    global _kept_for
    versions = tuple(each.version_id for each in lists)
    with _lock:
        if versions != _kept_for or len(_kept) >= _MOST_KEPT:
            _kept.clear()
            _kept_for = versions
        found = _kept.get(name)
    if found is None:
        found = look_for(Query(name=name, subject="unknown"), lists)
        with _lock:
            if versions == _kept_for:
                _kept[name] = found
    return found
