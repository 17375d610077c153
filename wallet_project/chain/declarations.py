"""Which tables are sealed: each app says so in its `sealed.py`, settings.SEALED names the lists."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.conf import settings
from django.utils.module_loading import import_string

#: The column that the chain adds: the number of the transaction that wrote the row.
XACT: Final = "xact"


@dataclass(frozen=True, slots=True)
class Sealed:
    """One table. What isn't named here is hashed as it stands: a column that is new is covered by itself.

    `salted`: free text and what others tell us, hashed with a salt that can be thrown away with the text.
    `mutable`: columns that change in a row's life, which the chain leaves out; or, where most of them do, `only`: those
    that never change.
    `moment`: when the row was written (the metric's age of the oldest unsealed row). `key`: the primary key."""

    table: str
    moment: str
    salted: Sequence[str] = ()
    mutable: Sequence[str] = ()
    only: Sequence[str] = ()
    key: str = "id"


def declared() -> list[Sealed]:
    """What the apps have declared, in order of the tables' names. Raises ValueError when one is declared twice."""
    found = sorted((table for path in settings.SEALED for table in import_string(path)), key=lambda each: each.table)
    names = [each.table for each in found]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"declared twice: {', '.join(sorted(twice))}")
    return found
