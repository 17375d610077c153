"""One town for all tests of this folder, for its processes take longer to start than the tests take to run."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.town import LEASE_SECONDS, SECONDS, Town
from tests.support.database import Databases
from wallet_project.demo.http import NotReached, call
from wallet_project.embedded import ports, processes, specs
from wallet_project.embedded.valkey import ValkeyServer
from wallet_project.sandbox.embedding import fresh_config, running_sandbox


@pytest.fixture(scope="session")
def town(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    folder: Path = tmp_path_factory.mktemp("town")
    with ExitStack() as stack:
        port, valkey_port = (stack.enter_context(ports.reserved()) for _ in range(2))
        base_url = f"http://{ports.LOOPBACK}:{port}"
        database = stack.enter_context(databases.copy())
        sandbox = stack.enter_context(running_sandbox(fresh_config(folder / "sandbox", wallet_url=base_url)))
        valkey = ValkeyServer(folder / "valkey", port=valkey_port, throwaway=True)
        valkey.start()
        stack.callback(valkey.stop)
        env = {
            **{name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"},
            **sandbox.wallet_settings(),
            "DATABASE_URL": database.app_dsn,
            "DATABASE_OWNER_URL": "",
            "REDIS_URL": valkey.url(),
            "PUBLIC_URL": base_url,
            "EMAIL_URL": "dummymail://",
            "LEASE_SECONDS": str(LEASE_SECONDS),
            "READ_ENV_FILES": "off",
        }
        made = Town(base_url, database, valkey, sandbox, folder, env)
        stack.callback(made.end)
        made.start(specs.web(env, port=port))
        assert processes.wait_until(lambda: _answers(base_url), seconds=SECONDS), "the web server does not answer"
        yield made


def _answers(base_url: str) -> bool:
    try:
        return call("GET", f"{base_url}/healthz").status == 200
    except NotReached:
        return False
