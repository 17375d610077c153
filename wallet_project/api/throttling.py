"""How often one user (or one address, before login) may call. Counts live in Redis; without Redis nobody is stopped:
the limit protects the service from a few, and must not take it away from all."""

import math
import time
from typing import TYPE_CHECKING, ClassVar, Final

from rest_framework.request import Request
from rest_framework.settings import api_settings
from rest_framework.throttling import BaseThrottle

from wallet_project.utils import volatile
from wallet_project.utils.errors import TooMany

if TYPE_CHECKING:
    # The framework's views import this module while they are being imported themselves.
    from rest_framework.views import APIView

_PERIODS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class FixedWindowThrottle(BaseThrottle):
    """One counter per scope, caller and window: one round trip. Rates ("600/min") by scope in REST_FRAMEWORK's
    DEFAULT_THROTTLE_RATES; a scope without a rate is not limited. A view names its own scope in `throttle_scope`."""

    scope: ClassVar[str] = "user"

    def __init__(self) -> None:
        self._wait: float | None = None

    def allow_request(self, request: Request, view: "APIView") -> bool:
        return self.count(request, getattr(view, "throttle_scope", None) or self.scope)

    def count(self, request: Request, scope: str) -> bool:
        """Whether one more call is within the scope's rate."""
        limit, seconds = parse_rate(api_settings.DEFAULT_THROTTLE_RATES.get(scope))
        if limit is None:
            return True
        now = time.time()
        window = int(now // seconds)
        calls = volatile.count(f"throttle:{scope}:{self.caller(request)}:{window}", seconds=seconds + 1)
        if calls is None or calls <= limit:
            return True
        self._wait = (window + 1) * seconds - now
        return False

    def wait(self) -> float | None:
        return self._wait

    def caller(self, request: Request) -> str:
        if request.user and request.user.is_authenticated:
            return f"user:{request.user.pk}"
        return f"address:{self.get_ident(request)}"


def count_call(request: Request, scope: str) -> None:
    """Count a call against a scope beside the view's own, when its body says that it is one. Raises TooMany."""
    throttle = FixedWindowThrottle()
    if not throttle.count(request, scope):
        raise TooMany(retry_after=math.ceil(throttle.wait() or 1))


def parse_rate(rate: object) -> tuple[int | None, int]:
    """'600/min' -> (600 calls, 60 seconds); (None, 0) when there is no rate."""
    if not isinstance(rate, str):
        return None, 0
    calls, period = rate.split("/")
    return int(calls), _PERIODS[period[0]]
