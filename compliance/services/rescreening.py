"""All customers looked for again when a version of a list comes into force.

Only what the version has that the one before had not is looked for: an entry that stood there already was looked for
when it came. Step by step the names of all customers are made ready, the new entries are looked up among them by the
database (compliance/names/blocking.py), and who may be meant is searched for in full. The row says how far that has
come, so a worker that dies loses one step; two that take the same step write it once.

Nobody is left out. Whoever was looked for before the version came into force had his profile by then, and is among the
names. Whoever is looked for later, because he has signed up or changed his name, is looked for on that version.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import transaction

from accounts.models import Customer
from compliance import matches
from compliance.models import ListVersion, Rescreening, RescreeningCandidate
from compliance.name_tokens import find_candidates, keep_tokens, next_names, tokens_of
from compliance.names import TOKENS_MAKING, tokens_of_listed
from compliance.states import NameScreeningCause
from compliance.watchlists import ListInForce, gained_by, index_of, index_of_entries, names_of_people
from wallet_project.utils.context import system_actor
from wallet_project.utils.nudges import nudge

#: Customers who are searched for at once, at a millisecond or two each, none of it in a transaction but the writing.
BATCH: Final = 500
#: Names that are made ready at once, at half a millisecond each; those that are ready already cost next to nothing.
_PREPARED: Final = 2_000
#: Entries that are looked up at once: some hundred names, of a few hundred tokens each.
_LOOKED_UP: Final = 50


@dataclass(frozen=True, slots=True)
class _New:
    """What came with a version, as a list to look on."""

    rescreening_id: int
    entries: Sequence[int]
    lists: tuple[ListInForce, ...]

    @property
    def version_id(self) -> UUID:
        return self.lists[0].version_id


_last: _New | None = None


def rescreen_customers(*, now: datetime, limit: int | None = None) -> int:
    """Take one step of the oldest look that is under way: 1, or 0 when none is left for this process.

    `limit` is how many customers or entries a step deals with.
    """
    row = Rescreening.objects.filter(done_at=None).select_related("version__list").order_by("id").first()
    # Tokens of another making would find nobody: workers of the new release go on.
    if row is None or row.made_by > TOKENS_MAKING:
        return 0
    if row.made_by < TOKENS_MAKING or row.prepared_at is None:
        _prepare(row, limit or _PREPARED, now=now)
    elif row.looked_up_at is None:
        _look_up(row, limit or _LOOKED_UP, now=now)
    else:
        _search(row, limit or BATCH, now=now)
    return 1


def prepare_names(*, after: UUID | None, limit: int = _PREPARED) -> UUID | None:
    """Make the names of the next customers ready ahead of the next list; the last of them, None when there is none
    left. Looks that go by older tokens begin again."""
    batch = next_names(after=after, limit=limit)
    tokens = tokens_of(batch.missing)
    with transaction.atomic(durable=True):
        for row in (
            Rescreening.objects.filter(done_at=None, made_by__lt=TOKENS_MAKING).order_by("id").select_for_update()
        ):
            _begin(row)
            row.save(update_fields=[*_PROGRESS])
        keep_tokens(tokens)
    return None if batch.ended else batch.last


def _prepare(row: Rescreening, limit: int, *, now: datetime) -> None:
    before = row.cursor if row.made_by == TOKENS_MAKING else None
    batch = next_names(after=before, limit=limit)
    tokens = tokens_of(batch.missing)
    with transaction.atomic(durable=True):
        locked = _locked(row)
        if locked is None:
            return
        if locked.made_by < TOKENS_MAKING:
            _begin(locked)
        keep_tokens(tokens)
        locked.screened += batch.count
        locked.cursor = batch.last or locked.cursor
        if batch.ended:
            locked.prepared_at, locked.cursor = now, None
        _went_on(locked, now=now)


def _look_up(row: Rescreening, limit: int, *, now: datetime) -> None:
    new = _what_is_new(row)
    entries = [entry for entry in new.entries if entry > row.entry_cursor][:limit]
    found: set[int] = set()
    for name in names_of_people(entries):
        found |= tokens_of_listed(name)
    with transaction.atomic(durable=True):
        locked = _locked(row)
        if locked is None:
            return
        find_candidates(row.id, sorted(found))
        if entries:
            locked.entry_cursor = entries[-1]
        if len(entries) < limit:
            locked.looked_up_at = now
        _went_on(locked, now=now)


def _search(row: Rescreening, limit: int, *, now: datetime) -> None:
    meant = RescreeningCandidate.objects.filter(rescreening=row).order_by("customer_id")
    if row.cursor is not None:
        meant = meant.filter(customer_id__gt=row.cursor)
    ids = list(meant.values_list("customer_id", flat=True)[:limit])
    customers = Customer.objects.filter(id__in=ids, profile__isnull=False).select_related("profile").order_by("id")
    lists = _what_is_new(row).lists
    looks = [matches.look(customer.profile, lists) for customer in customers if customer.profile is not None]
    found = [each for each in looks if each.hits]
    with transaction.atomic(durable=True):
        locked = _locked(row)
        if locked is None:
            return
        kept = matches.keep(
            found,
            cause=NameScreeningCause.LIST,
            versions=[row.version_id],
            actor=system_actor(),
            now=now,
        )
        locked.candidates += len(ids)
        locked.matched += len(kept)
        if ids:
            locked.cursor = ids[-1]
            RescreeningCandidate.objects.filter(rescreening=row, customer_id__lte=ids[-1]).delete()
        if len(ids) < limit:
            locked.done_at = now
        _went_on(locked, now=now)


_PROGRESS: Final = (
    "made_by", "cursor", "prepared_at", "entry_cursor", "looked_up_at", "screened", "candidates", "matched", "done_at",
)  # fmt: skip


def _begin(row: Rescreening) -> None:
    """From the start, by the tokens of this release."""
    row.made_by, row.cursor, row.prepared_at, row.entry_cursor, row.looked_up_at = TOKENS_MAKING, None, None, 0, None
    row.screened = row.candidates = 0


def _locked(row: Rescreening) -> Rescreening | None:
    """The row under lock; None where another worker was here meanwhile, and found the same."""
    locked = Rescreening.objects.select_for_update(no_key=True).get(id=row.id)
    return locked if all(getattr(locked, each) == getattr(row, each) for each in _PROGRESS) else None


def _went_on(locked: Rescreening, *, now: datetime) -> None:
    locked.moved_at = now
    locked.save(update_fields=[*_PROGRESS, "moved_at"])
    # For the next step, or for the look for another version.
    nudge("compliance.list_activated")


def _what_is_new(row: Rescreening) -> _New:
    """The entries that came with the version; kept while this process is at it."""
    global _last
    if _last is None or _last.rescreening_id != row.id or _last.version_id != row.version_id:
        version: ListVersion = row.version
        entries = gained_by(row.since, version)
        # Of the first version all is new, and its index is there.
        index = index_of_entries(entries) if row.since else index_of(version)
        new = ListInForce(version.list.name, version.list.purpose, version.id, version.number, index)
        _last = _New(row.id, entries, (new,))
    return _last
