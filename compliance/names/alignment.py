"""Words of the query beside words of a listed name, whatever their order, and the score that comes of it."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from compliance.names.rarity import missing_weight, weight
from compliance.names.records import Aligned, How
from compliance.names.sounds import likeness
from compliance.names.words import Word

# Fitted to the tuning part of the labelled names; docs/names.md says how.
QUERY_MISSING: Final = 0.8
LISTED_MISSING: Final = 0.3
CONTRADICTION: Final = 0.4
INITIAL_WEIGHT: Final = 0.35
ONE_WORD_AT_MOST: Final = 70
ALONE_FROM: Final = 0.65  # a word that says less, with nothing but initials beside it, is anybody
# Two words are one elsewhere only where they agree almost letter by letter.
JOINED_FROM: Final = 88

Span = tuple[int, int]  # of words: from, up to


@dataclass(frozen=True, slots=True)
class _Pair:
    gain: float
    query: Span
    listed: Span
    score: int
    how: How


@lru_cache(maxsize=1 << 16)
def _alike(query: Word, listed: Word) -> tuple[int, How] | None:
    if query.initial or listed.initial:
        if query.text == listed.text:
            return 100, "exact"
        one, other = (query, listed) if query.initial else (listed, query)
        starts = one.text == other.text[:1] or any(one.text == fold[:1] for fold in other.sound().folds)
        return (80, "initial") if starts else None
    return likeness(query.sound(), listed.sound())


def _spans(words: tuple[Word, ...]) -> list[tuple[Span, Word]]:
    singles = [((at, at + 1), word) for at, word in enumerate(words)]
    joined = [
        ((at, at + 2), words[at].with_next(words[at + 1]))
        for at in range(len(words) - 1)
        if not words[at].initial and not words[at + 1].initial
    ]
    return singles + joined


def align(query: tuple[Word, ...], listed: tuple[Word, ...]) -> tuple[int, tuple[Aligned, ...]]:
    """The score of two names in hundredths, and the words that were taken for each other."""
    chosen = _chosen(query, listed)
    taken_query = {at for pair in chosen for at in range(*pair.query)}
    taken_listed = {at for pair in chosen for at in range(*pair.listed)}
    matched = alike = 0.0
    for pair in chosen:
        theirs = min(
            sum(weight(word) for word in query[slice(*pair.query)]),
            sum(weight(word) for word in listed[slice(*pair.listed)]),
        )
        if pair.how == "initial":
            theirs = INITIAL_WEIGHT * max(
                sum(missing_weight(word) for word in query[slice(*pair.query)]),
                sum(missing_weight(word) for word in listed[slice(*pair.listed)]),
            )
        matched += theirs
        alike += theirs * pair.score
    left_query = sum(missing_weight(word) for at, word in enumerate(query) if at not in taken_query)
    left_listed = sum(missing_weight(word) for at, word in enumerate(listed) if at not in taken_listed)
    against = QUERY_MISSING * left_query + LISTED_MISSING * left_listed + CONTRADICTION * min(left_query, left_listed)
    score = round(alike / (matched + against)) if chosen else 0
    whole = [pair for pair in chosen if pair.how != "initial"]
    words = max((max(pair.query[1] - pair.query[0], pair.listed[1] - pair.listed[0]) for pair in whole), default=0)
    unsaid = left_query or left_listed or (len(chosen) > 1 and matched < ALONE_FROM)
    lone = len(whole) == 1 and words == 1 and unsaid
    if lone or not whole:
        score = min(score, ONE_WORD_AT_MOST)
    aligned = tuple(
        Aligned(
            " ".join(word.text for word in query[slice(*pair.query)]),
            " ".join(word.text for word in listed[slice(*pair.listed)]),
            pair.score,
            pair.how,
        )
        for pair in sorted(chosen, key=lambda pair: pair.query)
    )
    return score, aligned


def _chosen(query: tuple[Word, ...], listed: tuple[Word, ...]) -> list[_Pair]:
    """Greedily the pairs that say most, each word once."""
    pairs: list[_Pair] = []
    listed_spans = _spans(listed)
    for span, word in _spans(query):
        wide = span[1] - span[0] > 1
        for other_span, other in listed_spans:
            if wide and other_span[1] - other_span[0] > 1:
                continue
            found = _alike(word, other)
            joined = wide or other_span[1] - other_span[0] > 1
            if found is not None and (found[0] >= JOINED_FROM or not joined):
                score, how = found
                said = min(
                    sum(weight(each) for each in query[slice(*span)]),
                    sum(weight(each) for each in listed[slice(*other_span)]),
                )
                pairs.append(_Pair(score * said, span, other_span, score, how))
    pairs.sort(key=lambda pair: (-pair.gain, pair.query, pair.listed))
    chosen: list[_Pair] = []
    used_query: set[int] = set()
    used_listed: set[int] = set()
    for pair in pairs:
        ours, theirs = set(range(*pair.query)), set(range(*pair.listed))
        if ours.isdisjoint(used_query) and theirs.isdisjoint(used_listed):
            chosen.append(pair)
            used_query |= ours
            used_listed |= theirs
    return chosen
