"""Django behind the web server's event loop: granian speaks RSGI to the loop (its docs/spec/RSGI.md), and Django's
handler is called by WSGI (PEP 3333), each request in a thread, so that the loop waits for none.

What has to be sent is handed to the server whole, however slowly its caller reads: a slow reader keeps no thread and no
connection to the database.
"""

import asyncio
import io
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Protocol, TypeVar

from granian.rsgi import ProtocolClosed as ProtocolClosed  # type: ignore[attr-defined]  # it is in its documentation

from wallet_project.utils.errors import TooBusy

Environ = dict[str, Any]
#: Django's handler: it gives an HttpResponse.
Application = Callable[[Environ, Callable[..., Any]], Any]
Headers = list[tuple[str, str]]
Result = TypeVar("Result")

_ENVIRON: Final[Environ] = {
    "GATEWAY_INTERFACE": "CGI/1.1",
    "SCRIPT_NAME": "",
    "wsgi.errors": sys.stderr,
    "wsgi.multiprocess": True,
    "wsgi.multithread": True,
    "wsgi.run_once": False,
    "wsgi.version": (1, 0),
}
#: So long the next piece of a body is waited for, and all of one that comes in many (a document over a slow line).
PIECE_SECONDS: Final = 10.0
BODY_SECONDS: Final = 120.0
#: As long as most bodies may be.
_READ_AHEAD_BYTES: Final = 64 * 1024
#: Two lines of a header are one, by RFC 9110 (5.3), and cookies by RFC 9113 (8.2.3).
_BETWEEN: Final = {"HTTP_COOKIE": "; "}


class Scope(Protocol):
    """What the server says of a request, as RSGI has it."""

    scheme: str
    method: str
    path: str
    query_string: str
    http_version: str
    server: str
    client: str
    authority: str | None
    headers: Any


class Exchange(Protocol):
    """Where a request's body comes from and its answer goes to; what is answered after the first is nothing to it."""

    async def __call__(self) -> bytes: ...
    def __aiter__(self) -> Any: ...
    def response_bytes(self, status: int, headers: Headers, body: bytes) -> None: ...
    def response_stream(self, status: int, headers: Headers) -> Any: ...


def environ_of(scope: Scope) -> Environ:
    """The request's environment as WSGI wants it, without `wsgi.input`."""
    environ = _ENVIRON.copy()
    for name, value in scope.headers.items():
        if "_" in name:
            continue  # X_Forwarded_For, which no proxy sets, would be taken for X-Forwarded-For.
        variable = _variable(name)
        before = environ.get(variable)
        environ[variable] = value if before is None else before + _BETWEEN.get(variable, ",") + value
    environ["REQUEST_METHOD"] = scope.method
    # Bytes of UTF-8, each as the character of its number (PEP 3333).
    path = scope.path
    environ["PATH_INFO"] = path if path.isascii() else path.encode().decode("latin-1")
    environ["QUERY_STRING"] = scope.query_string
    environ["SERVER_PROTOCOL"] = f"HTTP/{scope.http_version}"
    environ["SERVER_NAME"], environ["SERVER_PORT"] = _address(scope.server)
    environ["REMOTE_ADDR"] = _address(scope.client)[0]
    environ["wsgi.url_scheme"] = scope.scheme
    if "HTTP_HOST" not in environ and scope.authority:
        environ["HTTP_HOST"] = scope.authority
    return environ


@lru_cache(maxsize=1024)
def _variable(header: str) -> str:
    name = header.upper().replace("-", "_")
    return name if name in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{name}"


def _address(told: str) -> tuple[str, str]:
    """Host and port; the path of a socket has none."""
    host, _, port = told.rpartition(":")
    return (host.strip("[]"), port) if port.isdigit() else (told, "")


def length_of(environ: Environ) -> int:
    """Of its body, as it says; 0 where it does not say so in plain digits."""
    length: str = environ.get("CONTENT_LENGTH", "")
    return int(length) if length.isascii() and length.isdigit() else 0


def is_long(environ: Environ) -> bool:
    return length_of(environ) > _READ_AHEAD_BYTES


