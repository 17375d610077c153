from datetime import timedelta
from random import Random

import pytest

from wallet_project.utils.retry import BASE, CAP, MAX_TRIES, next_delay


class Highest(Random):
    def uniform(self, a: float, b: float) -> float:
        return b


def test_the_bound_doubles_from_a_second() -> None:
    bounds = [next_delay(attempt, Highest()) for attempt in range(1, MAX_TRIES)]
    assert bounds == [timedelta(seconds=seconds) for seconds in (1, 2, 4, 8, 16, 32, 64)]


def test_eight_tries_are_made_and_no_more() -> None:
    assert MAX_TRIES == 8
    assert next_delay(7, Random(1)) is not None
    assert next_delay(8, Random(1)) is None
    assert next_delay(9, Random(1)) is None


def test_the_waits_fill_the_whole_range_and_stay_in_it() -> None:
    rng = Random(7)
    waits = [next_delay(4, rng) for _ in range(2000)]
    seconds = [wait.total_seconds() for wait in waits if wait is not None]
    assert len(seconds) == 2000
    assert 0 <= min(seconds) < 0.1
    assert 7.9 < max(seconds) <= 8
    assert 3.7 < sum(seconds) / len(seconds) < 4.3


def test_no_wait_is_longer_than_five_minutes() -> None:
    assert (timedelta(seconds=1), timedelta(minutes=5)) == (BASE, CAP)
    assert all((next_delay(attempt, Highest()) or CAP) <= CAP for attempt in range(1, 100))


def test_tries_are_counted_from_one() -> None:
    with pytest.raises(ValueError, match="counted from 1"):
        next_delay(0, Random(1))
