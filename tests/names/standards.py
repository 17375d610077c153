"""The transliteration standards that the labelled names are written in: letter tables, as the standards give them.

They make data, and the matcher knows nothing of them: what it does with a standard has to come from its own rules.
"""

_CYRILLIC = "абвгдеёжзийклмнопрстуфхцчшщъыьэюя"


def _table(latin: str) -> dict[str, str]:
    return dict(zip(_CYRILLIC, latin.split(","), strict=True))


# The tuning part: what lists and passports use.
BGN = _table("a,b,v,g,d,e,e,zh,z,i,y,k,l,m,n,o,p,r,s,t,u,f,kh,ts,ch,sh,shch,,y,,e,yu,ya")
ICAO = _table("a,b,v,g,d,e,e,zh,z,i,i,k,l,m,n,o,p,r,s,t,u,f,kh,ts,ch,sh,shch,ie,y,,e,iu,ia")
# The held-out part: what libraries, newspapers and registry offices elsewhere use.
ISO9 = _table("a,b,v,g,d,e,ë,ž,z,i,j,k,l,m,n,o,p,r,s,t,u,f,h,c,č,š,ŝ,,y,ʹ,è,û,â")
SCHOLARLY = _table("a,b,v,g,d,e,ë,ž,z,i,j,k,l,m,n,o,p,r,s,t,u,f,x,c,č,š,šč,,y,',è,ju,ja")
GERMAN = _table("a,b,w,g,d,e,jo,sch,s,i,i,k,l,m,n,o,p,r,s,t,u,f,ch,z,tsch,sch,schtsch,,y,,e,ju,ja")
FRENCH = _table("a,b,v,g,d,e,io,j,z,i,ï,k,l,m,n,o,p,r,s,t,ou,f,kh,ts,tch,ch,chtch,,y,,e,iou,ia")

_GREEK = "αβγδεζηθικλμνξοπρσςτυφχψωάέήίόύώϊϋ"


def _greek(latin: str) -> dict[str, str]:
    return dict(zip(_GREEK, latin.split(","), strict=True))


ELOT = _greek("a,v,g,d,e,z,i,th,i,k,l,m,n,x,o,p,r,s,s,t,y,f,ch,ps,o,a,e,i,i,o,y,o,i,y")
ISO843 = _greek("a,v,g,d,e,z,ī,th,i,k,l,m,n,x,o,p,r,s,s,t,y,f,ch,ps,ō,á,é,ī́,í,ó,ý,ṓ,ï,ÿ")
BETA = _greek("a,b,g,d,e,z,h,th,i,k,l,m,n,x,o,p,r,s,s,t,u,ph,kh,ps,o,a,e,h,i,o,u,o,i,u")

_DIGRAPHS = {
    "elot": {"ου": "ou", "ού": "ou", "αυ": "av", "ευ": "ev", "γγ": "ng", "γχ": "nch", "γκ": "gk", "μπ": "mp"},
    "iso": {"ου": "ou", "ού": "oú", "αυ": "au", "ευ": "eu"},
    "beta": {"ου": "ou", "ού": "ou", "αυ": "au", "ευ": "eu"},
}


def cyrillic(text: str, standard: dict[str, str]) -> str:
    out: list[str] = []
    low = text.lower()
    for at, letter in enumerate(low):
        latin = standard.get(letter, letter)
        before = low[at - 1] if at else " "
        opens = not before.isalpha() or before in "аеёиоуыэюяъь"
        if standard is BGN and letter == "е" and opens:
            latin = "ye"
        if standard is BGN and letter == "ё":
            latin = "yo" if opens else "e"
        if standard is GERMAN and letter == "е" and opens:
            latin = "je"
        if standard is GERMAN and letter == "с" and at and opens and low[at + 1 : at + 2] in set("аеёиоуыэюя"):
            latin = "ss"
        if standard is FRENCH and letter == "е" and opens and not before.isalpha():
            latin = "ie"
        out.append(latin)
    return _capitals("".join(out))


def greek(text: str, name: str) -> str:
    letters = {"elot": ELOT, "iso": ISO843, "beta": BETA}[name]
    low, out, at = text.lower(), [], 0
    while at < len(low):
        pair = low[at : at + 2]
        if pair == "μπ" and (at == 0 or low[at - 1] == " ") and name == "elot":
            out.append("b")
            at += 2
        elif pair in _DIGRAPHS[name]:
            out.append(_DIGRAPHS[name][pair])
            at += 2
        else:
            out.append(letters.get(low[at], low[at]))
            at += 1
    return _capitals("".join(out))


_WADE_INITIALS = [
    ("zh", "ch"), ("ch", "ch'"), ("sh", "sh"), ("b", "p"), ("p", "p'"), ("d", "t"), ("t", "t'"), ("g", "k"),
    ("k", "k'"), ("j", "ch"), ("q", "ch'"), ("x", "hs"), ("z", "ts"), ("c", "ts'"), ("r", "j"),
]  # fmt: skip
_WADE_WHOLE = {
    "zi": "tzu", "ci": "tz'u", "si": "ssu", "er": "erh", "yi": "i", "you": "yu", "yu": "yü", "yan": "yen",
    "ye": "yeh", "yue": "yüeh", "yong": "yung", "ge": "ko", "ke": "k'o", "he": "ho", "e": "o",
    "zhi": "chih", "chi": "ch'ih", "shi": "shih", "ri": "jih",
}  # fmt: skip


def wade_giles(syllable: str) -> str:
    """One pinyin syllable without a tone, as Wade and Giles write it."""
    if syllable in _WADE_WHOLE:
        return _WADE_WHOLE[syllable]
    pinyin, initial, final = syllable, "", syllable
    for start, wade in _WADE_INITIALS:
        if pinyin.startswith(start):
            initial, final = wade, pinyin[len(start) :]
            break
    else:
        if pinyin[0] in "mnlfhs":
            initial, final = pinyin[0], pinyin[1:]
    palatal = pinyin[0] in "jqx"
    if palatal and final.startswith("u"):
        final = "ü" + final[1:]
    final = {"ian": "ien", "ie": "ieh", "üe": "üeh", "üan": "üan", "iu": "iu", "ui": "ui"}.get(final, final)
    if final.endswith("ong"):
        final = final[:-3] + "ung"
    if final == "uo" and initial not in {"k", "k'", "h", "sh"}:
        final = "o"
    if final == "ui" and initial in {"k", "k'"}:
        final = "uei"
    return initial + final


def _capitals(text: str) -> str:
    return " ".join(word[:1].upper() + word[1:] for word in text.split(" "))
