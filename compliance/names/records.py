"""What goes into the matching of names and what comes out: plain values that are the same in every process."""

from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

NameKind = Literal["primary", "alias", "weak"]
Subject = Literal["person", "organisation", "vessel", "aircraft", "unknown"]
How = Literal["exact", "transliterated", "typo", "nickname", "initial"]

# Scores are whole hundredths. What a name alone can reach is kept below what counts as confirmed: many people share
# a name. Nor is it confirmed by whatever else agrees, but for a whole date of birth.
DEFAULT_THRESHOLD: Final = 75
NAME_ALONE_AT_MOST: Final = 90
CONFIRMED_FROM: Final = 95


@dataclass(frozen=True, slots=True)
class ListedName:
    entry: int
    name: str
    kind: NameKind


@dataclass(frozen=True, slots=True)
class ListedEntry:
    """`birth_dates` are ISO, whole or cut short ("1970", "1970-05"); `countries` are alpha-2, in either case."""

    entry: int
    subject: Subject
    birth_dates: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()
    gender: Literal["", "male", "female"] = ""


@dataclass(frozen=True, slots=True)
class Query:
    name: str
    birth_date: str = ""
    country: str = ""
    gender: str = ""
    subject: Literal["person", "organisation", "unknown"] = "person"


@dataclass(frozen=True, slots=True)
class Aligned:
    """One word (or two that are written as one elsewhere) of the query beside the listed word it was taken for."""

    query: str
    listed: str
    score: int
    how: How


@dataclass(frozen=True, slots=True)
class Adjustment:
    what: Literal["birth_date", "country", "gender", "weak_alias"]
    points: int
    why: str


@dataclass(frozen=True, slots=True)
class Hit:
    entry: int
    name: str
    kind: NameKind
    score: int
    name_score: int
    aligned: tuple[Aligned, ...]
    adjustments: tuple[Adjustment, ...]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)
