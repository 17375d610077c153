"""How well names are matched: labelled names, a background of 20,000, and what a search finds among them."""

import csv
import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.resources import files
from itertools import combinations
from typing import Final, Literal

from compliance.names.index import NameIndex
from compliance.names.records import ListedEntry, ListedName, Query, Subject

Part = Literal["tuning", "held_out"]
PARTS: Final[tuple[Part, ...]] = ("tuning", "held_out")
BACKGROUND: Final = 20_000


@dataclass(frozen=True, slots=True)
class Labelled:
    label: Literal["positive", "negative", "other"]
    kind: str
    script: str
    subject: Literal["person", "organisation"]
    listed: str
    query: str


@dataclass(slots=True)
class Tally:
    """Of one kind: how many were asked, how many found (a positive its own entry, a negative anything)."""

    asked: int = 0
    found: int = 0


@dataclass(slots=True)
class Measured:
    names: int
    kinds: dict[tuple[str, str], Tally] = field(default_factory=lambda: defaultdict(Tally))  # (label, kind)
    milliseconds: list[float] = field(default_factory=list)  # of each query, sorted
    missed: list[tuple[Labelled, str]] = field(default_factory=list)  # and the best hit there was


def labelled(part: Part) -> list[Labelled]:
    return [Labelled(**row) for row in _rows(f"{part}.csv")]  # type: ignore[arg-type]


def index_for(rows: list[Labelled], *, background: int = BACKGROUND) -> tuple[NameIndex, dict[str, set[int]]]:
    """An index of OFAC's primary names, the listed names of `rows`, and people made of the given names and surnames of
    listed ones up to `background` names; and the entries that each listed name has."""
    entries: list[ListedEntry] = []
    names: list[ListedName] = []
    numbers: dict[str, set[int]] = defaultdict(set)

    def add(subject: Subject, name: str) -> None:
        number = len(entries)
        entries.append(ListedEntry(number, subject))
        names.append(ListedName(number, name, "primary"))
        numbers[name].add(number)

    ofac = list(_rows("ofac.csv"))
    for row in ofac:
        add(row["subject"], row["name"])  # type: ignore[arg-type]
    for each in rows:
        if each.listed and each.listed not in numbers:
            add(each.subject, each.listed)
    asked: dict[tuple[str, ...], set[tuple[str, ...]]] = defaultdict(set)
    for words in (_plain(row.query) for row in rows):
        asked[words[:2]].add(words)
    for name in _recombined([row["name"] for row in ofac if row["subject"] == "person"]):
        if len(names) >= background:
            break
        words = _plain(name)
        # Who is asked for as nobody must not be made by chance.
        by_chance = any(set(each) <= set(words) for pair in combinations(words, 2) for each in asked.get(pair, ()))
        if name not in numbers and not by_chance:
            add("person", name)
    return NameIndex.build(entries, names), numbers


def measure(
    index: NameIndex, numbers: dict[str, set[int]], rows: list[Labelled], clock: Callable[[], float]
) -> Measured:
    """Each query once, by its name alone and with the default threshold. `clock` gives seconds."""
    measured = Measured(len(rows))
    for row in rows:
        before = clock()
        hits = index.search(Query(row.query, subject=row.subject))
        measured.milliseconds.append((clock() - before) * 1000)
        right = [hit for hit in hits if hit.entry in numbers[row.listed]] if row.listed else hits
        tally = measured.kinds[row.label, row.kind]
        tally.asked += 1
        tally.found += bool(right)
        if bool(right) == (row.label == "negative"):
            measured.missed.append((row, f"{hits[0].score} {hits[0].name}" if hits else ""))
    measured.milliseconds.sort()
    return measured


def _recombined(names: list[str]) -> Iterator[str]:
    pairs = [name.split(", ", 1) for name in names if ", " in name]
    chance = random.Random(20_000)  # noqa: S311 (the same people each time; no secret)
    while True:
        yield f"{chance.choice(pairs)[0]}, {chance.choice(pairs)[1]}"


def _plain(name: str) -> tuple[str, ...]:
    return tuple(sorted(re.findall(r"\w+", name.casefold())))


def _rows(name: str) -> Iterator[dict[str, str]]:
    text = files("compliance.names.evaluation").joinpath(name).read_text(encoding="utf-8")
    yield from csv.DictReader(text.splitlines())
