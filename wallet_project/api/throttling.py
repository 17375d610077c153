"""How often one user (or one address, before login) may call. Counts live in Redis; without Redis nobody is stopped:
the limit protects the service from a few, and must not take it away from all."""

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final
from uuid import UUID

from rest_framework.request import Request
from rest_framework.settings import api_settings
from rest_framework.throttling import BaseThrottle

from wallet_project.utils import volatile
from wallet_project.utils.errors import TooMany
from wallet_project.utils.identity import Counter

if TYPE_CHECKING:
    # The framework's views import this module while they are being imported themselves.
    from rest_framework.views import APIView

_USER: Final = "user"
_ADDRESS: Final = "address"
_PERIODS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True, slots=True)
class Window:
    """What of a scope's rate counts now: `limit` calls until `ends` (seconds since the epoch)."""

    scope: str
    limit: int
    seconds: int
    number: int

    @property
    def ends(self) -> float:
        return (self.number + 1) * self.seconds

    def counter(self, kind: str = _USER) -> Counter:
        """Where calls are counted: by user, or by address."""
        return Counter(f"throttle:{self.scope}:{kind}:", f":{self.number}", self.seconds + 1)

    def admits(self, calls: int | None) -> bool:
        """Whether so many are within the rate; without Redis (None) all are."""
        return calls is None or calls <= self.limit

    def refuse(self, calls: int | None, now: float) -> None:
        """Raises TooMany where so many are beyond the rate."""
        if not self.admits(calls):
            raise TooMany(retry_after=math.ceil(self.ends - now) or 1)


def window_of(scope: str, now: float) -> Window | None:
    """None where the scope has no rate."""
    limit, seconds = parse_rate(api_settings.DEFAULT_THROTTLE_RATES.get(scope))
    return None if limit is None else Window(scope, limit, seconds, int(now // seconds))


class FixedWindowThrottle(BaseThrottle):
    """One counter per scope, caller and window: one round trip. Rates ("600/min") by scope in REST_FRAMEWORK's
    DEFAULT_THROTTLE_RATES; a scope without a rate is not limited. A view names its own scope in `throttle_scope`."""

    scope: ClassVar[str] = "user"

    def __init__(self) -> None:
        self._wait: float | None = None

    def allow_request(self, request: Request, view: "APIView") -> bool:
        return self._count(request, getattr(view, "throttle_scope", None) or self.scope)

    def _count(self, request: Request, scope: str) -> bool:
        """Whether one more call is within the scope's rate."""
        now = time.time()
        window = window_of(scope, now)
        if window is None:
            return True
        kind, caller = self.caller(request)
        if window.admits(count(window.counter(kind), caller)):
            return True
        self._wait = window.ends - now
        return False

    def wait(self) -> float | None:
        return self._wait

    def caller(self, request: Request) -> tuple[str, str]:
        """What kind of caller is counted, and which."""
        if request.user and request.user.is_authenticated:
            return _USER, str(request.user.pk)
        return _ADDRESS, self.get_ident(request)


def count_call(user_id: UUID, scope: str) -> None:
    """Count a user's call against a scope beside the view's own, when its body says that it is one. Raises TooMany."""
    now = time.time()
    if (window := window_of(scope, now)) is not None:
        window.refuse(count(window.counter(), user_id), now)


def count(counter: Counter, caller: UUID | str) -> int | None:
    """How often the caller has called, this call among them; None without Redis."""
    return volatile.count(f"{counter.before}{caller}{counter.after}", seconds=counter.seconds)


def parse_rate(rate: object) -> tuple[int | None, int]:
    """'600/min' -> (600 calls, 60 seconds); (None, 0) when there is no rate."""
    if not isinstance(rate, str):
        return None, 0
    calls, period = rate.split("/")
    return int(calls), _PERIODS[period[0]]