async def take_body(environ: Environ, exchange: Exchange) -> None:
    """Give it its `wsgi.input`. A body of usual length is read here, where a slow sender keeps no thread; a longer one
    by whoever wants it, as it comes. Raises ProtocolClosed: the caller has gone; TimeoutError."""
    length = length_of(environ)
    if is_long(environ):
        environ["wsgi.input"] = io.BufferedReader(_Body(exchange, asyncio.get_running_loop(), length))
        return
    body = b""
    if length:
        async with asyncio.timeout(PIECE_SECONDS):
            body = await exchange()
    environ["wsgi.input"] = io.BytesIO(body)


async def hear_out(environ: Environ, exchange: Exchange) -> None:
    """Whoever was answered before his body came: the server closes a connection on which it was not read to its end,
    and the next request on it would break. A long one is not worth it."""
    if "wsgi.input" not in environ:
        with suppress(ProtocolClosed, TimeoutError):
            await take_body(environ, exchange)


class _Body(io.RawIOBase):
    """Read in a thread. Raises OSError where it does not come, or not as long as was said: half a file is none."""

    def __init__(self, exchange: Exchange, loop: asyncio.AbstractEventLoop, length: int) -> None:
        self._exchange = exchange
        self._loop = loop
        self._missing = length
        self._until = time.monotonic() + BODY_SECONDS
        self._pieces: Any = None
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._left and self._missing:
            self._left = memoryview(self._piece())
            self._missing -= len(self._left)
        size = min(len(buffer), len(self._left))
        buffer[:size], self._left = self._left[:size], self._left[size:]
        return size

    def _piece(self) -> bytes:
        coming = asyncio.run_coroutine_threadsafe(self._next(), self._loop)
        try:
            piece = coming.result(min(PIECE_SECONDS, self._until - time.monotonic()))
        except TimeoutError:
            coming.cancel()
            raise
        if not piece:
            raise ConnectionResetError("it ended before its end")
        return piece

    async def _next(self) -> bytes:
        if self._pieces is None:
            self._pieces = aiter(self._exchange)
        return bytes(await anext(self._pieces, b""))


class Room:
    """How many requests are worked on at once; None: any number. Nobody waits for a place: who finds none is to come
    again."""

    def __init__(self, places: int | None) -> None:
        self._places = places
        self._taken = 0

    def refuse_if_full(self) -> None:
        """Raises TooBusy."""
        if self._places is not None and self._taken >= self._places:
            raise TooBusy()

    @contextmanager
    def place(self) -> Iterator[None]:
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1


class Gateway:
    """`threads` requests at the most are worked on at a time, `places` of them are there; None: any number."""

    def __init__(self, application: Application, *, threads: int, places: int | None) -> None:
        self._application = application
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="django")
        self.room = Room(places)

    async def serve(self, environ: Environ, exchange: Exchange) -> None:
        """`environ` has its `wsgi.input`."""
        await self.run(self._serve, environ, exchange)

    async def run(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """What takes its time, in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)

    def _serve(self, environ: Environ, exchange: Exchange) -> None:
        begun: list[tuple[int, Headers]] = []

        def start_response(status: str, headers: Headers, *_: Any) -> Any:
            begun.append((int(status[:3]), headers))

        response: Any = self._application(environ, start_response)
        try:
            [(status, headers)] = begun
            if response.streaming:
                _send_in_pieces(exchange.response_stream(status, headers), response)
            else:
                exchange.response_bytes(status, headers, response.content)
        finally:
            # Gives its connection to the database back to the pool, among others.
            response.close()


@dataclass(frozen=True, slots=True)
class Gateways:
    """None of them is held up by what comes by another."""

    usual: Gateway
    #: For bodies that are read by the thread that works on them, as they come.
    long: Gateway
    #: For health, figures and staff.
    house: Gateway

    def of(self, environ: Environ, *, limited: bool) -> Gateway:
        if is_long(environ):
            return self.long
        return self.usual if limited else self.house


def _send_in_pieces(stream: Any, pieces: Iterable[bytes]) -> None:
    try:
        for piece in pieces:
            # RSGI has it awaited, but it is done at once.
            for _ in stream.send_bytes(piece).__await__():
                raise AssertionError("the server makes its callers wait")
    except ProtocolClosed:
        pass  # Whoever had asked for it has gone.
