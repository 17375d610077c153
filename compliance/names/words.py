"""A name as the words that count: normalised, in Latin letters, without titles, particles and forms of companies."""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice, product
from typing import Final

from compliance.names.pinyin import WADE_GILES, is_pinyin
from compliance.names.scripts import is_abjad, latin
from compliance.names.sounds import Sound, sound
from compliance.names.vocabulary import COMPANY_FORMS, PARTICLES, SHORT_FORMS, SUN_ARTICLES, TITLES

# What bounds the work that one name can ask for. The longest name on the lists of OFAC and the UN has 150 letters.
LONGEST_NAME: Final = 300
LONGEST_WORD: Final = 40
MOST_WORDS: Final = 12

_APOSTROPHES: Final = dict.fromkeys(map(ord, "'’‘‛`´ʼʻʽʿʾʹʺˈ′″"))
_PATRONYMIC: Final = re.compile(r"(il|m|k)(y?i)ch$|(v|w)(i|y)(ch|c|tch|tsch)$|(v|w|ch|sh)na$|ovych$|ivna$")
# Initials of Cyrillic letters that Latin spells with two: Yu. A. Petrov.
_LONG_INITIAL: Final = re.compile(r"(?<!\w)([A-Z])(?:u|a|e|o|h|s|hch|yu|ya)(?=\.)")
# An organisation's letters behind its name: LORD'S RESISTANCE ARMY (LRA).
_ABBREVIATION: Final = re.compile(r"(?<=\S )\([A-Z0-9/.& -]{2,8}\)")
# Servant of the Merciful, of the Mighty…: one name in two words or three, in a dozen spellings.
_SERVANT: Final = re.compile(r"^abd[aeiou]?(?:l|([rsztdn])(?=\1)|sh(?=sh))(?=.{2})")
_SERVANT_ALONE: Final = frozenset("abd abdul abdel abdal abdol abdu abdur abder abdus".split())


@dataclass(frozen=True, slots=True)
class Word:
    """`text` in Latin letters; `also`: other spellings that it may stand for; an initial is a word of one letter."""

    text: str
    abjad: bool = False
    also: tuple[str, ...] = ()
    chinese: bool = False

    @property
    def initial(self) -> bool:
        return len(self.text) == 1 and not self.text.isdigit()

    @property
    def servant(self) -> bool:
        return self.text.startswith("abdul") and len(self.text) >= 8

    @property
    def patronymic(self) -> bool:
        return len(self.text) >= 5 and _PATRONYMIC.search(self.text) is not None

    def sound(self) -> Sound:
        return sound(self.text, abjad=self.abjad, chinese=self.chinese, also=self.also)

    def with_next(self, other: "Word") -> "Word":
        """Both written as one."""
        also: tuple[str, ...] = ()
        if self.also or other.also:
            pairs = product((self.text, *self.also), (other.text, *other.also))
            also = tuple(islice((one + two for one, two in pairs), 1, 7))
        return Word(self.text + other.text, self.abjad or other.abjad, also, self.chinese and other.chinese)


@lru_cache(maxsize=1 << 16)
def words_of(name: str, *, company: bool) -> tuple[Word, ...]:
    """The words of a name that count, in its order. `company`: forms such as Ltd do not count, and letters that stand
    alone are one word (S.A.), not initials."""
    found = _raw_words(name)
    if company:
        found = _letters_joined(found)
        found = [Word(SHORT_FORMS.get(word.text, word.text), word.abjad) for word in found]
        kept = [word for word in found if word.text not in COMPANY_FORMS and word.text not in PARTICLES]
        return tuple((kept or found)[:MOST_WORDS])
    found = [word for word in found if word.text not in TITLES] or found
    if 2 <= len(found) <= 5 and all(is_pinyin(word.text) for word in found):
        # Before particles are dropped: De and La are syllables of Chinese names.
        return tuple(_with_readings(word) for word in found)
    found = _servants_joined(found)
    return tuple((_particles_dropped(found) or found)[:MOST_WORDS])


def _particles_dropped(found: list[Word]) -> list[Word]:
    """The words without particles; with the word behind them they may be one (van der Merwe, Vandermerwe)."""
    kept: list[Word] = []
    before = ""
    for at, word in enumerate(found):
        if word.text in PARTICLES or _is_sun_article(found, at):
            before += word.text
        else:
            kept.append(Word(word.text, word.abjad, (before + word.text,)) if before and not word.initial else word)
            before = ""
    return kept


def _raw_words(name: str) -> list[Word]:
    name = _LONG_INITIAL.sub(lambda letters: letters.group(1), name[:LONGEST_NAME])
    name = _ABBREVIATION.sub(" ", name) or name
    text = unicodedata.normalize("NFKC", name[:LONGEST_NAME]).casefold().translate(_APOSTROPHES)
    text = unicodedata.normalize("NFC", text[: 2 * LONGEST_NAME])
    parts = "".join(
        c if c.isalnum() or unicodedata.combining(c) else "" if unicodedata.category(c) == "Cf" else " " for c in text
    )
    found: list[Word] = []
    for part in parts.split():
        abjad = is_abjad(part)
        stem = part[2:] if abjad and part.startswith("ال") and len(part) > 4 else part
        plain = latin(stem)
        if len(part) == 1 and not plain.startswith(" "):
            plain = plain[:1]  # an initial stays one, whatever letters spell it
        found.extend(Word(each[:LONGEST_WORD], abjad) for each in plain.split())
    return found


def _servants_joined(found: list[Word]) -> list[Word]:
    out: list[Word] = []
    at = 0
    while at < len(found):
        word = found[at]
        at += 1
        if word.text in _SERVANT_ALONE and at < len(found):
            if found[at].text in PARTICLES | SUN_ARTICLES and at + 1 < len(found):
                at += 1
            rest = found[at].text
            at += 1
            rest = rest[2:] if rest in {"allah", "ullah", "allh"} else rest
            out.append(_servant(rest[:LONGEST_WORD], word.abjad))
        elif (start := _SERVANT.match(word.text)) is not None:
            out.append(_servant(word.text[start.end() :], word.abjad))
        else:
            out.append(word)
    return out


def _servant(of: str, abjad: bool) -> Word:
    """Some leave the servant out and are called by the rest of the name."""
    return Word(f"abdul{of}", abjad, (of,) if len(of) > 3 else ())


def _letters_joined(found: list[Word]) -> list[Word]:
    out: list[Word] = []
    run = ""
    for word in [*found, Word("")]:
        if len(word.text) == 1:
            run += word.text
            continue
        if run:
            out.extend(Word(part) for part in re.split(r"(?<=sa)(?=decv)", run) if part != "decv")
            run = ""
        if word.text:
            out.append(word)
    return out


def _is_sun_article(found: list[Word], at: int) -> bool:
    article = found[at].text
    return article in SUN_ARTICLES and at + 1 < len(found) and found[at + 1].text.startswith(article[1:])


def _with_readings(word: Word) -> Word:
    """A word of a name that can be Chinese as a whole: Wade and Giles may have meant another syllable in pinyin."""
    others = tuple(each for each in WADE_GILES.get(word.text, ()) if each != word.text)
    return Word(word.text, also=others, chinese=True)
