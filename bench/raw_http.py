"""Requests for transfers as bytes, and connections that carry them: load that wrk can't make, or where it is not."""

import asyncio
import json
import multiprocessing
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit
from uuid import uuid4

from bench.in_process import Draw
from bench.town import one_cent

_TIMEOUT: Final = 10.0
_PROCESSES: Final = 2


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


class Lines:
    """Connections that are kept; one is opened when none is free, up to `most`."""

    def __init__(self, base_url: str, *, most: int) -> None:
        address = urlsplit(base_url)
        self._address = (address.hostname, address.port)
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._places = asyncio.Semaphore(most)

    async def ask(self, request: Request, due: float) -> Answer:
        async with self._places:
            try:
                status, retry_after = await asyncio.wait_for(self._ask(request.raw), _TIMEOUT)
            except (TimeoutError, OSError, EOFError, ValueError):
                status, retry_after = 0, False
        return Answer(request.key, status, time.perf_counter() - due, retry_after)

    async def _ask(self, raw: bytes) -> tuple[int, bool]:
        reader, writer = self._free.pop() if self._free else await asyncio.open_connection(*self._address)
        try:
            writer.write(raw)
            status, headers = read_head(await reader.readuntil(b"\r\n\r\n"))
            await skip_body(reader, headers)
        except BaseException:
            writer.close()  # Half an answer may be under way on it.
            raise
        self._free.append((reader, writer))
        return status, "retry-after" in headers

    def close(self) -> None:
        for _, writer in self._free:
            writer.close()


def read_head(head: bytes) -> tuple[int, dict[str, str]]:
    """The status and the headers by their names in small letters."""
    first, *lines = head.decode("latin-1").strip().split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return int(first.split()[1]), {name.lower(): value.strip() for name, _, value in pairs}


async def skip_body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> None:
    """Read to the end of an answer (RFC 9112, 6.3): the next one on the connection begins there. Raises ValueError."""
    if headers.get("transfer-encoding", "").lower() == "chunked":
        while size := int((await reader.readline()).split(b";")[0], 16):
            await reader.readexactly(size + 2)
        await reader.readline()
    elif "content-length" in headers:
        await reader.readexactly(int(headers["content-length"]))
    else:
        raise ValueError("an answer without a length")


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
