"""What happens to Redis, played."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.test import override_settings

from wallet_project.api.defaults import caches
from wallet_project.utils import volatile

# Nobody listens on port 1, and only root could.
_NOWHERE = "redis://127.0.0.1:1/0"


@contextmanager
def redis_is_away() -> Iterator[None]:
    """Connections to Redis are refused meanwhile."""
    with override_settings(CACHES=caches(_NOWHERE)):
        volatile.reset_breaker()
        yield
    volatile.reset_breaker()
