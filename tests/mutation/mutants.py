"""What a mutant is: one small change to what is installed, made mechanically, and how to call it."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Self

Area = Literal["sql", "catalogue", "python"]


@dataclass(frozen=True, slots=True)
class Mutant:
    """`place` is the function, table or method. `sql` installs the mutant in a copy of the database; `source` is the
    mutated text of a Python module. `whole` is the text that was mutated: a result counts for that text alone."""

    area: Area
    file: str
    place: str
    operator: str
    line: int
    before: str
    after: str
    whole: str
    sql: str = ""
    source: str = ""
    number: int = 0

    @property
    def name(self) -> str:
        """Says which change it is, whatever else in the file or the function has changed meanwhile."""
        again = f" #{self.number}" if self.number else ""
        return f"{self.file}:{self.place}: {self.operator}: {self.before} => {self.after}{again}"

    @property
    def id(self) -> str:
        return hashlib.sha256(f"{self.name}\n{self.whole}".encode()).hexdigest()[:16]

    def row(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def read(cls, row: dict[str, Any]) -> Self:
        return cls(**row)


def numbered(mutants: Iterable[Mutant]) -> list[Mutant]:
    """Each installed text once; those that read alike are told apart by a number."""
    seen: set[str] = set()
    names: Counter[str] = Counter()
    kept: list[Mutant] = []
    for mutant in mutants:
        text = f"{mutant.file}\n{mutant.sql}\n{mutant.source}"
        if text in seen:
            continue
        seen.add(text)
        kept.append(replace(mutant, number=names[mutant.name]))
        names[mutant.name] += 1
    return kept


def one_line(text: str, limit: int = 110) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"
