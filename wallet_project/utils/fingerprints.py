"""SQL by which two sets of rows are compared without a join: both are added up as numbers of 64 bits, one for each row,
that nobody can know beforehand.

A number is PostgreSQL's own hash of a row's values, with a seed that is drawn for each statement; a sum is exact
(`numeric`). Sets that differ have the same sum by a chance of one in 2^64, and of another one whenever they are asked
again. Rows that are there twice count twice. What is NULL gives NULL, which a sum leaves out: who adds up, counts, too.
"""

from typing import Final

_DRAWN: Final = "hashtextextended(gen_random_uuid()::text, 0)"
#: To stand first in a WITH; `seed` gives one of its four.
SEEDS: Final = f"seed AS MATERIALIZED (SELECT {', '.join(f'{_DRAWN} AS {name}' for name in 'abcd')})"


def seed(name: str) -> str:
    """One of `a` to `d`, read once for a statement."""
    return f"(SELECT {name} FROM seed)"  # noqa: S608 - a name of ours


def of_id(uuid: str, seeded: str) -> str:
    """Of a uuid, and of whatever `seeded` is of."""
    return f"uuid_hash_extended({uuid}, {seeded})"


def of_number(bigint: str, seeded: str) -> str:
    """The same of a bigint. By halves, as PostgreSQL lays one over the other before it hashes: 2^32 would be 1."""
    return f"hashint8extended(({bigint}) & 4294967295, hashint8extended(({bigint}) >> 32, {seeded}))"


def of_text(text: str, seeded: str) -> str:
    return f"hashtextextended({text}, {seeded})"
