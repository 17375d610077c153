"""The UN Security Council's consolidated list, in its XML form.

Read by expat as it streams in, with no document type, no entities and no namespaces of others: an element that is not
in `_KNOWN` is refused with its line. Each element is counted by its path.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from xml.parsers import expat  # no entity gets past _Reader: see _refuse_declaration

from compliance.lists.records import Gender, ListedRecord, ListRefused, NameKind, Report, Subject, named
from compliance.lists.sources import Source
from compliance.lists.words import birth_dates_of, country_of

_DEEPEST: Final = 6
_LONGEST_TEXT: Final = 50_000
_MOST_PARTS: Final = 20_000
_CHUNK: Final = 1 << 16

_ROOT: Final = "CONSOLIDATED_LIST"
_SUBJECTS: Final[Mapping[str, Subject]] = {"INDIVIDUAL": "person", "ENTITY": "organisation"}
_GROUPS: Final = {"INDIVIDUALS": "INDIVIDUAL", "ENTITIES": "ENTITY"}
_PLACE: Final = ("STREET", "CITY", "STATE_PROVINCE", "ZIP_CODE", "COUNTRY", "NOTE")
_ALIAS: Final = ("QUALITY", "ALIAS_NAME", "DATE_OF_BIRTH", "CITY_OF_BIRTH", "COUNTRY_OF_BIRTH", "NOTE")
_PLAIN: Final = (
    "DATAID", "VERSIONNUM", "FIRST_NAME", "SECOND_NAME", "THIRD_NAME", "FOURTH_NAME", "UN_LIST_TYPE",
    "REFERENCE_NUMBER", "LISTED_ON", "DELISTED_ON", "SUBMITTED_BY", "SUBMITTED_ON", "GENDER", "COMMENTS1",
    "NAME_ORIGINAL_SCRIPT", "NATIONALITY2", "SORT_KEY", "SORT_KEY_LAST_MOD",
)  # fmt: skip
#: The parts of an entry that have parts of their own.
_KNOWN: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(_PLAIN, ()),
    **dict.fromkeys(("NATIONALITY", "LIST_TYPE", "LAST_DAY_UPDATED", "DESIGNATION", "TITLE"), ("VALUE",)),
    "INDIVIDUAL_ALIAS": _ALIAS,
    "ENTITY_ALIAS": _ALIAS,
    "INDIVIDUAL_ADDRESS": _PLACE,
    "ENTITY_ADDRESS": _PLACE,
    "INDIVIDUAL_PLACE_OF_BIRTH": _PLACE,
    "INDIVIDUAL_DATE_OF_BIRTH": ("TYPE_OF_DATE", "DATE", "YEAR", "FROM_YEAR", "TO_YEAR", "NOTE"),
    "INDIVIDUAL_DOCUMENT": (
        "TYPE_OF_DOCUMENT", "TYPE_OF_DOCUMENT2", "NUMBER", "ISSUING_COUNTRY", "COUNTRY_OF_ISSUE", "CITY_OF_ISSUE",
        "DATE_OF_ISSUE", "NOTE",
    ),
}  # fmt: skip
_KINDS: Final[Mapping[str, NameKind]] = {
    "good": "alias", "low": "weak", "a.k.a.": "alias", "f.k.a.": "alias", "": "alias",
}  # fmt: skip
#: An alias of low quality may be several: `Azim Adhajani; Azim Agha-Jani`, `a) … b) …`.
_SEVERAL: Final = re.compile(r";|(?:^|\s)[a-z]\)\s")

#: Not Namibia.
_NOT_AVAILABLE: Final = "na"

Parts = dict[str, list[Any]]


def records(path: Path, report: Report) -> Iterator[ListedRecord]:
    """Entries of the file at `path`. Raises ListRefused."""
    source = Source(path, report)
    source.report.unit = "elements"
    reader = _Reader(source)
    digest = hashlib.sha256()
    seen: set[str] = set()
    with path.open("rb") as file:
        while True:
            chunk = file.read(_CHUNK)
            digest.update(chunk)
            reader.feed(chunk)
            for line, tag, parts in reader.taken():
                record = _record(tag, parts, source, line, report)
                if record.external_id in seen:
                    raise source.refuse(line, f"repeats the number {record.external_id}")
                seen.add(record.external_id)
                report.took(record)
                yield record
            if not chunk:
                break
    source.demand_unchanged(digest.hexdigest())


@dataclass
class _Reader:
    """Collects entry after entry; what is not known raises ListRefused."""

    source: Source
    path: list[str] = field(default_factory=list)
    _entries: list[tuple[int, str, Parts]] = field(default_factory=list)
    _parts: Parts = field(default_factory=dict)
    _inner: dict[str, list[str]] = field(default_factory=dict)
    _text: list[str] = field(default_factory=list)
    _length: int = 0
    _many: int = 0
    _line: int = 0

    def __post_init__(self) -> None:
        self._expat = expat.ParserCreate("utf-8")
        self._expat.buffer_text = True
        self._expat.StartElementHandler = self._start
        self._expat.EndElementHandler = self._end
        self._expat.CharacterDataHandler = self._characters
        # Without a document type there are no entities but XML's own five: nothing to blow up, nothing to fetch.
        self._expat.StartDoctypeDeclHandler = self._refuse_declaration
        self._expat.EntityDeclHandler = self._refuse_declaration
        self._expat.ExternalEntityRefHandler = self._refuse_declaration

    def feed(self, chunk: bytes) -> None:
        try:
            self._expat.Parse(chunk, not chunk)
        except expat.ExpatError as error:
            raise self.source.refuse(error.lineno, f"is not XML: {expat.ErrorString(error.code)}") from error

    def taken(self) -> list[tuple[int, str, Parts]]:
        taken, self._entries = self._entries, []
        return taken

    def _refuse(self, problem: str) -> ListRefused:
        return self.source.refuse(self._expat.CurrentLineNumber, problem)

    def _refuse_declaration(self, *_: object) -> int:
        raise self._refuse("declares a document type or an entity, which a list has no use for")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._demand_blank_text()
        self.path.append(tag)
        depth = len(self.path)
        if depth > _DEEPEST:
            raise self._refuse(f"nests deeper than {_DEEPEST} elements")
        if not self._is_known(depth, tag):
            raise self._refuse(f"has the element {'/'.join(self.path)[-120:]}, which is not known")
        if attributes and depth > 1:
            raise self._refuse(f"gives {tag} an attribute, {min(attributes)[:40]!r}, which is not known")
        if depth == 3:
            self._parts, self._many, self._line = {}, 0, self._expat.CurrentLineNumber
        elif depth == 4:
            self._inner = {}
        self._many += 1
        if self._many > _MOST_PARTS:
            raise self._refuse(f"has an entry of more than {_MOST_PARTS:,} elements")

    def _is_known(self, depth: int, tag: str) -> bool:
        match depth:
            case 1:
                return tag == _ROOT
            case 2:
                return tag in _GROUPS
            case 3:
                return tag == _GROUPS[self.path[1]]
            case 4:
                return tag in _KNOWN
            case 5:
                return tag in _KNOWN[self.path[3]]
        return False

    def _end(self, tag: str) -> None:
        depth = len(self.path)
        text = " ".join("".join(self._text).split())
        self._text, self._length = [], 0
        if depth == 5:
            self._inner.setdefault(tag, []).append(text)
        elif depth == 4:
            if text and _KNOWN[tag]:
                raise self._refuse(f"has text in {tag}, where elements belong")
            value: Any = text
            if _KNOWN[tag]:
                value = {name: values for name, found in self._inner.items() if (values := [v for v in found if v])}
            self._parts.setdefault(tag, []).append(value)
        elif depth == 3:
            self._entries.append((self._line, tag, self._parts))
        self.source.report.count("/".join(self.path[2:]) or tag)
        self.path.pop()

    def _characters(self, text: str) -> None:
        self._length += len(text)
        if self._length > _LONGEST_TEXT:
            raise self._refuse(f"has a text of more than {_LONGEST_TEXT:,} characters")
        self._text.append(text)
        if len(self.path) < 4 and text.strip():
            raise self._refuse(f"has text in {self.path[-1]}, where elements belong")

    def _demand_blank_text(self) -> None:
        if "".join(self._text).strip():
            raise self._refuse(f"has text in {self.path[-1]}, where elements belong")
        self._text, self._length = [], 0


def _record(tag: str, parts: Parts, source: Source, line: int, report: Report) -> ListedRecord:
    def one(name: str) -> str:
        values: list[str] = parts.get(name, [])
        if len(values) > 1:
            raise source.refuse(line, f"has {name} more than once in an entry")
        return values[0] if values else ""

    number = one("REFERENCE_NUMBER")
    primary = " ".join(part for part in (one(f"{place}_NAME") for place in _ORDER) if part)
    if not number or not primary:
        raise source.refuse(line, "begins an entry without a reference number or a name")
    births: list[str] = []
    for birth in parts.get("INDIVIDUAL_DATE_OF_BIRTH", []):
        births += _births(birth, report)
    names: list[tuple[str, NameKind]] = [
        (name, "alias") for text in parts.get("NAME_ORIGINAL_SCRIPT", []) for name in _names_in(text)
    ]
    for alias in (*parts.get("INDIVIDUAL_ALIAS", []), *parts.get("ENTITY_ALIAS", [])):
        names += _aliases(alias, source, line)
        for text in alias.get("DATE_OF_BIRTH", []):
            births += birth_dates_of(text)
    return ListedRecord(
        external_id=number,
        subject=_SUBJECTS[tag],
        names=named(primary, names),
        birth_dates=tuple(dict.fromkeys(births)),
        countries=_countries(tag, parts, report),
        gender=_gender(one("GENDER"), source, line),
        details={name: kept for name, values in sorted(parts.items()) if (kept := [v for v in values if v])},
    )


_ORDER: Final = ("FIRST", "SECOND", "THIRD", "FOURTH")


def _births(birth: dict[str, list[str]], report: Report) -> list[str]:
    circa = "circa " if (birth.get("TYPE_OF_DATE") or [""])[0].upper() == "APPROXIMATELY" else ""
    texts = [*birth.get("DATE", []), *(f"{circa}{year}" for year in birth.get("YEAR", []))]
    texts += [
        f"{first} to {last}" for first, last in zip(birth.get("FROM_YEAR", []), birth.get("TO_YEAR", []), strict=False)
    ]
    found: list[str] = []
    for text in texts:
        dates = birth_dates_of(text)
        found += dates
        if not dates:
            report.unread[f"birth date: {text[:60]}"] += 1
    if not texts and (note := birth.get("NOTE")):
        report.unread[f"birth date: {note[0][:60]}"] += 1
    return found


def _aliases(alias: dict[str, list[str]], source: Source, line: int) -> list[tuple[str, NameKind]]:
    quality = (alias.get("QUALITY") or [""])[0].lower()
    if quality not in _KINDS:
        raise source.refuse(line, f"has an alias of the quality {quality[:40]!r}, which is not known")
    return [(name, _KINDS[quality]) for text in alias.get("ALIAS_NAME", []) for name in _names_in(text)]


def _names_in(text: str) -> list[str]:
    return [name for part in _SEVERAL.split(text) if (name := part.strip(" ,"))]


def _countries(tag: str, parts: Parts, report: Report) -> tuple[str, ...]:
    if tag == "INDIVIDUAL":
        texts = [text for each in parts.get("NATIONALITY", []) for text in each.get("VALUE", [])]
        texts += [text for text in parts.get("NATIONALITY2", []) if text]
    else:
        texts = [text for each in parts.get("ENTITY_ADDRESS", []) for text in each.get("COUNTRY", [])]
    codes: list[str] = []
    for text in texts:
        if text.lower() == _NOT_AVAILABLE:
            continue
        if code := country_of(text):
            codes.append(code)
        else:
            report.unread[f"country: {text[:60]}"] += 1
    return tuple(dict.fromkeys(codes))


def _gender(text: str, source: Source, line: int) -> Gender:
    match text.lower():
        case "":
            return ""
        case "male":
            return "male"
        case "female":
            return "female"
    raise source.refuse(line, f"has the gender {text[:40]!r}, which is not known")
