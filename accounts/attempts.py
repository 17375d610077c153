"""Where allauth counts attempts to log in, to sign up and to guess codes: in Redis, and while Redis is gone in this
process's memory. People can log in meanwhile, and guessing stays limited, by each process for itself."""

from typing import Any

import allauth.core.internal.ratelimit
import allauth.mfa.totp.internal.auth
from django.core.cache.backends.locmem import LocMemCache

from wallet_project.utils import volatile


class AttemptsCache:
    """The part of Django's cache that allauth uses."""

    def __init__(self) -> None:
        self._memory = LocMemCache("attempts", {"OPTIONS": {"MAX_ENTRIES": 10_000}})

    def add(self, key: str, value: Any, timeout: float) -> bool:
        added = volatile.add(key, value, seconds=timeout)
        return self._memory.add(key, value, timeout) if added is None else added

    def get(self, key: str, default: Any = None) -> Any:
        found = volatile.fetch(key)
        return self._memory.get(key, default) if found is None else found.get(key, default)

    def set(self, key: str, value: Any, timeout: float) -> None:
        # In both, so that what was counted before Redis went still counts.
        self._memory.set(key, value, timeout)
        volatile.put(key, value, seconds=timeout)

    def delete(self, key: str) -> None:
        self._memory.delete(key)
        volatile.drop(key)


def install() -> None:
    """allauth has no setting for its cache; a test sees that these modules still look for it there."""
    cache = AttemptsCache()
    allauth.core.internal.ratelimit.cache = cache
    allauth.mfa.totp.internal.auth.cache = cache
