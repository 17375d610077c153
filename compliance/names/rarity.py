"""How much a word says about who is meant: a rare one much, a common one little.

The figures come from a committed table and not from the list that is searched, so that a score depends on the query
and the entry alone: it can be computed again later, and does not move when others enter the list.
"""

from functools import lru_cache
from importlib.resources import files
from math import log
from typing import Final

from compliance.names.sounds import sound
from compliance.names.words import Word

_COMMONEST: Final = 400.0
_LEAST: Final = 0.3
_PATRONYMIC: Final = 0.35


@lru_cache(maxsize=1)
def _counts() -> dict[str, int]:
    lines = files("compliance.names").joinpath("common_words.csv").read_text(encoding="utf-8").splitlines()
    return {fold: int(count) for fold, _, count in (line.partition(",") for line in lines[1:])}


@lru_cache(maxsize=1 << 17)
def _weight(text: str, abjad: bool) -> float:
    counts = _counts()
    folds = sound(text, abjad=abjad).folds
    count = max(counts.get(fold, 1) for fold in folds) if not abjad else 3
    return _LEAST + (1 - _LEAST) * (1 - min(1.0, log(count) / log(_COMMONEST)))


def weight(word: Word) -> float:
    """Between 0.3 and 1. Of an initial it is little: a letter is shared by a tenth of mankind."""
    if word.initial:
        return 0.1
    return _weight(word.text, word.abjad)


def missing_weight(word: Word) -> float:
    """What it takes away that a word has no partner: a patronymic is often left out."""
    return weight(word) * (_PATRONYMIC if word.patronymic else 1.0)
