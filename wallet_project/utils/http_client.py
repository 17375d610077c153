"""The one way in which the wallet calls a provider outside.

Every call is bounded in time and size whatever the other side does, carries an idempotency key where it makes
something, follows no redirect, uses no proxy from the environment, and is never made inside a database transaction.
"""

import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, ClassVar, Final
from urllib.parse import urlencode, urlsplit

import httpcore
from django.conf import settings
from django.db import connections

from wallet_project.utils.context import request_id
from wallet_project.utils.errors import DomainError, Unavailable

JsonObject = dict[str, Any]

# Refusals that say "not now" rather than "not this". 409 is how a server says that the first request under the same
# idempotency key is still being worked on: to take it for a refusal would be to fail money that may be on its way.
_TRANSIENT = {
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.CONFLICT,
    HTTPStatus.TOO_EARLY,
    HTTPStatus.TOO_MANY_REQUESTS,
}
_NOT_SENT = (httpcore.ConnectError, httpcore.ConnectTimeout, httpcore.PoolTimeout)
#: The code of a 404 by which a provider says that it knows no such payment or check.
UNKNOWN_REFERENCE: Final = "unknown_reference"
_MAX_CONNECTIONS = 16
_KEEPALIVE_SECONDS = 15.0
# One socket operation gets at most this much to send, so that a peer that reads slowly meets the deadline.
_WRITE_CHUNK = 16_384
# A connection that was used so lately is not looked at to see whether its server has closed it.
_IN_USE_SECONDS = 1.0


class ProviderUnavailable(DomainError):
    """A passing failure: ask again later, with the same idempotency key.

    `may_have_reached` is False only when it is certain that the provider did not get the request.
    """

    code = "provider_unavailable"
    message = "The provider cannot be reached or did not give a usable answer."

    def __init__(self, message: str, /, *, may_have_reached: bool, status: int | None = None) -> None:
        super().__init__(message, may_have_reached=may_have_reached, status=status)
        self.may_have_reached = may_have_reached
        self.status = status


class ProviderRefused(DomainError):
    """The provider will not take this request, however often it is sent.

    It says nothing about earlier requests under the same key: whoever may have been heard before asks for the status.
    `body` is the provider's answer, {} when it was not JSON; it may hold personal data and is not logged.
    """

    code = "provider_refused"
    message = "The provider refused the request."

    def __init__(self, message: str, /, *, status: int, body: JsonObject) -> None:
        super().__init__(message, status=status)
        self.status = status
        self.body = body


class ProviderAnswerMismatch(DomainError):
    """The provider answered something else than what it was asked. Nobody may act on it; a human looks."""

    code = "provider_answer_mismatch"
    message = "The provider's answer does not match what it was asked."

    def __init__(self, message: str, /, *, raw: JsonObject) -> None:
        super().__init__(message)
        self.raw = raw


class ProviderNotConfigured(Unavailable):
    """There is nobody to ask, so nothing is approved and no money leaves."""

    code: ClassVar[str] = "provider_not_configured"
    message = "No provider is configured."


@dataclass(frozen=True, slots=True)
class CallLimits:
    """Bounds of one call. `total_seconds` holds for everything together, from the wait for a free connection to the
    last byte of the body. Only a slow name server is outside of it: the system's resolver has timeouts of its own."""

    connect_seconds: float = 2.0
    total_seconds: float = 10.0
    max_response_bytes: int = 1_048_576


DEFAULT_LIMITS = CallLimits()


def assert_no_transaction() -> None:
    """Raises RuntimeError inside a database transaction: a slow provider would hold its locks."""
    # Before the settings are loaded there is no connection that could have one open.
    if settings.configured:
        for connection in connections.all(initialized_only=True):
            if connection.in_atomic_block:
                raise RuntimeError("a call to a provider inside a database transaction")


#: The headers that sign a call: of its key, and of what is signed: its body or, without one, what follows the host.
Signer = Callable[[str, bytes], Mapping[str, str]]


