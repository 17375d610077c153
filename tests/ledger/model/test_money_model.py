"""Whatever customers, officers, workers and banks do in whatever order, the books are those of a model in plain Python.

Each seed is so many steps in towns of their own. `make test-deep` runs many; a seed that failed is run again by
`--seed N --steps 1`, and with `--shrink` (minutes) hypothesis prints the shortest way to the failure that it finds.
"""

from typing import Any

import pytest

from tests.ledger.model.machine import Machine, run
from tests.ledger.model.town import Founded

STEPS_PER_SEED = 500
#: So many run with the quick tests, the others with the thorough ones.
_QUICK_SEEDS = 2
_APART = 1_000_000


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "number" in metafunc.fixturenames:
        steps, first = (metafunc.config.getoption(option) for option in ("--steps", "--seed"))
        seeds = range(first, first + -(-steps // STEPS_PER_SEED))
        metafunc.parametrize("number", [_case(number, quick=number < first + _QUICK_SEEDS) for number in seeds])


def _case(number: int, *, quick: bool) -> Any:
    return pytest.param(number, id=f"seed-{number}", marks=() if quick else pytest.mark.thorough)


def test_the_wallet_behaves_as_its_model(
    number: int, origin: Founded, redis_url: str, pytestconfig: pytest.Config
) -> None:
    shrink = pytestconfig.getoption("--shrink")

    class Wallet(Machine):
        pass

    Wallet.origin = origin
    # Hypothesis may end a town before its time: then the seed goes on with others.
    more = 0
    while Wallet.steps < STEPS_PER_SEED:
        run(Wallet, number + more, steps=STEPS_PER_SEED - Wallet.steps, shrink=shrink)
        more += _APART
