"""Reads of lists: what a version holds, how two differ, which are in force, and who is found on them.

Each process keeps the indexes of the versions in force, and asks every two seconds which they are: one statement, so
that it sees all of the old ones or all of the new ones. Nothing here writes.
"""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import structlog
from django.conf import settings
from django.db import connection

from compliance.models import ListIndex, ListVersion
from compliance.names import Hit, ListedEntry, ListedName, NameIndex, Query, explain
from compliance.states import ListVersionStatus

logger = structlog.get_logger(__name__)

#: How long a process believes that it knows which versions are in force.
BELIEVED_SECONDS: Final = 2.0
_CHUNK: Final = 5_000

#: What a version holds: for each id of its list the last change up to it.
_HELD: Final = """
    SELECT h.external_id, h.entry_id FROM (
        SELECT DISTINCT ON (c.external_id) c.external_id, c.entry_id
        FROM compliance_listchange c JOIN compliance_listversion v ON v.id = c.version_id
        WHERE v.list_id = %s AND v.number <= %s
        ORDER BY c.external_id, v.number DESC
    ) h WHERE h.entry_id IS NOT NULL"""


@dataclass(frozen=True, slots=True)
class Difference:
    """How many entries `after` has that `before` has not (new ones, and old ones in other words); how many `before` has
    that `after` has not; and how many of those are gone altogether."""

    gained: int
    lost: int
    gone: int
    had: int


@dataclass(frozen=True, slots=True)
class ListInForce:
    """The version of a list that is active, with its index."""

    list_name: str
    purpose: str
    version_id: UUID
    number: int
    index: NameIndex


@dataclass(frozen=True, slots=True)
class ListHit:
    """Somebody of that name is on a list. `external_id` is the publisher's."""

    list_name: str
    purpose: str
    version_id: UUID
    number: int
    entry_id: int
    hit: Hit
    threshold: int

    def as_columns(self) -> dict[str, Any]:
        """As the rows of matches keep it."""
        return {
            "entry_id": self.entry_id,
            "version_id": self.version_id,
            "score": self.hit.score,
            "explanation": self.as_json(),
        }

    def as_json(self) -> dict[str, Any]:
        """All that is needed to see why, and to look again: list and version, threshold, and the matcher's account."""
        return {
            "list": self.list_name,
            "purpose": self.purpose,
            "version": self.number,
            "version_id": str(self.version_id),
            "entry_id": self.entry_id,
            "threshold": self.threshold,
            **self.hit.as_json(),
        }


def why(explanation: Mapping[str, Any]) -> dict[str, Any]:
    """Of what is kept of a match, why its score is what it is."""
    return {name: explanation.get(name) for name in ("kind", "name_score", "aligned", "adjustments")}


def held_by(version: ListVersion) -> dict[str, int]:
    """The entries of a version: the publisher's id → the row's id."""
    with connection.cursor() as cursor:
        cursor.execute(_HELD, [version.list_id, version.number])
        return dict(cursor.fetchall())


def difference(before: ListVersion | None, after: ListVersion) -> Difference:
    old, new = held_by(before) if before else {}, held_by(after)
    old_ids, new_ids = set(old.values()), set(new.values())
    return Difference(
        gained=len(new_ids - old_ids), lost=len(old_ids - new_ids), gone=len(old.keys() - new.keys()), had=len(old)
    )


def gained_by(before: ListVersion | None, after: ListVersion) -> list[int]:
    """The entries that `after` has and `before` has not, in order."""
    old = set(held_by(before).values()) if before else set()
    return sorted(entry for entry in held_by(after).values() if entry not in old)


def index_of_entries(entry_ids: Sequence[int]) -> NameIndex:
    """An index of these entries, from their rows."""
    return NameIndex.build(_entries(entry_ids), _names(entry_ids))


