"""How often each race is run."""

import pytest


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "race" in metafunc.fixturenames:
        metafunc.parametrize("race", range(metafunc.config.getoption("--rounds")))
