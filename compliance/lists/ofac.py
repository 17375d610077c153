"""OFAC's Specially Designated Nationals in the classic CSV form: sdn.csv, with alt.csv, add.csv and sdn_comments.csv
beside it.

The files have no header; their columns are those of OFAC's data specification. `-0-` is an empty field, and the last
line is DOS's end-of-file mark. A person's birth, nationality and gender stand in the remarks, as parts separated by
semicolons; so do the names that OFAC calls weak aliases, in quotes. sdn_comments.csv goes on where a remark of 1,000
characters was cut.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from compliance.lists.records import Gender, ListedRecord, NameKind, Report, Subject, named
from compliance.lists.sources import END_MARK, Source
from compliance.lists.words import birth_dates_of, country_of

_EMPTY: Final = "-0-"
_SDN: Final = (
    "id", "name", "type", "program", "title", "call_sign", "vessel_type", "tonnage", "gross_tonnage", "flag", "owner",
    "remarks",
)  # fmt: skip
_SUBJECTS: Final[Mapping[str, Subject]] = {
    "individual": "person",
    "": "organisation",
    "vessel": "vessel",
    "aircraft": "aircraft",
}
_STRANGERS: Final = "left out: about an entry that neither sdn.csv nor alt.csv has"
_BESIDE: Final = {"add.csv": "addresses", "sdn_comments.csv": "remarks that go on"}
_ALIASES: Final = ("aka", "fka", "nka")
_BIRTH: Final = re.compile(r"(?:alt\. )?DOB (.+)")
_NATION: Final = re.compile(r"(?:alt\. )?(?:nationality|citizen) (?:possibly )?(.+)")
_GENDER: Final = re.compile(r"Gender (Male|Female)")
_WEAK: Final = re.compile(r"(?:alt\. )?[afn]\.k\.a\. '(.+)'")


def records(path: Path, report: Report) -> Iterator[ListedRecord]:
    """Entries of the sdn.csv at `path`. alt.csv and add.csv have to be beside it: a list without its aliases would be
    taken for the whole. Raises ListRefused."""
    source = Source(path, report, latin_1=True)
    aliases, addresses, comments = _beside(path, report)
    seen: set[str] = set()
    for line, lines, row in _rows(source, len(_SDN)):
        values = dict(zip(_SDN, row, strict=True))
        external_id = values.pop("id")
        if not external_id.isdigit() or not values["name"]:
            raise source.refuse(line, "has no number or no name")
        if external_id in seen:
            raise source.refuse(line, f"repeats the number {external_id}")
        if values["type"] not in _SUBJECTS:
            raise source.refuse(line, f"is of the type {values['type'][:40]!r}, which is not known")
        seen.add(external_id)
        source.report.count("entries", lines)
        values["remarks"] += comments.pop(external_id, "")
        record = _record(external_id, values, aliases.pop(external_id, []), addresses.pop(external_id, []), report)
        report.took(record)
        yield record
    for external_id in sorted(aliases):
        # Somebody is on OFAC's list under these names, whichever of its files is behind.
        record = _stranger(external_id, aliases[external_id], addresses, comments)
        report.took(record)
        yield record
    if aliases:
        report.warnings.append(
            f"alt.csv has aliases of {len(aliases):,} entries that sdn.csv does not have; they are kept under these "
            "names alone. The files are of different days, or sdn.csv was cut off."
        )
    _count_strangers(report, {"add.csv": addresses, "sdn_comments.csv": comments})


def _stranger(
    external_id: str,
    aliases: Sequence[tuple[str, str]],
    addresses: dict[str, list[dict[str, str]]],
    comments: dict[str, str],
) -> ListedRecord:
    details: dict[str, Any] = {"not_in": "sdn.csv"}
    if external_id in addresses:
        details["addresses"] = addresses.pop(external_id)
    if external_id in comments:
        details["remarks"] = comments.pop(external_id)
    (_, first), *others = aliases
    return ListedRecord(external_id, "unknown", named(first, [(name, "alias") for _, name in others]), details=details)


def _count_strangers(report: Report, left: Mapping[str, Mapping[str, Sequence[Any]]]) -> None:
    """What is about an entry without any name: OFAC's files are of different days, or one was cut off."""
    for file in report.files:
        rows = left.get(file.name, {})
        # A remark that goes on is one text; of the others each row is one.
        many = sum(1 if isinstance(each, str) else len(each) for each in rows.values())
        if many:
            file.accounted[_BESIDE[file.name]] -= many
            file.accounted[_STRANGERS] += many
            report.warnings.append(
                f"{many:,} lines of {file.name} are about {len(rows):,} entries that neither sdn.csv nor alt.csv has."
            )


