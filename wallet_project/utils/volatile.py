"""What Redis remembers for us, none of which we may depend on: every call works, slower, when Redis is gone.

Django's cache (django-redis) behind a breaker: after a failure nobody in this process asks again for a moment, so
that a dead Redis costs one short timeout a second instead of one per request.
"""

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, TypeVar

import structlog
from django.core.cache import cache
from django_redis.exceptions import ConnectionInterrupted
from redis.exceptions import NoScriptError, RedisError

logger = structlog.get_logger(__name__)

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Script:
    """Lua that Redis runs as one command: several questions in one round trip."""

    text: str
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        # The name that Redis gives a script, which protects nothing.
        object.__setattr__(self, "digest", hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest())


#: What a call gives when Redis could not be asked.
UNREACHABLE: Final = None

REDIS_FAILURES = (RedisError, ConnectionInterrupted)
_PAUSE_SECONDS: Final = 1.0
_MAX_LATE: Final = 10_000
_COUNT: Final = Script(
    """
    local calls = redis.call('INCR', KEYS[1])
    if calls == 1 then redis.call('EXPIRE', KEYS[1], ARGV[1]) end
    return calls
    """
)
# As django-redis writes values (settings.CACHES: JSON).
_ADD_ALL: Final = Script(
    """
    for number, key in ipairs(KEYS) do
        redis.call('SET', key, ARGV[2 * number - 1], 'EX', ARGV[2 * number], 'NX')
    end
    """
)

_closed_until = 0.0
#: What Redis has still to be told: the value and its seconds by key, None for a deletion.
_late: dict[str, tuple[object, float] | None] = {}


def fetch(*keys: str) -> dict[str, object] | None:
    """Those of `keys` that are there, or None when Redis cannot be asked: for callers to whom that is a difference."""
    return _ask(lambda: dict(cache.get_many(keys)))


def add(key: str, value: object, *, seconds: float) -> bool | None:
    """True when `key` was free and is now set; False when it was taken; None when Redis cannot be asked."""
    return _ask(lambda: bool(cache.add(key, value, timeout=seconds)))


def add_all(entries: Mapping[str, tuple[object, int]]) -> None:
    """`add` each value that is not there yet, for its seconds; one round trip."""
    arguments = [text for value, seconds in entries.values() for text in (json.dumps(value), seconds)]
    run(_ADD_ALL, list(entries), arguments)


def put(key: str, value: object, *, seconds: float) -> None:
    _ask(lambda: cache.set(key, value, timeout=seconds))


def drop(key: str) -> None:
    """Delete `key`, insisting: what should have gone may otherwise be believed until it expires."""
    _insist(key, None)


def overwrite(key: str, value: object, *, seconds: float) -> None:
    """Put, insisting: for a value that takes back another. It is tried even while the breaker is open, and again,
    before anything is read, when Redis is back."""
    _insist(key, (value, seconds))


def count(key: str, *, seconds: int) -> int | None:
    """Add one to a counter that lives for `seconds` from its first count. None when Redis cannot be asked."""
    counted = run(_COUNT, [key], [seconds])
    return None if counted is None else int(counted)


def run(script: Script, keys: Sequence[str], arguments: Sequence[str | int]) -> Any:
    """What the script gives, as Redis says it; None when it gives nothing, or Redis cannot be asked."""
    return _ask(lambda: _run(script, keys, arguments))


def stored_name(key: str) -> str:
    """The key as a script sees it: keys that it makes up from parts begin with this."""
    return _prefix() + key


@lru_cache(maxsize=1)
def _prefix() -> str:
    # Of a key named "" nothing but what all keys begin with; asking for each takes longer than a lookup in Redis.
    return str(cache.make_key(""))


def _run(script: Script, keys: Sequence[str], arguments: Sequence[str | int]) -> Any:
    client = cache.client.get_client(write=True)  # type: ignore[attr-defined]
    names = [stored_name(key) for key in keys]
    try:
        return client.evalsha(script.digest, len(names), *names, *arguments)
    except NoScriptError:  # Redis was started anew, and has not seen it yet.
        return client.eval(script.text, len(names), *names, *arguments)


def reset_breaker() -> None:
    """Ask Redis again at once."""
    global _closed_until
    _closed_until = 0.0


def _ask(call: Callable[[], Value]) -> Value | None:
    if time.monotonic() < _closed_until:
        return UNREACHABLE
    for key, late in list(_late.items()):
        if not _tell(key, late):
            return UNREACHABLE
        _late.pop(key, None)
    results: list[Value] = []
    return results[0] if _attempt(lambda: results.append(call())) else UNREACHABLE


def _insist(key: str, value: tuple[object, float] | None) -> None:
    if not _tell(key, value) and len(_late) < _MAX_LATE:
        _late[key] = value


def _tell(key: str, value: tuple[object, float] | None) -> bool:
    if value is None:
        return _attempt(lambda: cache.delete(key))
    return _attempt(lambda: cache.set(key, value[0], timeout=value[1]))


def _attempt(call: Callable[[], object]) -> bool:
    global _closed_until
    try:
        call()
    except REDIS_FAILURES as error:
        _closed_until = time.monotonic() + _PAUSE_SECONDS
        logger.warning("redis_unreachable", error=type(error).__name__)
        return False
    return True
