"""Dates and countries as lists write them, in the form that names are matched by."""

import re
from collections.abc import Mapping
from functools import cache
from typing import Final

import pycountry

#: Years that a range of birth dates may span to be of any use in matching.
WIDEST_RANGE: Final = 10
_MONTHS: Final = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), start=1
    )
}
_ISO: Final = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?(?:T.*)?")
_WRITTEN: Final = re.compile(r"(?:(\d{1,2}) )?([A-Za-z]{3}) (\d{4})")
_RANGE: Final = re.compile(r"(.+?)(?: to |-)(.+)")
_CIRCA: Final = re.compile(r"(?:circa|approximately|c\.) ?", re.IGNORECASE)

#: What ISO's own names do not have: how OFAC and the UN write them.
_OTHER_NAMES: Final[Mapping[str, str]] = {
    "bahamas, the": "BS", "bolivia": "BO", "brunei": "BN", "burma": "MM", "congo, democratic republic of the": "CD",
    "congo, republic of the": "CG", "cote d ivoire": "CI", "cote d'ivoire": "CI", "czech republic": "CZ",
    "democratic republic of the congo": "CD", "gambia, the": "GM", "iran": "IR", "korea, north": "KP",
    "korea, south": "KR", "kosovo": "XK", "laos": "LA", "libyan arab jamahiriya": "LY", "macau": "MO",
    "macedonia, the former yugoslav republic of": "MK", "man, isle of": "IM", "micronesia": "FM", "moldova": "MD",
    "north macedonia, the republic of": "MK", "palestinian": "PS", "palestine": "PS", "russia": "RU",
    "syria": "SY", "taiwan": "TW", "tanzania": "TZ", "the gambia": "GM", "turkey": "TR", "united kingdom": "GB",
    "united states": "US", "venezuela": "VE", "vietnam": "VN", "virgin islands, british": "VG", "west bank": "PS",
    "region: gaza": "PS", "region: west bank": "PS", "state of palestine": "PS", "swaziland": "SZ",
    "cape verde": "CV", "republic of korea": "KR",
    "china, hong kong special administrative region": "HK",
}  # fmt: skip


@cache
def _countries() -> dict[str, str]:
    found = {code.lower(): code for code in (country.alpha_2 for country in pycountry.countries)}
    for country in pycountry.countries:
        for attribute in ("name", "official_name", "common_name"):
            if name := getattr(country, attribute, None):
                found[str(name).lower()] = country.alpha_2
    # ISO writes some names as `Iran, Islamic Republic of`; the UN writes `Iran (Islamic Republic of)`.
    for name, code in list(found.items()):
        head, comma, tail = name.partition(", ")
        if comma:
            found.setdefault(f"{head} ({tail})", code)
            found.setdefault(f"{tail} {head}", code)
    return {**found, "xk": "XK", **_OTHER_NAMES}


def country_of(text: str) -> str:
    """The alpha-2 code (upper case) of a country by its code or name; empty when it is none that is known."""
    return _countries().get(" ".join(text.lower().replace("’", "'").split()), "")


def birth_dates_of(text: str) -> tuple[str, ...]:
    """ISO dates, as exact as what is written; a range or an approximate year becomes the years it may be. Empty when
    it is none of these forms, or a range too wide to say anything."""
    text = " ".join(text.split())
    plain = _CIRCA.sub("", text)
    if plain != text:
        years = _years(plain)
        return tuple(str(year) for year in range(years[0] - 1, years[1] + 2)) if years else ()
    if (date := _date(text)) is not None:
        return (date,)
    years = _years(text)
    return tuple(str(year) for year in range(years[0], years[1] + 1)) if years else ()


def _years(text: str) -> tuple[int, int] | None:
    """First and last year of a date or a range."""
    if (date := _date(text)) is not None:
        return int(date[:4]), int(date[:4])
    match = _RANGE.fullmatch(text)
    first, last = (_date(match[1]), _date(match[2])) if match else (None, None)
    if first is None or last is None:
        return None
    begin, end = int(first[:4]), int(last[:4])
    return (begin, end) if 0 <= end - begin <= WIDEST_RANGE else None


def _date(text: str) -> str | None:
    if match := _ISO.fullmatch(text):
        year, month, day = int(match[1]), int(match[2] or 1), int(match[3] or 1)
        exact = 3 if match[3] else 2 if match[2] else 1
    elif match := _WRITTEN.fullmatch(text):
        year, month, day = int(match[3]), _MONTHS.get(match[2].lower(), 0), int(match[1] or 1)
        exact = 3 if match[1] else 2
    else:
        return None
    if not (1000 <= year <= 2999 and 1 <= month <= 12 and 1 <= day <= 31):
        return None
    return "-".join([f"{year:04}", f"{month:02}", f"{day:02}"][:exact])
