"""Excerpts of lists in their real form, and ways to spoil them."""

import shutil
from pathlib import Path

from compliance.lists import ListedRecord, Report, read

FIXTURES = Path(__file__).parent / "fixtures"
OFAC = FIXTURES / "ofac" / "sdn.csv"
UN = FIXTURES / "un.xml"
OPENSANCTIONS = FIXTURES / "targets.simple.csv"
INTERNAL = FIXTURES / "internal.csv"


def ofac_copy(to: Path) -> Path:
    """A copy of OFAC's four files that may be spoiled."""
    shutil.copytree(OFAC.parent, to / "ofac")
    return to / "ofac" / "sdn.csv"


def spoiled(path: Path, old: str, new: str) -> Path:
    content = path.read_bytes()
    assert old.encode() in content, f"{path.name} has no {old!r}"
    path.write_bytes(content.replace(old.encode(), new.encode(), 1))
    return path


def read_all(format_: str, path: Path) -> tuple[dict[str, ListedRecord], Report]:
    report = Report(format_)
    return {record.external_id: record for record in read(path, report)}, report
