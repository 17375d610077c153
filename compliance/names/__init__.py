"""Matching names, in its plainest form: the same words in any order, after folding case and accents.

A birth date that contradicts, or another gender, lowers the score; a name alone never confirms.
"""

import json
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

NameKind = Literal["primary", "alias", "weak"]
Subject = Literal["person", "organisation", "vessel", "aircraft", "unknown"]

DEFAULT_THRESHOLD: Final = 75
_LONGEST: Final = 300


@dataclass(frozen=True, slots=True)
class ListedName:
    entry: int
    name: str
    kind: NameKind


@dataclass(frozen=True, slots=True)
class ListedEntry:
    entry: int
    subject: Subject
    birth_dates: tuple[str, ...]
    countries: tuple[str, ...]
    gender: str


@dataclass(frozen=True, slots=True)
class Query:
    name: str
    birth_date: str = ""
    country: str = ""
    gender: str = ""
    subject: str = "person"


@dataclass(frozen=True, slots=True)
class Hit:
    entry: int
    name: str
    kind: NameKind
    score: int
    name_score: int
    aligned: tuple[tuple[str, str, int, str], ...]
    adjustments: tuple[tuple[str, int, str], ...]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class NameIndex:
    """Entries by the words of their names."""

    def __init__(self, entries: list[ListedEntry], names: list[ListedName]) -> None:
        self._entries = {entry.entry: entry for entry in entries}
        self._names = names
        self._by_word: dict[str, list[int]] = defaultdict(list)
        for number, listed in enumerate(names):
            for word in set(_words(listed.name)):
                self._by_word[word].append(number)

    @classmethod
    def build(cls, entries: Iterable[ListedEntry], names: Iterable[ListedName]) -> "NameIndex":
        return cls(list(entries), list(names))

    def search(self, query: Query, *, threshold: int | None = None) -> list[Hit]:
        words = _words(query.name)
        met: dict[int, int] = defaultdict(int)
        for word in set(words):
            for number in self._by_word.get(word, ()):
                met[number] += 1
        best: dict[int, Hit] = {}
        for number in sorted(met):
            hit = self._hit(query, words, self._names[number])
            if hit.score >= (DEFAULT_THRESHOLD if threshold is None else threshold):
                known = best.get(hit.entry)
                if known is None or hit.score > known.score:
                    best[hit.entry] = hit
        return sorted(best.values(), key=lambda hit: (-hit.score, hit.entry))

    def _hit(self, query: Query, words: list[str], listed: ListedName) -> Hit:
        theirs = _words(listed.name)
        aligned = tuple((word, word, 100, "exact") for word in words if word in theirs)
        name_score = 200 * len(aligned) // (len(words) + len(theirs))
        entry = self._entries[listed.entry]
        adjustments: list[tuple[str, int, str]] = []
        if query.birth_date and entry.birth_dates:
            fits = any(_agree(query.birth_date, date) for date in entry.birth_dates)
            adjustments.append(("birth_date", 10 if fits else -30, ", ".join(entry.birth_dates)))
        if query.gender and entry.gender and query.gender != entry.gender:
            adjustments.append(("gender", -20, entry.gender))
        score = max(0, min(100, name_score - 10 + sum(points for _, points, _ in adjustments)))
        return Hit(entry.entry, listed.name, listed.kind, score, name_score, aligned, tuple(adjustments))

    def to_bytes(self) -> bytes:
        parts = {"entries": [asdict(e) for e in self._entries.values()], "names": [asdict(n) for n in self._names]}
        return json.dumps(parts, ensure_ascii=False).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> "NameIndex":
        parts = json.loads(data)
        entries = [
            ListedEntry(**{**each, "birth_dates": tuple(each["birth_dates"]), "countries": tuple(each["countries"])})
            for each in parts["entries"]
        ]
        return cls(entries, [ListedName(**each) for each in parts["names"]])


def _words(name: str) -> list[str]:
    plain = unicodedata.normalize("NFKD", name[:_LONGEST]).casefold()
    kept = "".join(
        letter if letter.isalnum() else "" if unicodedata.combining(letter) or letter == "'" else " "
        for letter in plain
    )
    return kept.split()


def _agree(one: str, other: str) -> bool:
    short = min(len(one), len(other))
    return one[:short] == other[:short]