def _entries(entry_ids: Sequence[int]) -> Iterator[ListedEntry]:
    sql = """SELECT id, subject, birth_dates, countries, gender FROM compliance_sanctionsentry
             WHERE id = ANY (%s) ORDER BY id"""
    for entry, subject, births, countries, gender in _in_chunks(sql, entry_ids):
        yield ListedEntry(
            entry=entry, subject=subject, birth_dates=tuple(births), countries=tuple(countries), gender=gender
        )


def _names(entry_ids: Sequence[int]) -> Iterator[ListedName]:
    sql = """SELECT entry_id, name, kind FROM compliance_sanctionsname
             WHERE entry_id = ANY (%s) ORDER BY entry_id, id"""
    for entry, name, kind in _in_chunks(sql, entry_ids):
        yield ListedName(entry=entry, name=name, kind=kind)


def names_of_people(entry_ids: Sequence[int]) -> Iterator[str]:
    """All names of those entries that are people, or may be: nobody else is found when a customer is looked for."""
    sql = """SELECT n.name FROM compliance_sanctionsname n JOIN compliance_sanctionsentry e ON e.id = n.entry_id
             WHERE e.id = ANY (%s) AND e.subject IN ('person', 'unknown') ORDER BY n.id"""
    return (name for (name,) in _in_chunks(sql, entry_ids))


def _in_chunks(sql: str, entry_ids: Sequence[int]) -> Iterator[tuple[Any, ...]]:
    for start in range(0, len(entry_ids), _CHUNK):
        with connection.cursor() as cursor:
            cursor.execute(sql, [list(entry_ids[start : start + _CHUNK])])
            yield from cursor.fetchall()


def threshold() -> int:
    """The score from which on a match counts."""
    return int(settings.NAME_MATCH_THRESHOLD)


def look_for(query: Query, lists: Sequence[ListInForce] | None = None) -> list[ListHit]:
    """Who is on the lists (those in force by default) under such a name, the best match first."""
    limit = threshold()
    hits = [
        ListHit(each.list_name, each.purpose, each.version_id, each.number, hit.entry, hit, limit)
        for each in (lists_in_force() if lists is None else lists)
        for hit in each.index.search(query, threshold=limit)
    ]
    return sorted(hits, key=lambda found: (-found.hit.score, found.list_name, found.entry_id))


def explained_again(query: Query, entry_id: int) -> Hit | None:
    """What the matcher of today says of a query and an entry, whose rows are as they were when it was asked."""
    (entry,) = _entries([entry_id])
    return explain(query, entry, _names([entry_id]))


_lock = threading.Lock()
_known: tuple[ListInForce, ...] = ()
_known_at: float | None = None


def lists_in_force() -> tuple[ListInForce, ...]:
    """The active version of each list, at most two seconds old."""
    global _known, _known_at
    with _lock:
        now = time.monotonic()
        if _known_at is None or now - _known_at >= BELIEVED_SECONDS:
            _known, _known_at = _read_in_force({each.version_id: each for each in _known}), now
        return _known


def forget_lists() -> None:
    """Ask the database the next time."""
    global _known, _known_at
    with _lock:
        _known, _known_at = (), None


def _read_in_force(kept: dict[UUID, ListInForce]) -> tuple[ListInForce, ...]:
    active = ListVersion.objects.filter(status=ListVersionStatus.ACTIVE).select_related("list").order_by("list__name")
    return tuple(
        kept.get(version.id)
        or ListInForce(version.list.name, version.list.purpose, version.id, version.number, index_of(version))
        for version in active
    )


def index_of(version: ListVersion) -> NameIndex:
    """The index that was built for the version; one that this matcher cannot read (it is of another release) is built
    anew, for this process."""
    row = ListIndex.objects.filter(version=version).first()
    if row is not None:
        try:
            return NameIndex.from_bytes(bytes(row.content))
        except ValueError as error:
            logger.warning("list_index_unreadable", version=str(version.id), error=str(error))
    return index_of_entries(sorted(held_by(version).values()))
