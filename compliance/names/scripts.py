"""Letters of other scripts as Latin ones. Cyrillic, Greek and Arabic by tables of our own, the rest by anyascii.

The Latin that comes out is no standard: it is what `sounds` folds alike, whichever standard the other side was
written in.
"""

import unicodedata
from typing import Final

from anyascii import anyascii

_CYRILLIC: Final = dict(
    zip(
        "абвгдеёжзийклмнопрстуфхцчшщъыьэюяіїєґўћђџљњјѓќѕәғқңөұүһ",
        "a b v g d e yo zh z i y k l m n o p r s t u f kh ts ch sh shch  y  e yu ya i yi ye g u ch dj dzh l n y g k z "
        "a g k n o u u h".split(" "),
        strict=True,
    )
)
_GREEK: Final = dict(
    zip("αβγδεζηθικλμνξοπρσςτυφχψω", "a v g d e z i th i k l m n x o p r s s t i f kh ps o".split(" "), strict=True)
)
_GREEK_PAIRS: Final = {"ου": "u", "αυ": "av", "ευ": "ev", "γγ": "ng", "γχ": "nkh", "γξ": "nx", "αι": "e"}
# Before vowels are dropped, a word of Arabic script has no short ones: `words` marks it, and it is compared by its
# consonants. Long vowels are written so that they fall away with the others.
_ARABIC: Final = {
    "ا": "a", "أ": "a", "إ": "i", "آ": "a", "ٱ": "a", "ء": "", "ؤ": "o", "ئ": "i", "ب": "b", "ت": "t", "ث": "th",
    "ج": "j", "ح": "h", "خ": "kh", "د": "d", "ذ": "dh", "ر": "r", "ز": "z", "س": "s", "ش": "sh", "ص": "s", "ض": "d",
    "ط": "t", "ظ": "z", "ع": "a", "غ": "gh", "ف": "f", "ق": "q", "ك": "k", "ل": "l", "م": "m", "ن": "n", "ه": "h",
    "و": "w", "ي": "y", "ى": "a", "ة": "a", "پ": "p", "چ": "ch", "ژ": "zh", "گ": "g", "ک": "k", "ی": "y", "ہ": "h",
    "ٹ": "t", "ڈ": "d", "ڑ": "r", "ں": "n", "ے": "e", "ۀ": "h", "ھ": "h", "ـ": "",
}  # fmt: skip
# Latin letters whose mark says how they sound; any other mark is dropped.
_LATIN: Final = {
    "š": "sh", "ş": "sh", "ș": "sh", "č": "ch", "ć": "ch", "ž": "zh", "ŝ": "shch", "đ": "dj", "ð": "d", "þ": "th",
    "ß": "ss", "ø": "o", "ł": "l", "ı": "i", "æ": "ae", "œ": "oe", "ě": "e", "ř": "r", "ň": "n", "ḫ": "kh", "ḵ": "kh",
    "ṯ": "th", "ḏ": "dh", "ǧ": "j", "ġ": "gh", "ẖ": "kh",
}  # fmt: skip


def latin(text: str) -> str:
    """`text` (composed, lower case) in the letters a to z, digits and spaces; what is no letter becomes a space."""
    out: list[str] = []
    at = 0
    while at < len(text):
        pair = _GREEK_PAIRS.get(_bare(text[at : at + 2])) if "\u0370" <= text[at] <= "\u1fff" else None
        if pair is not None:
            out.append(pair)
            at += 2
            continue
        out.append(_letter(text[at]))
        at += 1
    return "".join(out)


def is_abjad(word: str) -> bool:
    """Whether a word is of a script that leaves its short vowels out."""
    return any("\u0590" <= letter <= "\u07bf" or "\ufb1d" <= letter <= "\ufefc" for letter in word)


def _bare(text: str) -> str:
    """Greek without its accents; but a diaeresis parts two vowels, so it stays."""
    return "".join(c for c in unicodedata.normalize("NFD", text) if c not in "\u0301\u0342\u0300\u0313\u0314\u0345")


def _letter(letter: str) -> str:
    if "a" <= letter <= "z" or "0" <= letter <= "9":
        return letter
    for table in (_LATIN, _CYRILLIC, _ARABIC):
        if letter in table:
            return table[letter]
    base = unicodedata.normalize("NFKD", letter)[:1]
    if "a" <= base <= "z" or "0" <= base <= "9":
        return base
    if base in _GREEK or base in _CYRILLIC:
        return _GREEK.get(base) or _CYRILLIC[base]
    if unicodedata.combining(letter) or unicodedata.category(letter) in {"Mn", "Me", "Cf"}:
        return ""
    if not letter.isalnum():
        return " "
    plain = "".join(c for c in anyascii(letter).lower() if c.isascii() and c.isalnum())
    # A Han character is a syllable, and in names a word of its own.
    return f" {plain} " if "\u2e80" <= letter <= "\u9fff" or "\uac00" <= letter <= "\ud7a3" else plain
