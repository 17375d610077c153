"""Files that may be anything, read with bounds: size, encoding, control characters, length of a line and of a field."""

import codecs
import csv
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from compliance.lists.records import FileReport, ListRefused, Report

#: The whole collection of OpenSanctions has about 250 MB.
LARGEST_FILE: Final = 1_000_000_000
LONGEST_LINE: Final = 1_000_000
#: Lines that one quoted field may run over. A quote that is never closed ends here and not at the end of the file.
MOST_LINES_OF_A_ROW: Final = 200
_CHUNK: Final = 1 << 16

# What no text of a list has. The end-of-file mark of DOS (0x1A) is looked at where it may stand.
_CONTROLS: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x19\x1b-\x1f\x7f-\x84\x86-\x9f]")
END_MARK: Final = "\x1a"


class Source:
    """One file of a list. It is read twice: for its hash and encoding, then for what it says; that it is the same both
    times is checked at the end."""

    def __init__(self, path: Path, report: Report, *, latin_1: bool = False) -> None:
        """With `latin_1`, a file that is not UTF-8 is taken for that. Raises ListRefused."""
        self.path, self.name = path, path.name
        try:
            self.size = path.stat().st_size if path.is_file() else -1
        except OSError as error:
            raise ListRefused(self.name, 0, f"cannot be read: {error.strerror}") from error
        if self.size < 0:
            raise ListRefused(self.name, 0, "there is no such file")
        if self.size > LARGEST_FILE:
            raise ListRefused(self.name, 0, f"has {self.size:,} bytes; the largest that is read has {LARGEST_FILE:,}")
        digest, self.encoding = self._look(latin_1=latin_1)
        self.report = FileReport(self.name, self.size, digest, self.encoding)
        report.files.append(self.report)

    def refuse(self, line: int, problem: str) -> ListRefused:
        return ListRefused(self.name, line, problem)

    def lines(self) -> Iterator[str]:
        """Each line with its end, as text. Raises ListRefused."""
        digest = hashlib.sha256()
        with self.path.open("rb") as file:
            number = 0
            while line := file.readline(LONGEST_LINE + 1):
                number += 1
                digest.update(line)
                if len(line) > LONGEST_LINE:
                    raise self.refuse(number, f"is longer than {LONGEST_LINE:,} bytes")
                text = line.decode(self.encoding)
                if number == 1:
                    text = text.removeprefix("\ufeff")
                if found := _CONTROLS.search(text):
                    raise self.refuse(number, f"has the control character U+{ord(found[0]):04X}")
                yield text
        self.demand_unchanged(digest.hexdigest())

    def demand_unchanged(self, digest: str) -> None:
        if digest != self.report.sha256:
            raise self.refuse(0, "was changed while it was read")

    def rows(self) -> Iterator[tuple[int, int, list[str]]]:
        """(first line, number of lines, fields) of each row of a CSV file, blank lines too. Raises ListRefused."""
        reader = csv.reader(self.lines(), strict=True)
        before = 0
        while True:
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise self.refuse(before + 1, f"is not CSV: {error}") from error
            first, before = before + 1, reader.line_num
            if before - first >= MOST_LINES_OF_A_ROW:
                raise self.refuse(first, f"begins a row of more than {MOST_LINES_OF_A_ROW} lines: an open quote?")
            yield first, before - first + 1, row

    def named_rows(
        self, needed: Sequence[str], optional: Sequence[str] = ()
    ) -> Iterator[tuple[int, int, Mapping[str, str]]]:
        """(first line, number of lines, values by column) of a file whose first row names the columns, in any order.
        Raises ListRefused for a column that is not known, missing or there twice, and a row of another length."""
        header: list[str] | None = None
        for line, lines, row in self.rows():
            if header is None:
                header = [name.strip().lower() for name in row]
                self._demand_columns(header, needed, optional)
                self.report.count("header", lines)
            elif not any(value.strip() for value in row):
                self.report.count("left out: blank", lines)
            elif len(row) != len(header):
                raise self.refuse(line, f"has {len(row)} fields; the header names {len(header)}")
            else:
                yield line, lines, {name: value.strip() for name, value in zip(header, row, strict=True)}
        if header is None:
            raise self.refuse(0, "is empty; the first line names the columns")

    def _demand_columns(self, header: Sequence[str], needed: Sequence[str], optional: Sequence[str]) -> None:
        if unknown := [name for name in header if name not in (*needed, *optional)]:
            raise self.refuse(1, f"names columns that are not known: {', '.join(map(repr, unknown))[:200]}")
        if missing := [name for name in needed if name not in header]:
            raise self.refuse(1, f"lacks the columns {', '.join(missing)}")
        if len(set(header)) != len(header):
            raise self.refuse(1, "names a column twice")

    def _look(self, *, latin_1: bool) -> tuple[str, str]:
        """(sha256, encoding)."""
        digest, lines, bad_line = hashlib.sha256(), 0, 0
        decoder = codecs.getincrementaldecoder("utf-8")()
        with self.path.open("rb") as file:
            while True:
                chunk = file.read(_CHUNK)
                digest.update(chunk)
                if not bad_line:
                    try:
                        lines += decoder.decode(chunk, final=not chunk).count("\n")
                    except UnicodeDecodeError as error:
                        bad_line = lines + 1 + error.object[: error.start].count(b"\n")
                if not chunk:
                    break
        if bad_line and not latin_1:
            raise ListRefused(self.name, bad_line, "is not UTF-8")
        return digest.hexdigest(), "latin-1" if bad_line else "utf-8"


def values_of(text: str, *, source: Source, line: int) -> list[str]:
    """The values of a field that holds several: separated by semicolons, quoted where one has a semicolon."""
    if not text:
        return []
    try:
        rows = list(csv.reader([text], delimiter=";", strict=True))
    except csv.Error as error:
        raise source.refuse(line, f"has a field of several values that is not regular: {error}") from error
    return [value for row in rows for each in row if (value := " ".join(each.split()))]
