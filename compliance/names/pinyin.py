"""Chinese syllables as Wade and Giles wrote them, and the pinyin they may stand for."""

import re
from functools import lru_cache
from typing import Final

_FINALS: Final = {
    "b": "a o ai ei ao an en ang eng i ie iao ian in ing u",
    "p": "a o ai ei ao ou an en ang eng i ie iao ian in ing u",
    "m": "a o e ai ei ao ou an en ang eng i ie iao iu ian in ing u",
    "f": "a o ei ou an en ang eng u",
    "d": "a e ai ei ao ou an en ang eng ong i ie iao iu ian ing u uo ui uan un",
    "t": "a e ai ao ou an ang eng ong i ie iao ian ing u uo ui uan un",
    "n": "a e ai ei ao ou an en ang eng ong i ie iao iu ian in iang ing u uo uan",
    "l": "a e ai ei ao ou an ang eng ong i ia ie iao iu ian in iang ing u uo uan un",
    "g": "a e ai ei ao ou an en ang eng ong u ua uo uai ui uan un uang",
    "k": "a e ai ao ou an en ang eng ong u ua uo uai ui uan un uang",
    "h": "a e ai ei ao ou an en ang eng ong u ua uo uai ui uan un uang",
    "j": "i ia ie iao iu ian in iang ing iong u ue uan un",
    "q": "i ia ie iao iu ian in iang ing iong u ue uan un",
    "x": "i ia ie iao iu ian in iang ing iong u ue uan un",
    "zh": "a e i ai ao ou an en ang eng ong u ua uo uai ui uan un uang",
    "ch": "a e i ai ao ou an en ang eng ong u ua uo uai ui uan un uang",
    "sh": "a e i ai ei ao ou an en ang eng u ua uo uai ui uan un uang",
    "r": "e i ao ou an en ang eng ong u uo ui uan un",
    "z": "a e i ai ei ao ou an en ang eng ong u uo ui uan un",
    "c": "a e i ai ao ou an en ang eng ong u uo ui uan un",
    "s": "a e i ai ao ou an en ang eng ong u uo ui uan un",
    "": "a e ai ao ou an en ang er yi ya ye yao you yan yin yang ying yong yu yue yuan yun "
    "wu wa wo wai wei wan wen wang weng",
}
# Without the apostrophe that few people write, what is aspirated looks like what is not.
_INITIALS: Final = {
    "b": "p", "d": "t", "g": "k", "j": "ch", "q": "ch", "zh": "ch", "z": "ts", "c": "ts", "x": "hs", "r": "j",
}  # fmt: skip
_WHOLE: Final = {
    "zi": "tzu", "ci": "tzu", "si": "ssu", "zhi": "chih", "chi": "chih", "shi": "shih", "ri": "jih", "er": "erh",
    "yi": "i", "you": "yu", "yan": "yen", "ye": "yeh", "yue": "yueh", "yong": "yung", "ge": "ko", "ke": "ko",
    "he": "ho", "gui": "kuei", "kui": "kuei",
}  # fmt: skip


def _wade(initial: str, final: str) -> str:
    whole = _WHOLE.get(initial + final)
    if whole is not None:
        return whole
    if final.endswith("ong"):
        final = final[:-3] + "ung"
    if final == "uo" and initial not in {"g", "k", "h", "sh"}:
        final = "o"
    final = {"ian": "ien", "ie": "ieh", "ue": "ueh"}.get(final, final)
    return _INITIALS.get(initial, initial) + final


SYLLABLES: Final = frozenset(initial + final for initial, finals in _FINALS.items() for final in finals.split())
WADE_GILES: Final[dict[str, tuple[str, ...]]] = {}
for _initial, _finals in _FINALS.items():
    for _final in _finals.split():
        _key = _wade(_initial, _final)
        WADE_GILES[_key] = (*WADE_GILES.get(_key, ()), _initial + _final)
_SYLLABLES: Final = re.compile("(?:" + "|".join(sorted(SYLLABLES | set(WADE_GILES), key=len, reverse=True)) + "){1,3}")


@lru_cache(maxsize=1 << 16)
def is_pinyin(word: str) -> bool:
    """Whether a word can be read as up to three Chinese syllables, in pinyin or as Wade and Giles wrote them."""
    return len(word) <= 18 and _SYLLABLES.fullmatch(word) is not None
