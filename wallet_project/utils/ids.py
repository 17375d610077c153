"""Public ids: UUIDv7 (RFC 9562), so that the primary key's order is the order of creation, near enough to page by."""

import os
import threading
import time
from datetime import datetime
from typing import Final
from uuid import UUID

_VERSION: Final = 0x7 << 76
_VARIANT: Final = 0b10 << 62
_RANDOM_BITS: Final = 62
# So many ids' randomness is asked of the system at once: each time costs as much as the rest of an id.
_BATCH: Final = 512
_WIDTH: Final = 8

_lock = threading.Lock()
_last = 0
_random = b""


class RememberedId(UUID):
    """An id that is written several times on its way, as those of a payment are, and remembers how; else any other."""

    __slots__ = ("_text",)
    _text: str

    def __str__(self) -> str:
        try:
            return self._text
        except AttributeError:
            text = super().__str__()
            object.__setattr__(self, "_text", text)
            return text

    def __repr__(self) -> str:
        return f"UUID({str(self)!r})"


def read_id(text: str) -> UUID:
    """The id that `text` is, which has the canonical form, in small letters or capital ones."""
    found = RememberedId(int=int(text.replace("-", ""), 16))
    object.__setattr__(found, "_text", text.lower())
    return found


def uuid7() -> UUID:
    """Those of a process ascend. The time is told in 4096ths of a millisecond (method 3 of RFC 9562, section 6.2): a
    process would have to make four million ids a second for them to run ahead of the clock."""
    global _last, _random
    with _lock:
        _last = now = max((time.time_ns() << 12) // 1_000_000, _last + 1)
        if not _random:
            _random = os.urandom(_BATCH * _WIDTH)
        drawn, _random = _random[:_WIDTH], _random[_WIDTH:]
    milliseconds, fraction = now >> 12, now & 0xFFF
    random = int.from_bytes(drawn) >> (8 * _WIDTH - _RANDOM_BITS)
    return RememberedId(int=milliseconds << 80 | _VERSION | fraction << 64 | _VARIANT | random)


def first_id_at(instant: datetime, *, shift_ms: int) -> UUID:
    """The smallest UUIDv7 of the instant's millisecond, so many milliseconds later: where to begin or end to look along
    ids for a time, with some room for clocks that differ."""
    milliseconds = min(max(int(instant.timestamp() * 1000) + shift_ms, 0), 2**48 - 1)
    return UUID(int=milliseconds << 80)


def _begin_anew() -> None:
    """A child must not draw what its parent draws, nor wait for a lock that somebody held when it was made."""
    global _lock, _random
    _lock, _random = threading.Lock(), b""


os.register_at_fork(after_in_child=_begin_anew)
