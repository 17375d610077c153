"""A statement as CSV: RFC 4180, UTF-8, one header, amounts as decimal numbers of the currency's major unit.

A file is made to be opened in a spreadsheet, which takes a cell that begins with one of `= + - @`, a tab or a line
break for a formula. What is text of somebody's is preceded by an apostrophe then (OWASP, CSV injection); numbers stay
numbers. The last line is the closing balance: a file without it was cut off, and says so there.
"""

import csv
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

import structlog
from django.http import StreamingHttpResponse

from accounts.selectors import format_time
from ledger.selectors.entries import EntryView, Statement, all_lines_of
from wallet_project.utils.errors import Refused
from wallet_project.utils.money import exponent

logger = structlog.get_logger(__name__)

#: What stands in the column `type` of the last line, when an error has ended the file.
CUT_OFF: Final = "incomplete, ask again"
#: A file of more lines is no statement that anybody reads, and would keep a thread for minutes.
MAX_LINES: Final = 250_000

COLUMNS: Final = (
    "time", "line", "type", "kind", "amount", "currency", "balance", "counterparty", "reference", "transaction",
)  # fmt: skip
# The full-width forms too: some spreadsheets read them as the others.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
#: Lines to a piece of the stream.
_PIECE: Final = 500


class StatementTooLong(Refused):
    """`lines` it would have, `most` it may have."""

    code = "statement_too_long"
    message = "The period has too many lines for one file; ask for a shorter one, or for JSON, which comes in pages."
    example_facts = {"lines": 300_000, "most": MAX_LINES}


class _Piece:
    """What the csv module writes to; it hands over line by line."""

    def write(self, line: str) -> str:
        return line


def statement_file(statement: Statement) -> StreamingHttpResponse:
    """The answer that streams the file. Raises StatementTooLong."""
    if statement.count > MAX_LINES:
        raise StatementTooLong(lines=statement.count, most=MAX_LINES)
    days = f"{statement.since:%Y-%m-%d}-{statement.until:%Y-%m-%d}"
    return StreamingHttpResponse(
        _stream(statement),
        content_type="text/csv; charset=utf-8; header=present",
        headers={
            "Content-Disposition": f'attachment; filename="statement-{statement.account_id}-{days}.csv"',
            "Cache-Control": "private, no-store",
        },
    )


def _stream(statement: Statement) -> Iterator[str]:
    """The status line is gone by now, and a server that is told of an error ends the answer as if it were whole: so the
    file itself says that it was cut off, where it would have its closing balance."""
    try:
        yield from statement_csv(statement, all_lines_of(statement))
    except Exception:
        logger.exception("statement_cut_off", account_id=str(statement.account_id))
        yield _row(["", "", CUT_OFF, *[""] * (len(COLUMNS) - 3)])


def statement_csv(statement: Statement, lines: Iterable[EntryView]) -> Iterator[str]:
    """The file, piece by piece."""
    digits = exponent(statement.currency)

    def balance(time: str, name: str, amount: int) -> str:
        return _row([time, "", name, "", "", statement.currency, decimal(amount, digits), "", "", ""])

    yield _row(COLUMNS) + balance(format_time(statement.since), "opening balance", statement.opening)
    rows = (_row(_cells(line, digits)) for line in lines)
    while piece := "".join(islice(rows, _PIECE)):
        yield piece
    yield balance(format_time(statement.until), "closing balance", statement.closing)


_write = csv.writer(_Piece(), lineterminator="\r\n").writerow


def _row(cells: Iterable[object]) -> str:
    return str(_write(cells))


def _cells(line: EntryView, digits: int) -> list[object]:
    return [
        format_time(line.created_at),
        line.sequence,
        line.type,
        line.kind,
        decimal(line.signed_amount, digits),
        line.currency,
        decimal(line.balance_after, digits),
        line.counterparty or "",
        harmless(line.reference),
        line.transaction,
    ]


def decimal(amount: int, digits: int) -> str:
    """Minor units as a number that every spreadsheet reads: -1234 with two digits is -12.34."""
    whole, part = divmod(abs(amount), 10**digits)
    sign = "-" if amount < 0 else ""
    return f"{sign}{whole}.{part:0{digits}d}" if digits else f"{sign}{whole}"


def harmless(text: str) -> str:
    """The text, with an apostrophe before it where a spreadsheet would take it for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text
