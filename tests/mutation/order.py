"""Which tests to try on a mutant, and in which order: what notices most, and soonest, comes first."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate

from tests.mutation.mutants import Mutant

_RACES = ("race", "at_once", "concurren")
_LOCKS = ("lock", "SKIP LOCKED")


@dataclass(slots=True)
class Experience:
    """`seconds` of each test that passes without a mutant, and which functions of the database it ran."""

    seconds: Mapping[str, float]
    functions: Mapping[str, frozenset[str]]
    _of_place: Counter[tuple[str, str]] = field(default_factory=Counter)
    _of_file: Counter[tuple[str, str]] = field(default_factory=Counter)
    _seen: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self._seen = frozenset().union(*self.functions.values())

    def killed(self, file: str, place: str, test: str) -> None:
        self._of_place[place, test] += 1
        self._of_file[file, test] += 1

    def tests_for(self, mutant: Mutant, *, patience: float) -> list[str]:
        """Those that run it, until they would take `patience` seconds together without a mutant (0: all of them)."""
        about_locks = mutant.operator.startswith(_LOCKS)

        def rank(test: str) -> tuple[float, float]:
            worth = 3 * self._of_place[mutant.place, test] + self._of_file[mutant.file, test]
            if about_locks and any(word in test for word in _RACES):
                worth += 100
            return (-worth / (0.2 + self.seconds[test]), self.seconds[test])

        ranked = sorted(self._that_can_notice(mutant), key=rank)
        until = accumulate(self.seconds[test] for test in ranked)
        return [test for test, spent in zip(ranked, until, strict=True) if not patience or spent <= patience]

    def _that_can_notice(self, mutant: Mutant) -> Iterable[str]:
        """A change within a function can be noticed only by who runs it; tests that read the catalogue are few."""
        if mutant.area != "sql" or mutant.operator == "attribute dropped" or mutant.place not in self._seen:
            return self.seconds
        return [test for test in self.seconds if mutant.place in self.functions.get(test, ())]
