"""OpenSanctions' `targets.simple.csv`: one row for each target of any of its collections."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from compliance.lists.records import ListedRecord, Report, Subject, named
from compliance.lists.sources import Source, values_of
from compliance.lists.words import birth_dates_of, country_of

_NEEDED: Final = ("id", "schema", "name", "aliases", "birth_date", "countries")
_KEPT: Final = (
    "addresses", "identifiers", "sanctions", "phones", "emails", "program_ids", "dataset", "first_seen", "last_seen",
    "last_change",
)  # fmt: skip
#: These two say when OpenSanctions looked, and would make every entry another one each day.
_PASSING: Final = ("last_seen", "last_change")
_SUBJECTS: Final[Mapping[str, Subject]] = {
    "Person": "person",
    "Organization": "organisation",
    "Company": "organisation",
    "PublicBody": "organisation",
    "Vessel": "vessel",
    "Airplane": "aircraft",
    # It does not say whether they are people.
    "LegalEntity": "unknown",
}
#: What has no name that a customer or a counterparty could bear.
_NAMELESS: Final = ("CryptoWallet", "Security", "Address", "Vehicle")


def records(path: Path, report: Report) -> Iterator[ListedRecord]:
    """Entries of the file at `path`. Raises ListRefused."""
    source = Source(path, report)
    seen: set[str] = set()
    for line, lines, row in source.named_rows(_NEEDED, _KEPT):
        if not row["id"] or row["id"] in seen:
            raise source.refuse(line, f"repeats the id {row['id'][:80]}" if row["id"] else "has no id")
        seen.add(row["id"])
        if row["schema"] in _NAMELESS:
            source.report.count(f"left out: a {row['schema']} has no name", lines)
            continue
        if row["schema"] not in _SUBJECTS:
            raise source.refuse(line, f"is of the schema {row['schema'][:40]!r}, which is not known")
        if not row["name"]:
            raise source.refuse(line, "has no name")
        source.report.count("entries", lines)
        record = _record(row, source, line, report)
        report.took(record)
        yield record


def _record(row: Mapping[str, str], source: Source, line: int, report: Report) -> ListedRecord:
    births: list[str] = []
    for text in values_of(row["birth_date"], source=source, line=line):
        births += (found := birth_dates_of(text))
        if not found:
            report.unread[f"birth date: {text[:60]}"] += 1
    countries: list[str] = []
    for text in values_of(row["countries"], source=source, line=line):
        if code := country_of(text):
            countries.append(code)
        else:
            report.unread[f"country: {text[:60]}"] += 1
    return ListedRecord(
        external_id=row["id"],
        subject=_SUBJECTS[row["schema"]],
        names=named(
            " ".join(row["name"].split()),
            [(alias, "alias") for alias in values_of(row["aliases"], source=source, line=line)],
        ),
        birth_dates=tuple(dict.fromkeys(births)),
        countries=tuple(dict.fromkeys(countries)),
        details={name: row[name] for name in (*_KEPT, "schema") if row.get(name) and name not in _PASSING},
    )
