"""All listed names, to be searched by one: built once when a list is activated, and loaded by whoever screens.

A search finds the listed words that are like the query's words, by keys that survive the usual slips; adds up, name by
name, how much of the query they cover; and aligns in full only the names that can still reach the threshold.
"""

import json
import zlib
from collections.abc import Iterable
from dataclasses import astuple
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final, get_args

from compliance.names.adjusting import adjustments, may_confirm
from compliance.names.alignment import JOINED_FROM, align, prepared
from compliance.names.rarity import missing_weight
from compliance.names.records import (
    CONFIRMED_FROM,
    DEFAULT_THRESHOLD,
    NAME_ALONE_AT_MOST,
    Hit,
    ListedEntry,
    ListedName,
    NameKind,
    Query,
)
from compliance.names.sounds import likeness
from compliance.names.words import Word, words_of

_FORMAT: Final = b"names-1\n"
# No more names than this are aligned in full for one search, the likeliest first.
MOST_ALIGNED: Final = 100
# Of the weight of the query's words: names that cover less of them have too many words against them.
_LEAST_COVERED: Final = 0.4
_PEOPLE: Final = frozenset({"person", "unknown"})
_SUBJECTS: Final[dict[str, frozenset[str]]] = {
    "person": _PEOPLE,
    "organisation": frozenset({"organisation", "vessel", "aircraft", "unknown"}),
    "unknown": frozenset({"person", "organisation", "vessel", "aircraft", "unknown"}),
}
_KINDS: Final[tuple[NameKind, ...]] = get_args(NameKind)