class ProviderClient:
    """JSON over HTTP to one provider, with a bearer key or signed. Threads may share it; connections are kept and
    reused."""

    def __init__(
        self, *, base_url: str, api_key: str = "", signer: Signer | None = None, limits: CallLimits = DEFAULT_LIMITS
    ) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("a provider's base url is http(s)://host[:port][/path]")
        if not (api_key or signer) or not api_key.isascii() or not api_key.isprintable():
            raise ValueError("a provider's key is printable ASCII")
        self._signer = signer
        self._base_url = base_url.rstrip("/")
        self._api_key = api_key
        self._limits = limits
        self._lock = threading.Lock()
        self._pool: httpcore.ConnectionPool | None = None
        self._pool_pid = 0

    def get(self, path: str, *, query: Mapping[str, str] | None = None) -> JsonObject:
        """Raises ProviderUnavailable, ProviderRefused."""
        return self._call("GET", path + (f"?{urlencode(query)}" if query else ""), {}, None)

    def find(self, path: str) -> JsonObject | None:
        """None when the provider knows nothing under the reference in `path`. Raises ProviderUnavailable,
        ProviderRefused: also for any other 404, which says that we asked at a wrong door."""
        try:
            return self.get(path)
        except ProviderRefused as refusal:
            if refusal.status == HTTPStatus.NOT_FOUND and refusal.body.get("code") == UNKNOWN_REFERENCE:
                return None
            raise

    def post(self, path: str, body: JsonObject, *, idempotency_key: str) -> JsonObject:
        """Raises ProviderUnavailable, ProviderRefused."""
        headers = {"Idempotency-Key": idempotency_key, "Content-Type": "application/json"}
        return self._call("POST", path, headers, json.dumps(body, separators=(",", ":")).encode())

    def close(self) -> None:
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None and self._pool_pid == os.getpid():
            pool.close()

    def _call(self, method: str, target: str, headers: dict[str, str], content: bytes | None) -> JsonObject:
        assert_no_transaction()
        headers = {
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": "wallet",
            "X-Request-ID": request_id.get() or "-",
            **({"Authorization": f"Bearer {self._api_key}"} if self._api_key else {}),
            **headers,
        }
        if self._signer is not None:
            path = urlsplit(self._base_url).path
            signed = content if content is not None else (path + target).encode()
            headers.update(self._signer(headers.get("Idempotency-Key", ""), signed))
        started = _deadline.set(time.monotonic() + self._limits.total_seconds)
        try:
            status, raw = self._exchange(method, self._base_url + target, headers, content)
        except _NOT_SENT as error:
            raise ProviderUnavailable(f"not reached: {type(error).__name__}", may_have_reached=False) from error
        except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.RemoteProtocolError) as error:
            raise ProviderUnavailable(f"no answer: {type(error).__name__}", may_have_reached=True) from error
        finally:
            _deadline.reset(started)
        return _read_answer(status, raw)

    def _exchange(self, method: str, url: str, headers: dict[str, str], content: bytes | None) -> tuple[int, bytes]:
        limits = self._limits
        timeouts = {
            "connect": limits.connect_seconds,
            "read": limits.total_seconds,
            "write": limits.total_seconds,
            "pool": limits.total_seconds,
        }
        extensions = {"timeout": timeouts}
        stream = self._connections().stream
        with stream(method, url, headers=list(headers.items()), content=content, extensions=extensions) as response:
            received = bytearray()
            for chunk in response.iter_stream():
                received += chunk
                if len(received) > limits.max_response_bytes:
                    raise ProviderUnavailable("the answer is too large", may_have_reached=True, status=response.status)
            return response.status, bytes(received)

    def _connections(self) -> httpcore.ConnectionPool:
        with self._lock:
            # A forked worker must not write into its parent's sockets.
            if self._pool is None or self._pool_pid != os.getpid():
                self._pool = httpcore.ConnectionPool(
                    max_connections=_MAX_CONNECTIONS,
                    keepalive_expiry=_KEEPALIVE_SECONDS,
                    network_backend=_DeadlineBackend(),
                )
                self._pool_pid = os.getpid()
            return self._pool


def _read_answer(status: int, raw: bytes) -> JsonObject:
    body = _parse(raw)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _TRANSIENT:
        raise ProviderUnavailable(f"answered {status}", may_have_reached=True, status=status)
    if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        raise ProviderRefused(f"answered {status}", status=status, body=body or {})
    if body is None:
        raise ProviderUnavailable("answered something that is no JSON object", may_have_reached=True, status=status)
    return body


def _parse(raw: bytes) -> JsonObject | None:
    try:
        body = json.loads(raw)
    # RecursionError: a body of nothing but opening brackets.
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


# httpcore's timeouts hold for a single socket operation, so that a peer sending one byte at a time could hold a worker
# for hours. Below them, each operation is given what is left of the whole call.
_deadline: ContextVar[float] = ContextVar("provider_call_deadline")


def _left(timeout: float | None, error: type[Exception]) -> float:
    left = _deadline.get() - time.monotonic()
    if left <= 0:
        raise error("the call took too long")
    return left if timeout is None else min(left, timeout)


class _DeadlineStream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner
        self._used_at = time.monotonic()

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self._used_at = time.monotonic()
        return self._inner.read(max_bytes, _left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._used_at = time.monotonic()
        for start in range(0, len(buffer), _WRITE_CHUNK):
            self._inner.write(buffer[start : start + _WRITE_CHUNK], _left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(self, *args: Any, **kwargs: Any) -> httpcore.NetworkStream:
        kwargs["timeout"] = _left(kwargs.get("timeout"), httpcore.ConnectTimeout)
        return _DeadlineStream(self._inner.start_tls(*args, **kwargs))

    def get_extra_info(self, info: str) -> Any:
        # The pool takes an idle connection with something to read for one that its server has closed. It looks at all
        # of them, without a lock, and so would close one that another thread has meanwhile been answered on.
        if info == "is_readable" and time.monotonic() - self._used_at < _IN_USE_SECONDS:
            return False
        return self._inner.get_extra_info(info)


class _DeadlineBackend(httpcore.NetworkBackend):
    def __init__(self) -> None:
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        left = _left(timeout, httpcore.ConnectTimeout)
        return _DeadlineStream(self._inner.connect_tcp(host, port, left, local_address, socket_options))
