"""When to try again what failed for a passing reason."""

from datetime import timedelta
from random import Random

BASE = timedelta(seconds=1)
CAP = timedelta(minutes=5)
MAX_TRIES = 8


def next_delay(attempt: int, rng: Random) -> timedelta | None:
    """How long to wait after the `attempt`-th try (1 is the first) failed; None when no try is left: ask a human.

    Full jitter: the wait is drawn evenly from zero to a bound that doubles. Of the usual schemes it spreads a crowd
    of clients best and does the least work in all (Brooker, "Exponential Backoff And Jitter", 2015).
    """
    if attempt < 1:
        raise ValueError(f"tries are counted from 1, not {attempt}")
    if attempt >= MAX_TRIES:
        return None
    bound = min(CAP, BASE * 2 ** (attempt - 1))
    return timedelta(seconds=rng.uniform(0, bound.total_seconds()))
