"""What every test may ask for. Real servers, the run's own; never the developer's (see tests/support/servers.py).

`db` (or the mark django_db) gives a database as migrations left it, with real commits; `redis_url` an empty Valkey
database. The outside world is a sandbox that the test starts; tasks are run by calling the services they call.
"""

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import cache
from typing import Any

import psycopg
import pytest
import redis
from pytest_django import DjangoDbBlocker

from tests.support.database import NO_DATABASE, Database, Databases
from tests.support.scheduling import FilesThatShare
from tests.support.servers import ServersProcess, TestServers, environment

_HOME = "WALLET_TEST_SERVERS"
_servers_process: ServersProcess | None = None
_servers: TestServers | None = None


def pytest_addoption(parser: pytest.Parser) -> None:
    how_deep = parser.getgroup("wallet", "how deep the proof goes (make test-deep)")
    how_deep.addoption("--steps", type=int, default=2_000, help="steps of the model of money")
    how_deep.addoption("--seed", type=int, default=1, help="the model's first seed; the next ones follow")
    how_deep.addoption("--shrink", action="store_true", help="look for the shortest way to what the model found")
    how_deep.addoption("--entries", type=int, default=100_000, help="entries of the database that plans are read of")
    how_deep.addoption("--rounds", type=int, default=3, help="how often each race is run")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """In depth, whatever happens at once happens more than once: one run for each twenty of `--rounds`."""
    runs = metafunc.config.getoption("--rounds") // 20
    if runs > 1 and "_at_once" in metafunc.function.__name__:
        metafunc.fixturenames.append("_run")
        metafunc.parametrize("_run", range(runs))


def pytest_configure(config: pytest.Config) -> None:
    """Before pytest-django sets Django up: point its settings at this run's servers."""
    config.addinivalue_line("markers", "own_database: the test's database is a copy of its own")
    config.addinivalue_line("markers", "thorough: takes long, of what changes rarely: `make test-thorough`, and CI")
    global _servers, _servers_process
    if os.environ.get("DJANGO_SETTINGS_MODULE"):
        raise pytest.UsageError(
            "Unset DJANGO_SETTINGS_MODULE: the settings would be read before the tests' own servers are known."
        )
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker:
        _servers = TestServers.read(os.environ[_HOME])
    else:
        _servers_process = ServersProcess()
        _servers = _servers_process.servers
        os.environ[_HOME] = _servers.home
    number = int(worker.removeprefix("gw")) + 1 if worker else 0
    os.environ.update(environment(_servers, database=NO_DATABASE, redis_number=number))

    from django.conf import settings

    os.environ["DJANGO_SETTINGS_MODULE"] = "wallet_project.settings"
    # Argon2 is slow on purpose, and no test is about it.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    # The workers of xdist, which are started next, inherit the environment and must come by here themselves.
    del os.environ["DJANGO_SETTINGS_MODULE"]


def pytest_collection_finish(session: pytest.Session) -> None:
    """What was imported stays: half a million objects that the collector need not look through again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)


def pytest_unconfigure(config: pytest.Config) -> None:
    if _servers_process is not None:
        _servers_process.stop()


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FilesThatShare:
    return FilesThatShare(config, log)


@pytest.fixture(scope="session")
def servers() -> TestServers:
    """This run's PostgreSQL and Valkey."""
    assert _servers is not None
    return _servers


@pytest.fixture(scope="session")
def databases(servers: TestServers) -> Iterator[Databases]:
    made = Databases(servers)
    yield made
    made.close()


@pytest.fixture(scope="session")
def django_db_setup() -> None:
    """pytest-django's would make and flush a test database of its own."""


@pytest.fixture
def database(request: pytest.FixtureRequest, databases: Databases, redis_url: str) -> Iterator[Database]:
    """This test's database, and where it is. Django's connections lead to it, but are still locked: ask for `db` to use
    them. The mark `own_database` is for tests that nobody else may be connected beside."""
    own = request.node.get_closest_marker("own_database") is not None
    with databases.own() if own else databases.lent() as made:
        yield made


@pytest.fixture
def _django_db_helper(database: Database, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """What pytest-django's `db`, `transactional_db`, `live_server` and its mark come down to."""
    with django_db_blocker.unblock():
        yield


@pytest.fixture
def empty_database(databases: Databases) -> Callable[[], AbstractContextManager[Database]]:
    """A context manager that makes a database with its roles and nothing in it."""
    return databases.empty


@pytest.fixture
def app_dsn(database: Database) -> str:
    """This test's database, for the application's role: for threads and processes with connections of their own."""
    return database.app_dsn


@pytest.fixture
def owner_dsn(database: Database) -> str:
    return database.owner_dsn


@pytest.fixture
def admin_dsn(database: Database) -> str:
    return database.admin_dsn


@pytest.fixture
def app_connection(app_dsn: str) -> Iterator[psycopg.Connection]:
    """psycopg as wallet_app, autocommit: for hand-written SQL."""
    with psycopg.connect(app_dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture
def owner_connection(owner_dsn: str) -> Iterator[psycopg.Connection]:
    """psycopg as wallet_owner, autocommit."""
    with psycopg.connect(owner_dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture
def redis_url(servers: TestServers) -> str:
    """This worker's Valkey database, empty; cache and broker of the settings are here."""
    _valkey().flushdb()
    return os.environ["REDIS_URL"]


@cache
def _valkey() -> redis.Redis:
    return redis.Redis.from_url(os.environ["REDIS_URL"])


@pytest.fixture(autouse=True)
def nudges() -> Iterator[list[str]]:
    """The tasks that nudges asked for so far; nothing is sent to a broker."""
    from compliance.watchlists import forget_lists
    from wallet_project.utils import volatile
    from wallet_project.utils.nudges import set_sender

    sent: list[str] = []
    volatile.reset_breaker()
    # The lists in force are another database's.
    forget_lists()
    set_sender(sent.append)
    yield sent
    set_sender(None)
