"""Lists of people whom the wallet may not serve, or knows well, as others publish them: hardened readers, no database.

Each format is a function of a path and a Report, which gives records one by one as it reads (docs/lists.md).
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from compliance.lists import internal, ofac, opensanctions, un
from compliance.lists.records import (
    LONGEST_ID,
    LONGEST_NAME,
    MOST_NAMES,
    FileReport,
    ListedRecord,
    ListRefused,
    RecordName,
    Report,
)

FORMATS: Final[Mapping[str, Callable[[Path, Report], Iterator[ListedRecord]]]] = {
    "ofac-csv": ofac.records,
    "un-xml": un.records,
    "opensanctions-csv": opensanctions.records,
    "internal-csv": internal.records,
}


def read(path: Path, report: Report) -> Iterator[ListedRecord]:
    """The records of the list at `path`, in the report's format; what was read is in the report when it has ended.
    Raises ListRefused."""
    for record in FORMATS[report.format](path, report):
        if len(record.external_id) > LONGEST_ID or len(record.names) > MOST_NAMES:
            raise ListRefused(
                path.name, 0, f"has an id or a number of names beyond all measure: {record.external_id[:80]}"
            )
        if longest := next((name.name for name in record.names if len(name.name) > LONGEST_NAME), None):
            raise ListRefused(
                path.name, 0, f"has a name of {len(longest):,} characters at the entry {record.external_id[:80]}"
            )
        yield record
    if not report.entries:
        raise ListRefused(path.name, 0, "has no entries: an empty list is taken for a mistake")


__all__ = ["FORMATS", "FileReport", "ListRefused", "ListedRecord", "RecordName", "Report", "read"]
