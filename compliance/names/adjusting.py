"""What a date of birth, a country and a gender add to a name's score, or take away."""

from typing import Final

from compliance.names.records import Adjustment, ListedEntry, NameKind, Query

SAME_DAY: Final = 10
SAME_YEAR: Final = 4
YEAR_NEAR: Final = 0
OTHER_YEAR: Final = -20
SAME_COUNTRY: Final = 3
OTHER_COUNTRY: Final = -5
OTHER_GENDER: Final = -20
WEAK_ALIAS: Final = -5


def adjustments(query: Query, entry: ListedEntry, kind: NameKind) -> tuple[Adjustment, ...]:
    """Nothing is said of what either side leaves out: that somebody's date is not known clears nobody."""
    found: list[Adjustment] = []
    if kind == "weak":
        found.append(Adjustment("weak_alias", WEAK_ALIAS, "the list calls this alias weak"))
    if query.birth_date and entry.birth_dates:
        found.append(_birth_date(query.birth_date, entry.birth_dates))
    if query.country and entry.countries:
        theirs = {country.upper() for country in entry.countries}
        same = query.country.upper() in theirs
        said = f"{query.country.upper()} {'is' if same else 'is not'} among {', '.join(sorted(theirs))}"
        found.append(Adjustment("country", SAME_COUNTRY if same else OTHER_COUNTRY, said))
    if query.gender and entry.gender and query.gender != entry.gender:
        found.append(Adjustment("gender", OTHER_GENDER, f"{query.gender} is not {entry.gender}"))
    return tuple(found)


def may_confirm(found: tuple[Adjustment, ...]) -> bool:
    """Whether it is he: a whole date of birth agrees. A year and a country together are shared by many of a name."""
    return any(each.what == "birth_date" and each.points == SAME_DAY for each in found)


def _birth_date(ours: str, theirs: tuple[str, ...]) -> Adjustment:
    """The date that fits best of those on the list, which often has several, or a year alone."""
    best = max((_points(ours, date), date) for date in theirs)
    points, date = best
    said = {SAME_DAY: "is", SAME_YEAR: "has the year of", YEAR_NEAR: "is near", OTHER_YEAR: "is far from"}[points]
    return Adjustment("birth_date", points, f"{ours} {said} {date}")


def _points(ours: str, listed: str) -> int:
    whole = len(ours) >= 10 and len(listed) >= 10
    if whole and (ours == listed or _day_and_month_swapped(ours, listed)):
        return SAME_DAY
    if not (ours[:4].isdigit() and listed[:4].isdigit()):
        return YEAR_NEAR
    years = abs(int(ours[:4]) - int(listed[:4]))
    if years:
        return YEAR_NEAR if years == 1 else OTHER_YEAR
    return SAME_YEAR


def _day_and_month_swapped(ours: str, listed: str) -> bool:
    return ours[:4] == listed[:4] and ours[5:7] == listed[8:10] and ours[8:10] == listed[5:7]
