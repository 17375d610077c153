"""Where the bench's own time goes."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """Seconds by what they were spent on; what is timed within something else counts for itself alone."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = defaultdict(float)
        self._under_way: list[str] = []
        self._since = time.perf_counter()

    @contextmanager
    def timing(self, what: str) -> Iterator[None]:
        self._book()
        self._under_way.append(what)
        try:
            yield
        finally:
            self._book()
            self._under_way.pop()

    def _book(self) -> None:
        now = time.perf_counter()
        if self._under_way:
            self._seconds[self._under_way[-1]] += now - self._since
        self._since = now

    def seconds(self) -> dict[str, int]:
        """The longest first."""
        self._book()
        return {what: round(spent) for what, spent in sorted(self._seconds.items(), key=lambda pair: -pair[1])}
