"""The sandbox's own book: an SQLite file that survives a restart."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

SCHEMA = """
CREATE TABLE IF NOT EXISTS payment (
    reference TEXT PRIMARY KEY, id TEXT NOT NULL UNIQUE, direction TEXT NOT NULL, amount INTEGER NOT NULL,
    settles_for INTEGER NOT NULL, currency TEXT NOT NULL, description TEXT NOT NULL, beneficiary TEXT,
    status TEXT NOT NULL, reason TEXT, later TEXT, due REAL, callbacks INTEGER NOT NULL, created_at TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS payment_due ON payment (due) WHERE due IS NOT NULL;
CREATE TABLE IF NOT EXISTS payer (reference TEXT PRIMARY KEY, payer TEXT NOT NULL);

CREATE TABLE IF NOT EXISTS identity_check (
    reference TEXT PRIMARY KEY, id TEXT NOT NULL UNIQUE, callback_url TEXT, status TEXT NOT NULL, reason TEXT,
    later TEXT, due REAL, callbacks INTEGER NOT NULL, created_at TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS identity_check_due ON identity_check (due) WHERE due IS NOT NULL;

CREATE TABLE IF NOT EXISTS movement (
    id INTEGER PRIMARY KEY AUTOINCREMENT, direction TEXT NOT NULL CHECK (direction IN ('in', 'out')),
    amount INTEGER NOT NULL CHECK (amount > 0), currency TEXT NOT NULL, reference TEXT NOT NULL,
    description TEXT NOT NULL, booked_at TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS movement_currency ON movement (currency, id);

CREATE TABLE IF NOT EXISTS answered (
    service TEXT, key TEXT, request TEXT NOT NULL, status INTEGER NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (service, key));
CREATE TABLE IF NOT EXISTS failed (service TEXT, key TEXT, times INTEGER NOT NULL, PRIMARY KEY (service, key));

CREATE TABLE IF NOT EXISTS callback (
    id TEXT PRIMARY KEY, service TEXT NOT NULL, url TEXT, body TEXT NOT NULL, created_at TEXT NOT NULL,
    copies INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, next_at REAL, delivered_at TEXT, last_result TEXT);
CREATE INDEX IF NOT EXISTS callback_due ON callback (next_at) WHERE next_at IS NOT NULL;
"""

Row = dict[str, Any]


def now_text() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


class Book:
    """One connection behind one lock: the sandbox is small, and its answers must be exact rather than many."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.row_factory = sqlite3.Row
        with self._lock:
            self._connection.execute("PRAGMA journal_mode = WAL")
            # Every commit reaches the disk: a bank does not forget a payment when its machine stops.
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.executescript(f"BEGIN; {SCHEMA} COMMIT;")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; a second one inside joins the first."""
        with self._lock:
            if self._connection.in_transaction:
                yield
                return
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def run(self, sql: str, *values: object) -> int:
        """The number of rows that were changed."""
        with self._lock:
            return self._connection.execute(sql, values).rowcount

    def rows(self, sql: str, *values: object) -> list[Row]:
        with self._lock:
            return [dict(row) for row in self._connection.execute(sql, values)]

    def row(self, sql: str, *values: object) -> Row | None:
        return next(iter(self.rows(sql, *values)), None)

    def insert(self, table: str, **values: object) -> None:
        columns, marks = ", ".join(values), ", ".join("?" * len(values))
        self.run(f"INSERT INTO {table} ({columns}) VALUES ({marks})", *values.values())  # noqa: S608

    def balance(self, currency: str) -> int:
        """What the wallet has at the bank, in minor units."""
        found = self.row(
            "SELECT coalesce(sum(CASE direction WHEN 'in' THEN amount ELSE -amount END), 0) AS balance"
            " FROM movement WHERE currency = ?",
            currency,
        )
        return int(found["balance"]) if found else 0

    def movements(self, currency: str, *, after: int = 0, limit: int = 1_000_000) -> list[Row]:
        return self.rows(
            "SELECT * FROM movement WHERE currency = ? AND id > ? ORDER BY id LIMIT ?", currency, after, limit
        )

    def next_due(self) -> float | None:
        """The earliest time (seconds since the epoch) at which a payment or a check comes to its end."""
        found = self.row(
            "SELECT min(due) AS due FROM (SELECT due FROM payment WHERE due IS NOT NULL"
            " UNION ALL SELECT due FROM identity_check WHERE due IS NOT NULL)"
        )
        return found["due"] if found else None

    def close(self) -> None:
        with self._lock:
            self._connection.close()
