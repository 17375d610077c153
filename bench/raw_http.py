"""Requests for transfers as bytes, and connections that carry them: load that wrk can't make, or where it is not."""

import asyncio
import json
import multiprocessing
import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit
from uuid import uuid4

from bench.in_process import Draw
from bench.town import one_cent

_TIMEOUT: Final = 10.0
_PROCESSES: Final = 2
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)")


@dataclass(frozen=True, slots=True)
class Request:
    key: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """`status` 0: none came. `late` is seconds from the moment at which its request was due."""

    key: str
    status: int
    late: float
    retry_after: bool


Make = Callable[[], Request]


def transfers(base_url: str, draw: Draw) -> Make:
    """Makes requests for transfers of one cent, each under a key of its own."""
    host = urlsplit(base_url).netloc
    rng = random.SystemRandom()  # Processes that are forked would share the state of another.

    def make() -> Request:
        payer, source, destination = draw(rng)
        content, key = json.dumps(one_cent(source, destination)), uuid4().hex
        head = f"POST /api/v1/transfers HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        head += f"X-Session-Token: {payer.token}\r\nIdempotency-Key: {key}\r\nContent-Length: {len(content)}\r\n\r\n"
        return Request(key, (head + content).encode())

    return make


class _Line(asyncio.Protocol):
    """A connection that is kept; one request is under way on it at a time. The streams of asyncio would take as much of
    the processors as the web server does."""

    def __init__(self) -> None:
        self._got = bytearray()
        self._answer: asyncio.Future[tuple[int, bool]] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def ask(self, raw: bytes) -> "asyncio.Future[tuple[int, bool]]":
        """Its status, and whether it says when to come again. Raises OSError, ValueError."""
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        if self._transport.is_closing():
            self._answer.set_exception(ConnectionResetError())
        self._transport.write(raw)
        return self._answer

    def data_received(self, data: bytes) -> None:
        self._got += data
        try:
            answer = whole_answer(self._got)
        except ValueError as error:
            self._end(error)
            self.close()
            return
        if answer is not None:
            self._got.clear()
            if self._answer is not None and not self._answer.done():
                self._answer.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(exc or ConnectionResetError())

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _end(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)


class Lines:
    """Connections that are kept; one is opened when none is free, up to `most`."""

    def __init__(self, base_url: str, *, most: int) -> None:
        address = urlsplit(base_url)
        self._address = (address.hostname, address.port)
        self._free: list[_Line] = []
        self._places = asyncio.Semaphore(most)

    async def ask(self, request: Request, due: float) -> Answer:
        async with self._places:
            try:
                async with asyncio.timeout(_TIMEOUT):
                    status, retry_after = await self._ask(request.raw)
            except (TimeoutError, OSError, ValueError):
                status, retry_after = 0, False
        return Answer(request.key, status, time.perf_counter() - due, retry_after)

    async def _ask(self, raw: bytes) -> tuple[int, bool]:
        line = self._free.pop() if self._free else await self._open()
        try:
            answer = await line.ask(raw)
        except BaseException:
            line.close()  # Half an answer may be under way on it.
            raise
        self._free.append(line)
        return answer

    async def _open(self) -> _Line:
        _, line = await asyncio.get_running_loop().create_connection(_Line, *self._address)
        return line

    def close(self) -> None:
        for line in self._free:
            line.close()


def whole_answer(got: bytes | bytearray) -> tuple[int, bool] | None:
    """The status of the answer that begins there and whether it says when to come again; None until all of it has come
    (RFC 9112, 6.3). Raises ValueError for one whose length is not told."""
    end = got.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = bytes(got[:end]).lower()
    if (length := _LENGTH.search(head)) is not None:
        whole = len(got) >= end + 4 + int(length[1])
    elif b"\r\ntransfer-encoding: chunked" in head:
        whole = _has_last_chunk(got, end + 4)
    else:
        raise ValueError("an answer without a length")
    return (int(head.split(None, 2)[1]), b"\r\nretry-after:" in head) if whole else None


def _has_last_chunk(got: bytes | bytearray, at: int) -> bool:
    while (end := got.find(b"\r\n", at)) >= 0:
        size = int(got[at:end].split(b";")[0], 16)
        at = end + 2 + size + 2
        if size == 0:
            return len(got) >= at
    return False


def closed_loop(base_url: str, make: Make, *, connections: int, seconds: float) -> tuple[int, float, int, int]:
    """`connections` clients in two processes, each of which asks again as soon as it is answered: requests, seconds,
    how many had a status of 400 or above, and how many no answer."""
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    shares = [connections // _PROCESSES] * _PROCESSES

    def work(share: int) -> None:
        results.put(asyncio.run(_clients(base_url, make, share, seconds)))

    children = [context.Process(target=work, args=(share,)) for share in shares]
    began = time.perf_counter()
    for child in children:
        child.start()
    for child in children:
        child.join()
    took = time.perf_counter() - began
    found = [results.get() for _ in children if not results.empty()]
    if len(found) != len(children):
        raise RuntimeError("a process of the load generator failed")
    answered, refused, broken = (sum(part) for part in zip(*found, strict=True))
    return answered, took, refused, broken


async def _clients(base_url: str, make: Make, share: int, seconds: float) -> tuple[int, int, int]:
    lines = Lines(base_url, most=share)
    until = time.perf_counter() + seconds
    statuses: list[int] = []

    async def client() -> None:
        while (now := time.perf_counter()) < until:
            statuses.append((await lines.ask(make(), now)).status)

    await asyncio.gather(*(client() for _ in range(share)))
    lines.close()
    broken = statuses.count(0)
    return len(statuses) - broken, sum(status >= 400 for status in statuses), broken
