"""What a list says, in one form for all formats, and the account of how it was read.

A reader accounts for each line (or element) of its files: it became an entry or a part of one, it was left out for a
reason that is counted, or the whole file is refused with the number of the line. Nothing is passed over in silence.
"""

import hashlib
import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

NameKind = Literal["primary", "alias", "weak"]
Subject = Literal["person", "organisation", "vessel", "aircraft", "unknown"]
Gender = Literal["", "male", "female"]

#: Longer than any name on the lists that are known; what is longer is a file that went wrong.
LONGEST_NAME: Final = 1_000
#: Names of one entry; the longest of OFAC's has about 60.
MOST_NAMES: Final = 2_000
LONGEST_ID: Final = 200
#: Kinds of what could not be read that a version's report names, the most frequent first.
MOST_UNREAD: Final = 200


class ListRefused(Exception):
    """The file cannot be read as what it is said to be. `line` counts from 1; 0 is the file as a whole."""

    def __init__(self, file: str, line: int, problem: str) -> None:
        self.file, self.line, self.problem = file, line, problem
        super().__init__(f"{file}, line {line}: {problem}" if line else f"{file}: {problem}")


@dataclass(frozen=True, slots=True, order=True)
class RecordName:
    """`primary` once; `weak` is what the authority itself calls too common to rely on."""

    name: str
    kind: NameKind


@dataclass(frozen=True, slots=True)
class ListedRecord:
    """One person, organisation, vessel or aircraft on a list.

    `birth_dates` are ISO, as exact as the list is (`1970`, `1970-05`, `1970-05-17`); `countries` are ISO 3166 alpha-2,
    upper case: nationalities and citizenships of people, seats of others. `details`: all else the list says.
    """

    external_id: str
    subject: Subject
    names: tuple[RecordName, ...]
    birth_dates: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()
    gender: Gender = ""
    details: dict[str, Any] = field(default_factory=dict)

    def content_hash(self) -> bytes:
        """The same for the same content, whichever file or order of names it came in."""
        content = asdict(self)
        del content["external_id"]
        content["names"] = sorted([name["kind"], name["name"]] for name in content["names"])
        return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).digest()


@dataclass(slots=True)
class FileReport:
    """`units` (lines, or elements of XML) is the sum of `accounted`: what each of them was, or why it was left out."""

    name: str
    size: int
    sha256: str
    encoding: str
    unit: str = "lines"
    units: int = 0
    accounted: Counter[str] = field(default_factory=Counter)

    def count(self, what: str, units: int = 1) -> None:
        self.accounted[what] += units
        self.units += units


@dataclass(slots=True)
class Report:
    """How a list was read. `unread`: what stands in details alone, as its form is not regular: (what) → how often.
    `warnings`: sentences for whoever imports it."""

    format: str
    files: list[FileReport] = field(default_factory=list)
    entries: int = 0
    names: Counter[str] = field(default_factory=Counter)
    subjects: Counter[str] = field(default_factory=Counter)
    unread: Counter[str] = field(default_factory=Counter)
    warnings: list[str] = field(default_factory=list)

    def took(self, record: ListedRecord) -> None:
        self.entries += 1
        self.subjects[record.subject] += 1
        self.names.update(name.kind for name in record.names)

    def as_json(self) -> dict[str, Any]:
        return {
            "format": self.format,
            "files": [
                {
                    "name": file.name,
                    "size": file.size,
                    "sha256": file.sha256,
                    "encoding": file.encoding,
                    "unit": file.unit,
                    "units": file.units,
                    "accounted": dict(file.accounted),
                }
                for file in self.files
            ],
            "entries": self.entries,
            "names": dict(self.names),
            "subjects": dict(self.subjects),
            "unread": dict(self.unread.most_common(MOST_UNREAD)),
            "warnings": self.warnings,
        }


def named(primary: str, others: list[tuple[str, NameKind]]) -> tuple[RecordName, ...]:
    """The names of an entry, each once; a name that is both alias and weak is an alias."""
    kinds: dict[str, NameKind] = {}
    for name, kind in [(primary, "primary"), *others]:
        known = kinds.get(name)
        if known is None or (known == "weak" and kind == "alias"):
            kinds[name] = kind
    return tuple(RecordName(name, kind) for name, kind in kinds.items())
