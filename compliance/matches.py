"""Looking for customers on the lists, and what is kept of it. Parts of use cases, in the transaction of these.

A pair of a customer, as he describes himself, and an entry, as it is written, is put before a person once. What he
decided holds until either side is another.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Q

from accounts import steps as accounts
from accounts.models import Customer, ProfileVersion
from compliance import steps
from compliance.models import ListVersion, NameMatch, NameScreening
from compliance.name_tokens import name_of
from compliance.names import Query
from compliance.states import (
    CasePriority,
    ListPurpose,
    ListVersionStatus,
    NameScreeningCause,
    NameScreeningStatus,
)
from compliance.watchlists import ListHit, ListInForce, look_for, threshold
from wallet_project.utils.context import Actor
from wallet_project.utils.transitions import born, move


@dataclass(frozen=True, slots=True)
class Look:
    """What one look for one profile found, before anything of it is kept."""

    customer_id: UUID
    profile_id: UUID
    query: Query
    hits: Sequence[ListHit]

    @property
    def asked(self) -> dict[str, Any]:
        return asdict(self.query)

    @property
    def asked_hash(self) -> bytes:
        return hash_of(self.query)


def query_of(profile: ProfileVersion) -> Query:
    """What is asked about a customer. His address and documents are no part of it: to change them changes no match."""
    return Query(
        name=name_of(profile),
        birth_date=profile.date_of_birth.isoformat(),
        country=profile.country,
    )


def hash_of(query: Query) -> bytes:
    return hashlib.sha256(json.dumps(asdict(query), sort_keys=True, ensure_ascii=False).encode()).digest()


def look(profile: ProfileVersion, lists: Sequence[ListInForce]) -> Look:
    """Who of those that the lists stop has this customer's name. Who is on a list of people who are let through is no
    match, and silences none."""
    query = query_of(profile)
    stopping = [each for each in lists if each.purpose != ListPurpose.ALLOW]
    return Look(profile.customer_id, profile.id, query, look_for(query, stopping))


def hold_versions() -> set[UUID]:
    """The versions in force, which no activation replaces before this transaction has ended: who is looked for on them
    is there for the next version's look at all customers, or was looked for on that version."""
    assert connection.in_atomic_block, "a step belongs to the use case's transaction"
    with connection.cursor() as cursor:
        # An activation locks its list, also the first one of a list that is new.
        cursor.execute("SELECT id FROM compliance_sanctionslist ORDER BY id FOR SHARE")
    return set(ListVersion.objects.filter(status=ListVersionStatus.ACTIVE).values_list("id", flat=True))


def keep(
    looks: Sequence[Look],
    *,
    cause: NameScreeningCause,
    versions: Sequence[UUID],
    actor: Actor,
    now: datetime,
) -> list[NameScreening]:
    """Keep what was found, with a case for each customer who has a match that nobody has looked at; those screenings.

    Customers are locked in id order, so that two that look for the same one see each other's matches. Looks of an
    identity check are kept also without a match; a look for a profile that is not the customer's any more is dropped.
    """
    assert connection.in_atomic_block, "a step belongs to the use case's transaction"
    current = dict(
        Customer.objects.filter(id__in=[each.customer_id for each in looks])
        .order_by("id")
        .select_for_update(no_key=True)
        .values_list("id", "profile_id")
    )
    looks = [each for each in looks if current.get(each.customer_id) == each.profile_id]
    known = _known_pairs(looks)
    in_review: list[NameScreening] = []
    for each in looks:
        new = [hit for hit in each.hits if hit.entry_id not in known[each.customer_id, each.asked_hash]]
        if not new and cause != NameScreeningCause.IDENTITY:
            continue
        screening = NameScreening.objects.create(
            customer_id=each.customer_id,
            profile_id=each.profile_id,
            cause=cause,
            asked=each.asked,
            asked_hash=each.asked_hash,
            versions=[str(version) for version in versions],
            threshold=threshold(),
            status=NameScreeningStatus.IN_REVIEW if new else NameScreeningStatus.CLEAR,
        )
        born(screening, actor=actor)
        if new:
            _keep_matches(screening, new, now=now)
            in_review.append(screening)
    return in_review


def _known_pairs(looks: Sequence[Look]) -> Mapping[tuple[UUID, bytes], set[int]]:
    """By customer and query, the entries that were put before a person already."""
    known: dict[tuple[UUID, bytes], set[int]] = defaultdict(set)
    of_customers = NameMatch.objects.filter(customer_id__in=[each.customer_id for each in looks if each.hits])
    for customer_id, asked_hash, entry_id in of_customers.values_list("customer_id", "asked_hash", "entry_id"):
        known[customer_id, bytes(asked_hash)].add(entry_id)
    return known


def _keep_matches(screening: NameScreening, hits: Sequence[ListHit], *, now: datetime) -> None:
    NameMatch.objects.bulk_create(
        NameMatch(
            screening=screening,
            customer_id=screening.customer_id,
            asked_hash=screening.asked_hash,
            **hit.as_columns(),
        )
        for hit in hits
    )
    legal = any(hit.purpose == ListPurpose.SANCTIONS for hit in hits)
    case = steps.new_case(
        reason=reason_of(hits),
        now=now,
        priority=CasePriority.HIGH if legal else CasePriority.NORMAL,
        customer_id=screening.customer_id,
        name_screening=screening,
    )
    steps.open_cases([case])


def reason_of(hits: Sequence[ListHit]) -> str:
    """For the queue: the best match, and how many others there are."""
    best = hits[0]
    others = f", and {len(hits) - 1} more" if len(hits) > 1 else ""
    return f"The name may be on {best.list_name}: {best.hit.name} ({best.hit.score} of 100){others}."


def is_held(customer_id: UUID) -> bool:
    """A match of the customer waits for a person: until then his identity is not confirmed. He is locked, so that none
    is found between this answer and what is done about it."""
    accounts.lock_customer(customer_id)
    return NameScreening.objects.filter(customer_id=customer_id, status=NameScreeningStatus.IN_REVIEW).exists()


def was_confirmed(profile: ProfileVersion) -> bool:
    """A person has decided that the customer, as he describes himself, is who is on a list."""
    confirmed = NameScreening.objects.filter(customer_id=profile.customer_id, status=NameScreeningStatus.CONFIRMED)
    return confirmed.filter(asked_hash=hash_of(query_of(profile))).exists()


def outdate(customer: Customer, *, query: Query, actor: Actor, now: datetime) -> None:
    """End what waits for a person about another description of a locked customer; the queue closes its case."""
    waiting = NameScreening.objects.filter(customer=customer, status=NameScreeningStatus.IN_REVIEW)
    for screening in waiting.filter(~Q(asked_hash=hash_of(query))).order_by("id").select_for_update(no_key=True):
        screening.decided_at = now
        move(screening, "outdate", actor=actor, reason="The customer has changed his profile since.", also=_DECIDED)


def decide(screening: NameScreening, transition: str, *, actor: Actor, reason: str, now: datetime) -> None:
    """End a locked screening: `clear` or `confirm`."""
    screening.decided_at = now
    move(screening, transition, actor=actor, reason=reason, also=_DECIDED)


_DECIDED = ("decided_at",)


def in_force_are(lists: Sequence[ListInForce], versions: set[UUID]) -> bool:
    return {each.version_id for each in lists} == versions