class NameIndex:
    """Immutable once built; safe to share between threads."""

    def __init__(self, state: dict[str, Any]) -> None:
        self._state = state
        # Made into values when they are needed: a worker that loads an index is to answer soon.
        self._entries: dict[int, list[Any]] = {each[0]: each for each in state["entries"]}
        self._names: list[list[Any]] = state["names"]  # entry, name, number of its kind
        self._vocabulary: list[list[Any]] = state["words"]
        self._postings: list[list[int]] = state["postings"]  # word -> names
        self._keys: dict[str, list[int]] = state["keys"]  # key -> words
        self._like = lru_cache(maxsize=1 << 14)(self._like_uncached)

    @classmethod
    def build(cls, entries: Iterable[ListedEntry], names: Iterable[ListedName]) -> "NameIndex":
        """Names of entries that are not given, and names without a letter or a digit, are an error of the caller."""
        kept = {entry.entry: entry for entry in entries}
        listed = sorted(set(names), key=lambda each: (each.entry, _KINDS.index(each.kind), each.name))
        postings: dict[Word, list[int]] = {}
        keys: dict[str, set[Word]] = {}
        for number, each in enumerate(listed):
            words = words_of(each.name, company=kept[each.entry].subject not in _PEOPLE)
            joined = [one.with_next(two) for one, two in pairwise(words) if not one.initial]
            for word in dict.fromkeys([*words, *joined]):
                postings.setdefault(word, []).append(number)
                if not word.initial:
                    sound = word.sound()
                    for key in sound.keys if word in words else sound.skeletons:
                        keys.setdefault(key, set()).add(word)
        vocabulary = sorted(postings, key=lambda word: (word.text, word.abjad, word.also, word.chinese))
        numbers = {word: number for number, word in enumerate(vocabulary)}
        return cls(
            {
                "entries": [list(astuple(kept[number])) for number in sorted(kept)],
                "names": [[each.entry, each.name, _KINDS.index(each.kind)] for each in listed],
                "words": [[word.text, int(word.abjad), list(word.also), int(word.chinese)] for word in vocabulary],
                "postings": [postings[word] for word in vocabulary],
                "keys": {key: sorted(numbers[word] for word in keys[key]) for key in sorted(keys)},
            }
        )

    def to_bytes(self) -> bytes:
        """The same bytes for the same lists, in every process."""
        plain = json.dumps(self._state, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
        return _FORMAT + zlib.compress(plain.encode(), level=6)

    @classmethod
    def from_bytes(cls, data: bytes) -> "NameIndex":
        """Raises ValueError for bytes that another version of the index wrote."""
        if not data.startswith(_FORMAT):
            raise ValueError("These bytes are no index of names of this version: build it again from the lists.")
        return cls(json.loads(zlib.decompress(data[len(_FORMAT) :])))

    def search(self, query: Query, *, threshold: int | None = None) -> list[Hit]:
        """The entries whose best name scores `threshold` (hundredths) or more, best first, each once."""
        at_least = DEFAULT_THRESHOLD if threshold is None else threshold
        best: dict[int, Hit] = {}
        subjects = _SUBJECTS[query.subject]
        for number in self._candidates(query, at_least):
            entry_number, name, kind = self._names[number]
            _, subject, birth_dates, countries, gender = self._entries[entry_number]
            if subject not in subjects:
                continue
            entry = ListedEntry(entry_number, subject, tuple(birth_dates), tuple(countries), gender)
            hit = hit_of(query, entry, ListedName(entry_number, name, _KINDS[kind]))
            known = best.get(entry_number)
            if hit.score >= at_least and (known is None or _rank(hit) < _rank(known)):
                best[entry_number] = hit
        return sorted(best.values(), key=_rank)

    def _candidates(self, query: Query, at_least: int) -> list[int]:
        """The names that the words of the query cover well enough, the best covered first."""
        readings = {words_of(query.name, company=False)} if query.subject != "organisation" else set()
        if query.subject != "person":
            readings.add(words_of(query.name, company=True))
        covered: dict[int, float] = {}
        for words in sorted(readings, key=len):
            for number, share in self._covered(words, at_least).items():
                covered[number] = max(covered.get(number, 0.0), share)
        return sorted(covered, key=lambda number: (-covered[number], number))[:MOST_ALIGNED]

    def _covered(self, words: tuple[Word, ...], at_least: int) -> dict[int, float]:
        weights = {at: missing_weight(word) for at, word in enumerate(words) if not word.initial}
        total = sum(weights.values())
        # What agrees in one word alone cannot reach the threshold, unless that is all there is to the query.
        touches = min(2, sum(2 if words[at].servant else 1 for at in weights))
        found: dict[int, tuple[float, int]] = {}
        left = sum(2 if words[at].servant else 1 for at in weights)
        for at in sorted(weights, key=lambda at: -weights[at]):
            opens = left >= touches
            count = 2 if words[at].servant else 1
            left -= count
            for number, alike in self._alike(words, at).items():
                share, touched = found.get(number, (0.0, 0))
                if opens or touched:
                    found[number] = share + weights[at] * alike / 100, touched + count
        needed = total * at_least / NAME_ALONE_AT_MOST * _LEAST_COVERED
        return {number: share for number, (share, touched) in found.items() if touched >= touches and share >= needed}

    def _alike(self, words: tuple[Word, ...], at: int) -> dict[int, int]:
        """The names that have a word like this one, alone or written together with a neighbour, and how alike."""
        forms = []
        if at and not words[at - 1].initial:
            forms.append(words[at - 1].with_next(words[at]))
        if at + 1 < len(words) and not words[at + 1].initial:
            forms.append(words[at].with_next(words[at + 1]))
        names: dict[int, int] = {}
        for form, joined in [(words[at], False), *((form, True) for form in forms)]:
            for word, score in self._like(form, joined):
                for number in self._postings[word]:
                    if names.get(number, 0) < score:
                        names[number] = score
        return names

    def _like_uncached(self, word: Word, joined: bool) -> tuple[tuple[int, int], ...]:
        """The listed words that are like a word, with how much."""
        near: set[int] = set()
        ours = word.sound()
        for key in ours.skeletons if joined else ours.keys:
            near.update(self._keys.get(key, ()))
        found: list[tuple[int, int]] = []
        for number in sorted(near):
            text, abjad, also, chinese = self._vocabulary[number]
            theirs = Word(text, bool(abjad), tuple(also), bool(chinese))
            alike = likeness(ours, theirs.sound())
            if alike is not None and (not joined or alike[0] >= JOINED_FROM):
                found.append((number, alike[0]))
        return tuple(found)


def explain(query: Query, entry: ListedEntry, names: Iterable[ListedName]) -> Hit | None:
    """The hit that a search gives for this entry, whatever its score, computed from these alone; None if it has no
    name. The index and its threshold take no part, so a hit that is on record can be computed again."""
    hits = [hit_of(query, entry, name) for name in names if name.entry == entry.entry]
    return min(hits, key=_rank, default=None)


def hit_of(query: Query, entry: ListedEntry, listed: ListedName) -> Hit:
    company = entry.subject not in _PEOPLE
    ours = prepared(query.name, company=company and query.subject != "person")
    name_score, aligned = align(ours, prepared(listed.name, company=company))
    adjusted = adjustments(query, entry, listed.kind)
    score = name_score * NAME_ALONE_AT_MOST // 100 + sum(each.points for each in adjusted)
    at_most = 100 if may_confirm(adjusted) else CONFIRMED_FROM - 1
    return Hit(entry.entry, listed.name, listed.kind, max(0, min(at_most, score)), name_score, aligned, adjusted)


def _rank(hit: Hit) -> tuple[int, int, int, str]:
    return -hit.score, hit.entry, _KINDS.index(hit.kind), hit.name
