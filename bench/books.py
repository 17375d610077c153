"""What the bench asks of the wallet's database beside what it measures: what waits, what was cleared, what holds."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from wallet_project.embedded import processes
from wallet_project.utils.verification import Result, Verified, checks_by_app, checks_since, verify

_BLOCK = 10_000
_LANES = 2


def seal_all() -> None:
    from wallet_project.chain import sealing

    # As long blocks as there are: nobody waits for these.
    sealing.seal_all(rows=_BLOCK)


def verify_ledger() -> str:
    """What does not hold, by name; empty when all does. The bank's book is left out: nothing here goes over a bank."""
    from django.conf import settings

    with fresh_connection():
        checks = [check for _, check in checks_by_app(settings.LEDGER_CHECKS)]
        return _broken(verify(checks, timeout_seconds=300, lanes=_LANES))


def verify_new(verified: Verified) -> str:
    """The same of what came since a moment at which all held."""
    from django.conf import settings

    with fresh_connection():
        checks = checks_since(settings.LEDGER_CHECKS_SINCE, verified)
        return _broken(verify(checks, timeout_seconds=300, lanes=_LANES, of_new_rows=True))


def _broken(results: list[Result]) -> str:
    return ", ".join(f"{result.name} {result.unread}".strip() for result in results if not result.holds)


def sealed_so_far() -> Verified:
    from wallet_project.chain.reading import last_header

    with fresh_connection():
        head = last_header()
    assert head is not None, "the chain has a first block"
    return Verified(since=head.to_xact, moment=datetime.fromisoformat(head.sealed_at))


def database_time() -> datetime:
    now: datetime = _value("SELECT clock_timestamp()")
    return now


def cleared_since(began: datetime) -> int:
    return _value("SELECT count(*) FROM ledger_transaction WHERE cleared_at >= %s", began)


def claimed(keys: list[str]) -> int:
    """How many of the keys have been used."""
    return _value("SELECT count(*) FROM accounts_idempotencyclaim WHERE key = ANY(%s)", keys)


def times_since(began: datetime) -> list[float]:
    with fresh_connection() as cursor:
        cursor.execute(
            "SELECT extract(epoch FROM cleared_at - created_at) FROM ledger_transaction WHERE created_at >= %s", [began]
        )
        return [float(row[0]) for row in cursor.fetchall()]


def waiting_units() -> int:
    return _value("SELECT count(*) FROM ledger_workitem")


def wait_until_cleared() -> None:
    def nothing_waits() -> bool:
        return waiting_units() == 0

    if not processes.wait_until(nothing_waits, seconds=120, every=0.1):
        raise RuntimeError("the workers did not clear what was asked for")


def _value(sql: str, *parameters: object) -> Any:
    with fresh_connection() as cursor:
        cursor.execute(sql, list(parameters))
        return cursor.fetchone()[0]


@contextmanager
def fresh_connection() -> Iterator["object"]:
    """A cursor whose connection no forked process shares."""
    from django.db import connection

    try:
        with connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()
