"""Which tests to try on a mutant, and in which order: what notices most, and soonest, comes first."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from tests.mutation.mutants import Mutant

_RACES = ("race", "at_once", "lock_order")
#: Tests of the ledger's own functions and guards, close to what is mutated.
_CLOSE = ("test_posting", "test_clearing", "_functions", "_edges", "test_wrong_", "test_declared_keys")
_LOCKS = ("FOR NO KEY UPDATE", "FOR KEY SHARE", "SKIP LOCKED")
_WORD = re.compile(r"[a-z]{4,}")
_SAY_NOTHING = {
    "ledger",
    "accounts",
    "account",
    "transaction",
    "catalogue",
    "create",
    "unique",
    "index",
    "trigger",
    "mutant",
}


@dataclass(slots=True)
class Experience:
    """`seconds` of each test that passes without a mutant, and which functions of the database it ran."""

    seconds: Mapping[str, float]
    functions: Mapping[str, frozenset[str]]
    _of_place: Counter[tuple[str, str]] = field(default_factory=Counter)
    _of_file: Counter[tuple[str, str]] = field(default_factory=Counter)

    def killed(self, file: str, place: str, test: str) -> None:
        self._of_place[place, test] += 1
        self._of_file[file, test] += 1

    def tests_for(self, mutant: Mutant, *, patience: int, first: Sequence[str] = ()) -> list[str]:
        """The first `patience` of those that may notice (0: all of them); before all others those whose names have one
        of the parts in `first`."""
        about_locks = any(words in mutant.before for words in _LOCKS)
        words = _words(mutant)
        exact = (
            [word for word in mutant.before.split()[:4] if "_" in word]
            if mutant.area == "catalogue"
            else [mutant.place]
        )

        @cache
        def rank(test: str) -> tuple[float, float]:
            worth = 3 * self._of_place[mutant.place, test] + self._of_file[mutant.file, test]
            worth += 2 * sum(word in test for word in words)
            # A file of tests about the same things.
            worth += 4 * any(word in test.partition("::")[0] for word in words)
            worth += 4 * any(word in test for word in _CLOSE)
            worth += 4 * (mutant.place in self.functions.get(test, ()))
            worth += 10 * (about_locks and any(word in test for word in _RACES))
            worth += 20 * any(name in test for name in exact)
            worth += 1_000 * any(part in test for part in first)
            return (-worth / (1 + self.seconds[test]), self.seconds[test])

        asked = {test for test in self.seconds if any(part in test for part in first)}
        ranked = _varied(sorted(asked.union(self._that_can_notice(mutant)), key=rank), lambda test: rank(test)[0])
        return ranked[:patience] if patience else ranked

    def _that_can_notice(self, mutant: Mutant) -> Iterable[str]:
        """Who does not run a Python function can't notice a change of it."""
        if mutant.area != "python":
            return self.seconds
        name = f"{mutant.file}:{mutant.place}"
        return [test for test in self.seconds if name in self.functions.get(test, ())]


def _varied(ranked: list[str], rank: Callable[[str], float]) -> list[str]:
    """The second case of a parametrised test counts half as much, the third a third: they notice much the same. So do,
    in part, the tests of one file: the fourth after the first counts half as much."""
    cases: Counter[str] = Counter()
    files: Counter[str] = Counter()
    shared: dict[str, float] = {}
    for test in ranked:
        name, file = test.partition("[")[0], test.partition("::")[0]
        cases[name] += 1
        shared[test] = rank(test) / cases[name] / (1 + files[file] / 4)
        files[file] += 1
    return sorted(ranked, key=shared.__getitem__)


def _words(mutant: Mutant) -> set[str]:
    """What it is about, as tests may name it too: the function's or the constraint's words, without their plurals."""
    named = Path(mutant.file).stem
    if mutant.area == "catalogue":
        named = " ".join([mutant.operator, *mutant.before.split()[:4]])
    return {word.rstrip("s") for word in _WORD.findall(f"{mutant.place} {named}".lower()) if word not in _SAY_NOTHING}
