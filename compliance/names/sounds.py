"""How a word may sound: the readings that fold spellings of one name together, and how alike two words are.

A letter that stands for several sounds (j, ch, c, x) gives a word several readings. A reading has a `fold`, in which
the standards of transliteration meet, and a `skeleton`, its consonants in coarse classes behind a first vowel.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice, product
from typing import Final

from rapidfuzz.distance import OSA, Levenshtein

from compliance.names.records import How
from compliance.names.vocabulary import PET_NAMES

ACCEPTED_FROM: Final = 66
_MOST_READINGS: Final = 6


@dataclass(frozen=True, slots=True)
class Sound:
    text: str
    also: frozenset[str]
    folds: tuple[str, ...]
    skeletons: tuple[str, ...]
    nicknames: frozenset[int]
    keys: frozenset[str]
    abjad: bool
    chinese: bool


# In the fold, X is sh, C is ch and ts, J is zh and the English j.
_ALWAYS: Final = [
    (re.compile(pattern), to)
    for pattern, to in [
        (r"schtsch|shch|chtch|sch?c?h?tch|stch", "X"),
        (r"tsch|tch|tsh", "C"),
        (r"sch|sh", "X"),
        (r"dzh|dsch|zh|dj|dz(?=[aeiou])", "J"),
        (r"ts|tz", "C"),
        (r"kh", "h"),
        (r"(?<=[oe])ff$|(?<=o)f$", "v"),
        (r"ph|ff", "f"),
        (r"th", "t"),
        (r"gh", "g"),
        (r"ck|q|kk", "k"),
        (r"(?<=..[oe])w$", "v"),
        (r"(?<=[aeiou])w(?=$|[^aeiou])", "u"),
        (r"^ou(?=[aei])|(?<=[^aeiou])ou(?=a)", "v"),
        (r"(?<=[ao])w(?=[ou])", ""),
        (r"w", "v"),
        (r"gi(?=[ao])|gy(?=[aeo])", "J"),
        (r"(?<=[aeiou])h$", ""),
    ]
]
# Q stands for ch: English and Spanish, German and Greek, French. The likeliest reading first.
_CHOICES: Final = {
    "Q": ("C", "h", "X"),
    "j": ("J", "y"),
    "x": ("ks", "h", "X"),
    "c": ("k", "C"),
    "eu": ("eu", "ev"),
    "au": ("au", "av"),
    "mp": ("mp", "b"),
    "dh": ("d", "z"),
    "ua": ("ua", "va"),
}
_ARTICLE: Final = re.compile(r"[ae](?:l|([dnrstz])(?=\1)|s(?=hsh))")
_OF_THE_FAITH: Final = re.compile(r"(?<=...)[aeou]*dd?[iey]+ne?$")
_SOFT_C: Final = re.compile(r"c(?=[eiy])")
_VOWEL_RUN: Final = re.compile(r"[aeiouy]+")
_DOUBLED: Final = re.compile(r"(.)\1+")
_FINAL_E: Final = re.compile(r"(?<=[^aeiouy])e$")
_COARSE: Final = str.maketrans({"f": "v", "b": "p", "z": "s", "X": "s", "C": "s", "J": "s", "d": "t", "g": "k"})
_CLASSES: Final = _COARSE | {ord(vowel): "" for vowel in "aeiouy"}


@lru_cache(maxsize=1 << 17)
def sound(text: str, *, abjad: bool = False, chinese: bool = False, also: tuple[str, ...] = ()) -> Sound:
    """The sound of a word that is in Latin letters by now. `also` are other spellings that it may stand for."""
    stems = [text]
    if len(text) >= 6:
        # An article written into the word (Alhamdani, Eddaouahiri), and "of the faith" behind it.
        stems += [text[2:]] if _ARTICLE.match(text) else []
        stems += [_OF_THE_FAITH.sub("", text)] if _OF_THE_FAITH.search(text) else []
    folds = _folds(stems, abjad=abjad)
    skeletons = dict.fromkeys(_skeleton(fold) for fold in (*folds, *_folds(list(also), abjad=False)))
    nicknames = frozenset(group for fold in folds for group in _pet_names().get(fold, ()))
    keys = _keys(skeletons, nicknames)
    return Sound(text, frozenset((text, *also)), folds, tuple(skeletons), nicknames, keys, abjad, chinese)


def _keys(skeletons: Iterable[str], nicknames: frozenset[int]) -> frozenset[str]:
    """What like words have in common: the skeleton of a reading, the skeleton less one sound (so that two that are a
    slip apart meet), or a name that both are short for. Words without a common key are not compared any further."""
    keys = set(skeletons)
    for skeleton in skeletons:
        if len(skeleton) >= 4:
            keys.update(skeleton[:at] + skeleton[at + 1 :] for at in range(len(skeleton)))
    keys.update(f"~{group}" for group in nicknames)
    return frozenset(keys)


@lru_cache(maxsize=1)
def _pet_names() -> dict[str, frozenset[int]]:
    found: dict[str, frozenset[int]] = {}
    for group, line in enumerate(PET_NAMES.strip().splitlines()):
        for name in line.split():
            fold = _readings(name, abjad=False)[0]
            if len(fold) > 2:
                found[fold] = found.get(fold, frozenset()) | {group}
    return found


def _folds(stems: list[str], *, abjad: bool) -> tuple[str, ...]:
    found = [reading for stem in stems for reading in _readings(stem, abjad=abjad)]
    return tuple(dict.fromkeys(reading or stems[0] for reading in found))


def _readings(text: str, *, abjad: bool) -> list[str]:
    if text.isdigit():
        return [text]
    if abjad:
        return _abjad_readings(text)
    plain = _SOFT_C.sub("s", _plain(text).replace("ch", "Q"))
    present = [letters for letters in _CHOICES if letters in plain]
    found: list[str] = []
    for chosen in islice(product(*(_CHOICES[letters] for letters in present)), _MOST_READINGS):
        reading = plain
        for letters, to in zip(present, chosen, strict=True):
            reading = reading.replace(letters, to)
        found.append(_vowels_folded(reading))
    return found


def _abjad_readings(text: str) -> list[str]:
    """A waw in the middle may be a vowel or a consonant, an h that ends the word may be no more than its vowel, and
    two letters may be one or two: zh is a zay and a ha in Zahrani."""
    text = text.replace("j", "J")
    apart = text.translate({ord("q"): "k"})
    forms = [_plain(text), _plain(text[:1] + text[1:].replace("w", "u"))]
    forms += [apart[:1] + apart[1:].replace("w", "u"), apart.replace("w", "v")]
    forms += [form[:-1] for form in forms if form.endswith("h") and len(form) > 2]
    return list(dict.fromkeys(_vowels_folded(form) for form in forms))


def _plain(text: str) -> str:
    for pattern, to in _ALWAYS:
        text = pattern.sub(to, text)
    return text


def _vowels_folded(text: str) -> str:
    text = _VOWEL_RUN.sub(lambda run: _vowel(run.group()), _FINAL_E.sub("", text))
    return _DOUBLED.sub(r"\1", text)


def _vowel(run: str) -> str:
    """One vowel of three for a run of them: what glides into another falls away, and so does the length."""
    last = run[-1]
    if run in {"ao", "au", "ou", "oo", "uo"} or last in "ou":
        return "u"
    return "i" if last in "iey" else "a"


def _skeleton(fold: str) -> str:
    first = "A" if fold[:1] in "aiu" else ""
    return first + _DOUBLED.sub(r"\1", fold.translate(_CLASSES))


def likeness(query: Sound, listed: Sound) -> tuple[int, How] | None:
    """How alike two words are, in hundredths, and in which way; None if they are different words."""
    if query.keys.isdisjoint(listed.keys):
        return None
    if query.text == listed.text:
        return 100, "exact"
    if not query.also.isdisjoint(listed.also):
        return 92, "transliterated"
    if query.chinese and listed.chinese:
        # Syllables are few, and each is somebody: Wang is no slip for Wan.
        return None
    if query.abjad or listed.abjad:
        return _by_consonants(query, listed)
    longest = max(len(query.text), len(listed.text))
    if not set(query.folds).isdisjoint(listed.folds):
        apart = Levenshtein.distance(query.text, listed.text)
        return 97 - min(8, 15 * apart // longest), "transliterated"
    if query.nicknames & listed.nicknames:
        return 90, "nickname"
    if longest <= 3:
        return None
    return _by_slips(query, listed, longest)


def _by_slips(query: Sound, listed: Sound, longest: int) -> tuple[int, How] | None:
    same = not set(query.skeletons).isdisjoint(listed.skeletons)
    length = min(longest, max(len(query.folds[0]), len(listed.folds[0])) + 1)
    sounds = max(len(query.folds[0]), len(listed.folds[0]))
    # Hasan and Husayn have their consonants in common, and are two names.
    most = (
        (1 if sounds <= 5 else 2 if sounds <= 7 else 3)
        if same
        else (0 if length < 5 else 1 if length < 7 else 2 if length < 10 else 3)
    )
    slips = OSA.distance(query.text, listed.text, score_cutoff=most)
    for one in query.folds[:2]:
        for other in listed.folds[:2]:
            slips = min(slips, OSA.distance(one, other, score_cutoff=most))
    if slips > most:
        return None
    best = 96 - (50 if same else 90) * slips // length
    if not same and query.text[0] != listed.text[0]:
        best -= 6
    return (best, "transliterated" if same else "typo") if best >= ACCEPTED_FROM else None


def _by_consonants(query: Sound, listed: Sound) -> tuple[int, How] | None:
    """One of the two has no short vowels: its letters have to come in the other's, in their order."""
    written, spoken = (query, listed) if query.abjad else (listed, query)
    if not set(written.skeletons).isdisjoint(spoken.skeletons):
        shape = len(written.skeletons[0])
        if any(
            _within(_consonants_coarse(one), _consonants_coarse(other))
            for one in written.folds
            for other in spoken.folds
        ):
            return (94 if shape > 2 else 88 if shape > 1 else 80), "transliterated"
        return (80, "transliterated") if shape > 3 else None
    shortest = min(len(query.skeletons[0]), len(listed.skeletons[0]))
    if shortest >= 4 and any(OSA.distance(one, other) == 1 for one in query.skeletons for other in listed.skeletons):
        return 78, "typo"
    return None


def _consonants_coarse(fold: str) -> str:
    """A fold with its consonants in their classes; a vowel that begins it says nothing, it may be any."""
    return (fold[1:] if fold[:1] in "aiu" else fold).translate(_COARSE)


def _within(short: str, long: str) -> bool:
    letters = iter(long)
    return all(letter in letters for letter in short)
