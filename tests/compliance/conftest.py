"""The outside world as these tests want it: a sandbox of each test's own."""

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