def _beside(
    path: Path, report: Report
) -> tuple[dict[str, list[tuple[str, str]]], dict[str, list[dict[str, str]]], dict[str, str]]:
    aliases: dict[str, list[tuple[str, str]]] = defaultdict(list)
    source = Source(path.with_name("alt.csv"), report, latin_1=True)
    for line, lines, (entry, _, kind, name, _) in _rows(source, 5):
        if kind not in _ALIASES or not name or not entry.isdigit():
            raise source.refuse(line, f"is an alias of the kind {kind[:40]!r}, or has no name or no number")
        aliases[entry].append((kind, name))
        source.report.count("aliases", lines)
    addresses: dict[str, list[dict[str, str]]] = defaultdict(list)
    source = Source(path.with_name("add.csv"), report, latin_1=True)
    for _, lines, (entry, _, street, city, country, remark) in _rows(source, 6):
        address = {"street": street, "city": city, "country": country, "remark": remark}
        if any(address.values()):
            addresses[entry].append({name: value for name, value in address.items() if value})
            source.report.count("addresses", lines)
        else:
            source.report.count("left out: an address with nothing in it", lines)
    comments: dict[str, str] = {}
    if path.with_name("sdn_comments.csv").exists():
        source = Source(path.with_name("sdn_comments.csv"), report, latin_1=True)
        for _, lines, (entry, text) in _rows(source, 2):
            comments[entry] = comments.get(entry, "") + text
            source.report.count("remarks that go on", lines)
    return dict(aliases), dict(addresses), comments


def _rows(source: Source, width: int) -> Iterator[tuple[int, int, list[str]]]:
    ended = False
    for line, lines, row in source.rows():
        if ended:
            raise source.refuse(line, "comes after the end-of-file mark")
        if row == [END_MARK]:
            ended = True
            source.report.count("left out: end-of-file mark", lines)
        elif not row:
            source.report.count("left out: blank", lines)
        elif len(row) != width:
            raise source.refuse(line, f"has {len(row)} fields in place of {width}")
        elif any(END_MARK in value for value in row):
            raise source.refuse(line, "has an end-of-file mark in the middle")
        else:
            yield line, lines, ["" if value.strip() == _EMPTY else " ".join(value.split()) for value in row]


def _record(
    external_id: str,
    values: dict[str, str],
    aliases: Sequence[tuple[str, str]],
    addresses: Sequence[dict[str, str]],
    report: Report,
) -> ListedRecord:
    subject = _SUBJECTS[values["type"]]
    births: list[str] = []
    countries: list[str] = []
    gender: Gender = ""
    names: list[tuple[str, NameKind]] = [(name, "alias") for _, name in aliases]
    for part in (part.strip() for part in values["remarks"].rstrip(". ").split(";")):
        if match := _WEAK.fullmatch(part):
            names.append((match[1], "weak"))
        elif match := _GENDER.fullmatch(part):
            gender = "female" if match[1] == "Female" else "male"
        elif match := _BIRTH.fullmatch(part):
            found = birth_dates_of(match[1])
            births += found
            if not found:
                report.unread[f"birth date: {match[1][:60]}"] += 1
        elif match := _NATION.fullmatch(part):
            countries += _country(match[1], report)
    if subject != "person":
        # A person's address says little about who he is; where an organisation sits says a good deal.
        for address in addresses:
            countries += _country(address.get("country", ""), report)
        countries += _country(values["flag"], report)
    details: dict[str, Any] = {name: value for name, value in values.items() if value and name not in ("name", "type")}
    if former := [{"kind": kind, "name": name} for kind, name in aliases if kind != "aka"]:
        details["former_or_new_names"] = former
    if addresses:
        details["addresses"] = list(addresses)
    return ListedRecord(
        external_id=external_id,
        subject=subject,
        names=named(values["name"], names),
        birth_dates=tuple(dict.fromkeys(births)),
        countries=tuple(dict.fromkeys(countries)),
        gender=gender,
        details=details,
    )


def _country(text: str, report: Report) -> list[str]:
    if not text or text in ("undetermined", "None Identified"):
        return []
    if code := country_of(text):
        return [code]
    report.unread[f"country: {text[:60]}"] += 1
    return []
