"""The tokens of all customers' names, by which the database finds who may be meant by what is new on a list.

They are written with each look for a customer, in its commit. Who has asked for nothing yet, or was there before there
were tokens, gets his when a list changes, before anything is looked up: so whoever has a profile is found.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.db import connection

from accounts.models import ProfileVersion
from compliance.names import TOKENS_MAKING, tokens_of_person

_LEAST_ID: Final = UUID(int=0)
_READ_FOR_EACH: Final = 10

_NEXT: Final = """
    SELECT c.id, p.number, CASE WHEN t.customer_id IS NULL THEN p.first_name END, p.last_name
    FROM accounts_customer c
    JOIN accounts_profileversion p ON p.id = c.profile_id
    LEFT JOIN compliance_nametokens t ON t.customer_id = c.id AND t.profile_number = p.number AND t.made_by = %s
    WHERE c.id > %s ORDER BY c.id LIMIT %s"""
#: In the order of ids, so that two that write the same rows wait for each other and not in a circle. What was read
#: before a customer changed his name must not replace what was made of it since.
_KEEP: Final = """
    INSERT INTO compliance_nametokens AS t (customer_id, profile_number, made_by, tokens)
    SELECT r.customer_id, r.profile_number, %s, r.tokens
    FROM jsonb_to_recordset(%s::jsonb) AS r (customer_id uuid, profile_number int, tokens int[])
    ORDER BY r.customer_id
    ON CONFLICT (customer_id) DO UPDATE
    SET profile_number = excluded.profile_number, made_by = excluded.made_by, tokens = excluded.tokens
    WHERE (t.profile_number, t.made_by) < (excluded.profile_number, excluded.made_by)"""
#: The index is asked for each of a few hundred numbers; to read all customers and compare would take minutes, which the
#: planner does not see. What is found has to fit as rows, or each customer of a page is compared after all.
_BY_INDEX: Final = "SET LOCAL enable_seqscan = off; SET LOCAL work_mem = '64MB'"
_MEANT: Final = """
    INSERT INTO compliance_rescreeningcandidate (rescreening_id, customer_id)
    SELECT %s, customer_id FROM compliance_nametokens WHERE tokens && %s::int[]
    ON CONFLICT DO NOTHING"""
#: The time of a lookup grows with tokens times customers found: many small ones are faster than a large one.
_TOKENS_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Named:
    """A customer under the name that he has in one version of his profile."""

    customer_id: UUID
    profile_number: int
    name: str


@dataclass(frozen=True, slots=True)
class Batch:
    """The next customers who have a profile: how many, who is the last, who of them has no tokens of his name yet, and
    whether there is nobody behind them."""

    count: int
    last: UUID | None
    missing: Sequence[Named]
    ended: bool


def name_of(profile: ProfileVersion) -> str:
    """Under which a customer is looked for."""
    return _written(profile.first_name, profile.last_name)


def next_names(*, after: UUID | None, limit: int) -> Batch:
    """As many as have no tokens, up to `limit`; ten times as many are read, as most of them have some."""
    with connection.cursor() as cursor:
        cursor.execute(_NEXT, [TOKENS_MAKING, after or _LEAST_ID, _READ_FOR_EACH * limit])
        rows = cursor.fetchall()
    missing: list[Named] = []
    for count, (id_, number, first, last) in enumerate(rows, 1):
        if first is not None:
            missing.append(Named(id_, number, _written(first, last)))
            if len(missing) == limit:
                return Batch(count, id_, missing, ended=False)
    return Batch(len(rows), rows[-1][0] if rows else None, missing, ended=len(rows) < _READ_FOR_EACH * limit)


def tokens_of(people: Sequence[Named]) -> str:
    """As `keep_tokens` takes them. It takes half a millisecond each, so it is done outside of transactions."""
    return json.dumps(
        [
            {
                "customer_id": str(each.customer_id),
                "profile_number": each.profile_number,
                "tokens": tokens_of_person(each.name),
            }
            for each in people
        ]
    )


def keep_tokens(tokens: str) -> None:
    assert connection.in_atomic_block, "a step belongs to the use case's transaction"
    with connection.cursor() as cursor:
        cursor.execute(_KEEP, [TOKENS_MAKING, tokens])


def keep_tokens_of(profile: ProfileVersion) -> None:
    """Of the current profile of a customer who is locked."""
    keep_tokens(tokens_of([Named(profile.customer_id, profile.number, name_of(profile))]))


def find_candidates(rescreening_id: int, tokens: Sequence[int]) -> None:
    """Write down who shares a token; once, however often he is found."""
    assert connection.in_atomic_block, "a step belongs to the use case's transaction"
    with connection.cursor() as cursor:
        cursor.execute(_BY_INDEX)
        for start in range(0, len(tokens), _TOKENS_AT_ONCE):
            cursor.execute(_MEANT, [rescreening_id, list(tokens[start : start + _TOKENS_AT_ONCE])])


def _written(first_name: str, last_name: str) -> str:
    return f"{first_name} {last_name}"
