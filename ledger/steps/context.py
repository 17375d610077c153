"""What every step demands."""

from django.db import connection


def assert_open() -> None:
    assert connection.in_atomic_block, "a step belongs to the use case's transaction"
