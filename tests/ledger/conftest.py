"""A bank to ask: the sandbox, with a book of its own for each test."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from wallet_project.sandbox.embedding import RunningSandbox, fresh_config, running_sandbox


@pytest.fixture
def sandbox(tmp_path: Path, settings: Any) -> Iterator[RunningSandbox]:
    with running_sandbox(fresh_config(tmp_path / "sandbox")) as running:
        for name, value in running.wallet_settings().items():
            setattr(settings, name, value)
        yield running


@pytest.fixture(params=["django", "door"])
def both_ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test is run twice: its customers come by Django's test client, and as over the web server, by the door."""
    if request.param == "door":
        # Not above: conftest files are read before Django is set up. Nor later: it sets logging up, and so takes away
        # what listens to a test that has begun.
        import wallet_project.wsgi  # noqa: F401
        from tests.support import factories
        from tests.support.door import DoorClient

        monkeypatch.setattr(factories, "APIClient", DoorClient)
