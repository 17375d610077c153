from collections.abc import Iterator

import pytest

from tests.support.cache import redis_is_away


@pytest.fixture
def dead_redis() -> Iterator[None]:
    with redis_is_away():
        yield
