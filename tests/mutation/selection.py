"""Which mutants a worker takes on."""

import json
import random
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from tests.mutation.mutants import Mutant
from tests.mutation.results import Result


def place_in_sample(mutant: str, seed: int) -> float:
    """Who is in a sample depends on its seed and on the mutant (its id) alone."""
    return random.Random(f"{seed}{mutant}").random()


@dataclass(frozen=True, slots=True)
class Selection:
    """`only`: parts of names, one of which a mutant's must have; `sample` of those, drawn with `seed`; of these the
    `share`-th of `shares`. `retry`: judge those that survived once more. `slowest`: tests that take longer are left
    out (seconds). `patience`: how many tests a mutant is shown to; 0: all. `first`: parts of
    the names of tests that those judged again are shown to before all others."""

    kept_in: str
    only: tuple[str, ...] = ()
    sample: int = 0
    seed: int = 1
    share: int = 0
    shares: int = 1
    retry: bool = False
    slowest: float = 15.0
    patience: int = 0
    only_baseline: bool = False
    first: tuple[str, ...] = ()

    @property
    def worker(self) -> str:
        """What tests/conftest.py takes it for, so that it uses the servers of the run and databases of its own."""
        return f"gw{self.share}"

    @property
    def folder(self) -> Path:
        return Path(self.kept_in)

    def drawn(self, mutants: Sequence[Mutant]) -> list[Mutant]:
        wanted = [m for m in mutants if not self.only or any(part in f"{m.area}/{m.name}" for part in self.only)]
        if not self.sample or self.sample >= len(wanted):
            return wanted
        return sorted(wanted, key=lambda m: place_in_sample(m.id, self.seed))[: self.sample]

    def share_of(self, mutants: Sequence[Mutant]) -> list[Mutant]:
        return list(mutants)[self.share :: self.shares]

    def again(self, known: Result) -> bool:
        return self.retry and known.verdict == "survived"

    def tell(self, number: int, of: int, row: Result) -> None:
        by = f" by {row.test.rpartition('/')[2]}" if row.test else ""
        self.say(f"{number}/{of} {row.verdict}{by} {row.seconds:.1f} s: {row.name}")

    @staticmethod
    def say(text: str) -> None:
        """To who runs it, past pytest's capturing."""
        assert sys.__stdout__ is not None
        sys.__stdout__.write(f"{text}\n")
        sys.__stdout__.flush()

    def text(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, text: str) -> Self:
        row = json.loads(text)
        return cls(**{**row, "only": tuple(row["only"]), "first": tuple(row["first"])})
