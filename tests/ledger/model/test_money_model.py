"""Whatever customers, officers, workers and banks do in whatever order, the books are those of a model in plain Python.

Each seed is so many steps in towns of their own. `make test-deep` runs many; a seed that failed is run again by
`--seed N --steps 1`, and with `--shrink` (minutes) hypothesis prints the shortest way to the failure that it finds.
"""

from collections.abc import Iterator

import pytest
from django.test import override_settings
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test
from pytest_django import DjangoDbBlocker

from tests.ledger.model.machine import Machine
from tests.ledger.model.town import Founded, founded
from tests.support.database import Databases

#: As the model has them (tests/ledger/model/requests.py): 3 for a payout; 5 and a per cent for transfers from 100 on.
FEES = {
    "withdrawal": {"EUR": [{"flat": 3}]},
    "transfer": {"EUR": [{"from": 100, "flat": 5, "basis_points": 100}]},
}
STEPS_PER_SEED = 500
STEPS_PER_TOWN = 50


@pytest.fixture(scope="module")
def origin(databases: Databases, django_db_blocker: DjangoDbBlocker) -> Iterator[Founded]:
    with django_db_blocker.unblock(), founded(databases) as made:
        yield made


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "number" in metafunc.fixturenames:
        steps, first = (metafunc.config.getoption(option) for option in ("--steps", "--seed"))
        seeds = range(first, first + -(-steps // STEPS_PER_SEED))
        metafunc.parametrize("number", seeds, ids=[f"seed-{number}" for number in seeds])


def test_the_wallet_behaves_as_its_model(
    number: int, origin: Founded, redis_url: str, pytestconfig: pytest.Config
) -> None:
    shrink = pytestconfig.getoption("--shrink")

    class Wallet(Machine):
        pass

    Wallet.origin = origin
    with override_settings(FEES=FEES):
        run(Wallet, number, shrink=shrink)
    assert Wallet.steps >= STEPS_PER_SEED * 0.9


def run(machine: type[Machine], number: int, *, shrink: bool = False) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        seed(number)(machine),
        settings=settings(
            max_examples=STEPS_PER_SEED // STEPS_PER_TOWN,
            stateful_step_count=STEPS_PER_TOWN,
            deadline=None,
            database=None,
            report_multiple_bugs=False,
            phases=[Phase.generate, *([Phase.shrink] if shrink else [])],
            suppress_health_check=list(HealthCheck),
        ),
    )
