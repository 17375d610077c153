"""What two names have in common before they are compared: numbers that a database can look up for a million people.

A search in an index (index.py) finds a listed name for a person where at least two words of his meet words of it, by a
key of their sounds; where his name is one word, that one. So a name's tokens are the pairs of keys of two of its words,
and the keys alone where one word is enough. Whoever is found in an index that has a name shares a token with that
name; most others do not. What shares a token is searched for in full, so nothing but time depends on them.
"""

from collections.abc import Iterable
from itertools import combinations, combinations_with_replacement, pairwise
from typing import Final
from zlib import crc32

from compliance.names.words import Word, words_of

#: Which tokens these are. Tokens of two makings say nothing about each other, so whatever changes those of any name
#: raises this (a test compares), and names that were kept with older ones are made ready again.
TOKENS_MAKING: Final = 1
#: Of a name that nobody bears: it would have so many tokens that to keep them is work for minutes. It is compared with
#: whatever is looked up. A person of eight words has some two thousand.
ANYBODY: Final = 0
_MOST_TOKENS: Final = 4_000


def tokens_of_person(name: str) -> list[int]:
    """For whom one looks. In order; 32 bits with a sign, as the database keeps them."""
    words = words_of(name, company=False)
    keys = [(_query_keys(words, at), word.servant) for at, word in enumerate(words) if not word.initial]
    # As in the index: what the servant's name says is as much as two words.
    enough_alone = len(keys) == 1
    if sum(len(one) * len(other) for (one, _), (other, _) in combinations(keys, 2)) > _MOST_TOKENS:
        return [ANYBODY]
    found = {_alone(key) for of_word, servant in keys if servant or enough_alone for key in of_word}
    for (one, _), (other, _) in combinations(keys, 2):
        found.update(_pair(key, with_) for key in one for with_ in other)
    return sorted(found)


def tokens_of_listed(name: str) -> set[int]:
    """A person's name on a list, or the name of an entry that may be a person; `ANYBODY` is among them."""
    words = words_of(name, company=False)
    keys: set[str] = set()
    for word in words:
        if not word.initial:
            keys |= word.sound().keys
    for one, two in pairwise(words):
        if not one.initial:
            keys.update(one.with_next(two).sound().skeletons)
    found = {ANYBODY} | {_alone(key) for key in keys}
    # Also of one key with itself: what is two words here may be one there.
    found.update(_pair(one, other) for one, other in combinations_with_replacement(sorted(keys), 2))
    return found


def _query_keys(words: tuple[Word, ...], at: int) -> frozenset[str]:
    """Those by which the index finds words like the one at `at`, alone or written together with a neighbour."""
    joined: list[Word] = []
    if at and not words[at - 1].initial:
        joined.append(words[at - 1].with_next(words[at]))
    if at + 1 < len(words) and not words[at + 1].initial:
        joined.append(words[at].with_next(words[at + 1]))
    return words[at].sound().keys.union(*(_skeletons(joined)))


def _skeletons(words: Iterable[Word]) -> Iterable[tuple[str, ...]]:
    return (word.sound().skeletons for word in words)


def _alone(key: str) -> int:
    return _number(key)


def _pair(one: str, other: str) -> int:
    return _number(f"{one} {other}" if one <= other else f"{other} {one}")


def _number(text: str) -> int:
    # Two that share a number by chance are compared once in vain.
    number = crc32(text.encode())
    return number - (1 << 32) if number >= 1 << 31 else number
