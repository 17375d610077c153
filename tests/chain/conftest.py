"""The chain's tests seal and verify with real commits, and tamper as the superuser with the triggers off."""

from collections.abc import Callable, Iterator

import psycopg
import pytest

Tamper = Callable[..., None]


@pytest.fixture
def superuser(admin_dsn: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(admin_dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture
def tamper(superuser: psycopg.Connection) -> Tamper:
    """Run SQL as nobody should: as the superuser, with no trigger, no foreign key."""

    def run(statement: str, *parameters: object) -> None:
        superuser.execute("SET session_replication_role = replica")
        superuser.execute(statement, parameters)
        superuser.execute("SET session_replication_role = origin")

    return run
