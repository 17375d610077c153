"""What use cases wrote once, written again: the same rows under other ids, in one round trip of the superuser's.

Most tests begin with a customer and an account, and to have them made by the use cases each time was a third of the
suite's work. The first of a process is made so; what that wrote is remembered, and repeated for the others.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar
from uuid import UUID, uuid4

from django.db import connection
from django.db.models import Model, QuerySet
from psycopg import sql

from tests.support.database import superuser
from tests.support.pristine import Pristine
from wallet_project.utils.ids import uuid7

#: A key, or the first half of an address, that a test made up.
_KEY = re.compile(r"(?<=\")[0-9a-f]{32}(?=[\"@])", re.ASCII)


@dataclass(frozen=True)
class Recipe:
    """`made`: the id of what it makes. `rows`: what was written, by table, as JSON; `at`: when that was."""

    made: UUID
    rows: str
    at: datetime
    statement: sql.Composed
    #: Whatever in `rows` stands for this one alone.
    own: re.Pattern[str]

    @classmethod
    def of(cls, make: Callable[[], UUID], superuser: Pristine) -> "Recipe":
        """Have it made, and remember what that wrote."""
        since, at = superuser.next_number(), datetime.now(UTC)
        made = make()
        written = superuser.rows_since(since)
        ids = [str(row["id"]) for rows in written.values() for row in rows if isinstance(row.get("id"), str)]
        text = json.dumps(written)
        inserts = sql.SQL(", ").join(map(superuser.insertion, written))
        return cls(
            made=made,
            rows=text,
            at=at,
            statement=sql.SQL("WITH given AS (SELECT %s::jsonb AS rows, %s::interval AS later), {} SELECT").format(
                inserts
            ),
            own=re.compile("|".join([*ids, *_KEY.findall(text)])),
        )

    def repeat(self, superuser: Pristine) -> UUID:
        """Write it again, and return what was made."""
        others: dict[str, str] = {}

        def other(found: re.Match[str]) -> str:
            return others.setdefault(found[0], uuid4().hex if len(found[0]) == 32 else str(uuid7()))

        rows = self.own.sub(other, self.rows)
        superuser.write(self.statement, [rows, datetime.now(UTC) - self.at])
        return UUID(others[str(self.made)])


_M = TypeVar("_M", bound=Model)
_recipes: dict[str, Recipe] = {}


def again(name: str, make: Callable[[], UUID], found: QuerySet[_M]) -> _M:
    """What `make` makes, and the same by its rows where this process has made it before."""
    by = superuser()
    if by is None or connection.in_atomic_block:
        made = make()
    elif name in _recipes:
        made = _recipes[name].repeat(by)
    else:
        _recipes[name] = Recipe.of(make, by)
        made = _recipes[name].made
    return found.get(id=made)
