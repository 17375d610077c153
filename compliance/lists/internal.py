"""The wallet's own lists, of whom it will not serve (deny) or knows well (allow): a CSV file with a header.

`id` and `name` are needed; `subject` (person, organisation, vessel, aircraft, unknown), `aliases`, `weak_aliases`,
`birth_dates` (ISO), `countries` (ISO 3166 alpha-2 or a name), `gender` (male, female) and `note` may be there. What has
several values has semicolons between them.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, cast, get_args

from compliance.lists.records import Gender, ListedRecord, Report, Subject, named
from compliance.lists.sources import Source, values_of
from compliance.lists.words import birth_dates_of, country_of

_NEEDED: Final = ("id", "name")
_OPTIONAL: Final = ("subject", "aliases", "weak_aliases", "birth_dates", "countries", "gender", "note")


def records(path: Path, report: Report) -> Iterator[ListedRecord]:
    """Entries of the file at `path`. Whoever writes it is a colleague: what cannot be read is refused, not kept for
    later. Raises ListRefused."""
    source = Source(path, report)
    seen: set[str] = set()
    for line, lines, row in source.named_rows(_NEEDED, _OPTIONAL):
        if not row["id"] or not row["name"]:
            raise source.refuse(line, "has no id or no name")
        if row["id"] in seen:
            raise source.refuse(line, f"repeats the id {row['id'][:80]}")
        seen.add(row["id"])
        source.report.count("entries", lines)
        record = _record(row, source, line)
        report.took(record)
        yield record


def _record(row: Mapping[str, str], source: Source, line: int) -> ListedRecord:
    subject, gender = row.get("subject") or "unknown", row.get("gender", "")
    if subject not in get_args(Subject):
        raise source.refuse(line, f"is about a {subject[:40]!r}; it may be {', '.join(get_args(Subject))}")
    if gender not in get_args(Gender):
        raise source.refuse(line, f"has the gender {gender[:40]!r}; it may be male, female or empty")
    births: list[str] = []
    for text in values_of(row.get("birth_dates", ""), source=source, line=line):
        if not (found := birth_dates_of(text)):
            raise source.refuse(line, f"has the birth date {text[:40]!r}; write 1970, 1970-05 or 1970-05-17")
        births += found
    countries: list[str] = []
    for text in values_of(row.get("countries", ""), source=source, line=line):
        if not (code := country_of(text)):
            raise source.refuse(line, f"has the country {text[:40]!r}; write its ISO 3166 alpha-2 code")
        countries.append(code)
    others = [(alias, "alias") for alias in values_of(row.get("aliases", ""), source=source, line=line)]
    others += [(alias, "weak") for alias in values_of(row.get("weak_aliases", ""), source=source, line=line)]
    return ListedRecord(
        external_id=row["id"],
        subject=cast(Subject, subject),
        names=named(" ".join(row["name"].split()), others),  # type: ignore[arg-type]  # both kinds are literals
        birth_dates=tuple(dict.fromkeys(births)),
        countries=tuple(dict.fromkeys(countries)),
        gender=cast(Gender, gender),
        details={"note": row["note"]} if row.get("note") else {},
    )
