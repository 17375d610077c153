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
