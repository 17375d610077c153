"""All customers looked for again when a version of a list comes into force.

Only what the version has that the one before had not is looked at: an entry that stood there already was looked for
when it came. The row says how far the look has come, so a worker that dies loses one batch; two that take the same
batch write it once.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import transaction

from accounts.models import Customer
from compliance import matches
from compliance.models import ListVersion, Rescreening
from compliance.states import NameScreeningCause
from compliance.watchlists import ListInForce, gained_by, index_of, index_of_entries
from wallet_project.utils.context import system_actor
from wallet_project.utils.nudges import nudge

#: At some 3 ms each a batch takes a second or two, none of it in a transaction but the writing.
BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class _New:
    rescreening_id: int
    lists: tuple[ListInForce, ...]


_last: _New | None = None


def rescreen_customers(*, now: datetime, limit: int = BATCH) -> int:
    """Look for the next customers of the oldest look that is under way; how many there were, 0 when none is left."""
    row = Rescreening.objects.filter(done_at=None).select_related("version__list").order_by("id").first()
    if row is None:
        return 0
    lists = _what_is_new(row)
    waiting = Customer.objects.filter(profile__isnull=False).select_related("profile").order_by("id")
    if row.cursor is not None:
        waiting = waiting.filter(id__gt=row.cursor)
    batch = list(waiting[:limit])
    looks = [matches.look(customer.profile, lists) for customer in batch if customer.profile is not None]
    found = [each for each in looks if each.hits]
    with transaction.atomic(durable=True):
        locked = Rescreening.objects.select_for_update(no_key=True).get(id=row.id)
        if locked.done_at is not None or locked.cursor != row.cursor:
            # Another worker was here meanwhile, and found the same.
            return len(batch)
        kept = matches.keep(
            found,
            cause=NameScreeningCause.LIST,
            versions=[row.version_id],
            actor=system_actor(),
            now=now,
        )
        locked.screened += len(batch)
        locked.matched += len(kept)
        locked.moved_at = now
        if batch:
            locked.cursor = batch[-1].id
        if len(batch) < limit:
            locked.done_at = now
        locked.save(update_fields=["cursor", "screened", "matched", "moved_at", "done_at"])
        # For the next customers, or for the look for another version.
        nudge("compliance.list_activated")
    return len(batch)


def _what_is_new(row: Rescreening) -> tuple[ListInForce, ...]:
    """The entries that came with the version, as a list to look on; kept while this process is at it."""
    global _last
    if _last is None or _last.rescreening_id != row.id or _version_of(_last) != row.version_id:
        version: ListVersion = row.version
        # Of the first version all is new, and its index is there.
        index = index_of_entries(gained_by(row.since, version)) if row.since else index_of(version)
        new = ListInForce(version.list.name, version.list.purpose, version.id, version.number, index)
        _last = _New(row.id, (new,))
    return _last.lists


def _version_of(new: _New) -> UUID:
    return new.lists[0].version_id
