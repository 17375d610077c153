"""Words of the query beside words of a listed name, whatever their order, and the score that comes of it."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Final

from compliance.names.rarity import missing_weight, weight
from compliance.names.records import Aligned, How
from compliance.names.sounds import Sound, likeness
from compliance.names.words import Word, words_of

# Fitted to the tuning part of the labelled names; docs/names.md says how. A word without a partner costs little where
# the other side has none left either (a middle name left out), and much where it has: then the names contradict.
QUERY_MISSING: Final = 0.09
LISTED_MISSING: Final = 0.04
CONTRADICTION: Final = 2.33
# Where words are missing, those that agree have to say this much together, as two rare words do.
ENOUGH_SAID: Final = 1.85
TOO_LITTLE_SAID: Final = 0.53
UNLIKENESS: Final = 1.44
INITIAL_WEIGHT: Final = 0.3
ONE_WORD_AT_MOST: Final = 70
ALONE_FROM: Final = 0.65  # a word that says less, with nothing but initials beside it, is anybody
# Two words are one elsewhere only where they agree almost letter by letter.
JOINED_FROM: Final = 88

Span = tuple[int, int]  # of words: from, up to


@dataclass(frozen=True, slots=True)
class _Part:
    """A word, or two neighbours written as one."""

    span: Span
    word: Word
    sound: Sound
    weight: float
    joined: bool
    initial: bool


@dataclass(frozen=True, slots=True)
class Prepared:
    """A name, ready to be aligned with many others."""

    words: tuple[Word, ...]
    parts: tuple[_Part, ...]


@dataclass(frozen=True, slots=True)
class _Pair:
    gain: float
    query: Span
    listed: Span
    score: int
    how: How


@lru_cache(maxsize=1 << 15)
def prepared(name: str, *, company: bool) -> Prepared:
    words = words_of(name, company=company)
    parts = [
        _Part((at, at + 1), word, word.sound(), weight(word), False, word.initial) for at, word in enumerate(words)
    ]
    for at, (word, following) in enumerate(pairwise(words)):
        if not word.initial and not following.initial:
            both = word.with_next(following)
            parts.append(_Part((at, at + 2), both, both.sound(), weight(word) + weight(following), True, False))
    return Prepared(words, tuple(parts))


def _alike(query: _Part, listed: _Part) -> tuple[int, How] | None:
    if not query.initial and not listed.initial:
        return likeness(query.sound, listed.sound)
    if query.word.text == listed.word.text:
        return 100, "exact"
    one, other = (query, listed) if query.initial else (listed, query)
    if other.joined:
        return None
    sounds = one.sound.folds
    starts = other.word.text.startswith(one.word.text) or any(fold.startswith(sounds) for fold in other.sound.folds)
    return (80, "initial") if starts else None


def align(query: Prepared, listed: Prepared) -> tuple[int, tuple[Aligned, ...]]:
    """The score of two names in hundredths, and the words that were taken for each other."""
    chosen = _chosen(query, listed)
    aligned = tuple(
        Aligned(_text(query.words, pair.query), _text(listed.words, pair.listed), pair.score, pair.how)
        for pair in sorted(chosen, key=lambda pair: pair.query)
    )
    return _score(query.words, listed.words, chosen), aligned


def _score(query: tuple[Word, ...], listed: tuple[Word, ...], chosen: list[_Pair]) -> int:
    whole = [pair for pair in chosen if pair.how != "initial"]
    if not whole:
        return 0
    said = alike = initials = 0.0
    for pair in chosen:
        ours, theirs = query[slice(*pair.query)], listed[slice(*pair.listed)]
        if pair.how == "initial":
            initials += INITIAL_WEIGHT * max(_missing(ours), _missing(theirs))
        else:
            both = min(_weight(ours), _weight(theirs))
            said += both
            alike += both * (100 - UNLIKENESS * (100 - pair.score))
    left_query = _missing(_left(query, [pair.query for pair in chosen]))
    left_listed = _missing(_left(listed, [pair.listed for pair in chosen]))
    total = said + initials + QUERY_MISSING * left_query + LISTED_MISSING * left_listed
    total += CONTRADICTION * min(left_query, left_listed)
    if left_query or left_listed:
        total += TOO_LITTLE_SAID * max(0.0, ENOUGH_SAID - said)
    score = max(0, round((alike + 80 * initials) / total))
    unsaid = left_query or left_listed or (len(chosen) > 1 and said < ALONE_FROM)
    return min(score, ONE_WORD_AT_MOST) if unsaid and _one_word(query, listed, whole) else score


def _one_word(query: tuple[Word, ...], listed: tuple[Word, ...], whole: list[_Pair]) -> bool:
    """Whether no more than one word agrees; what one side writes as two words is two, and so is a servant's name."""
    words = [*query[slice(*whole[0].query)], *listed[slice(*whole[0].listed)]]
    return len(whole) == 1 and len(words) == 2 and not (words[0].servant and words[1].servant)


def _text(words: tuple[Word, ...], span: Span) -> str:
    return " ".join(word.text for word in words[slice(*span)])


def _left(words: tuple[Word, ...], spans: list[Span]) -> tuple[Word, ...]:
    taken = {at for span in spans for at in range(*span)}
    return tuple(word for at, word in enumerate(words) if at not in taken)


def _weight(words: tuple[Word, ...]) -> float:
    return sum(weight(word) for word in words)


def _missing(words: tuple[Word, ...]) -> float:
    return sum(missing_weight(word) for word in words)


def _chosen(query: Prepared, listed: Prepared) -> list[_Pair]:
    """Greedily the pairs that say most, each word once."""
    pairs: list[_Pair] = []
    for ours in query.parts:
        for theirs in listed.parts:
            joined = ours.joined or theirs.joined
            if not (ours.initial or theirs.initial) and ours.sound.keys.isdisjoint(theirs.sound.keys):
                continue
            if ours.joined and theirs.joined:
                continue
            found = _alike(ours, theirs)
            if found is not None and (found[0] >= JOINED_FROM or not joined):
                score, how = found
                pairs.append(_Pair(score * min(ours.weight, theirs.weight), ours.span, theirs.span, score, how))
    pairs.sort(key=lambda pair: (-pair.gain, pair.query, pair.listed))
    chosen: list[_Pair] = []
    used_query: set[int] = set()
    used_listed: set[int] = set()
    for pair in pairs:
        query_words, listed_words = set(range(*pair.query)), set(range(*pair.listed))
        if query_words.isdisjoint(used_query) and listed_words.isdisjoint(used_listed):
            chosen.append(pair)
            used_query |= query_words
            used_listed |= listed_words
    return chosen
