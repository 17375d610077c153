"""Requests for transfers as bytes, and connections that carry them: load that wrk can't make, or where it is not."""

import json
import multiprocessing
import random
import re
import select
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit
from uuid import uuid4

from bench.in_process import Draw
from bench.town import one_cent

_TIMEOUT: Final = 10.0
#: So often those that are not answered are looked for.
_LOOK: Final = 0.1
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


@dataclass(slots=True, eq=False)
class _Line:
    """A connection that is kept; one request is under way on it at a time."""

    socket: socket.socket
    asked: Request = Request("", b"")
    due: float = 0.0
    sent: float = 0.0
    got: bytearray = field(default_factory=bytearray)


class Lines:
    """Connections that are kept; one is opened when none is free, up to `most`.

    A loop of its own, as one of asyncio's would take as much of the processors as the web server does."""

    def __init__(self, base_url: str, *, most: int) -> None:
        address = urlsplit(base_url)
        self._address = (str(address.hostname), int(address.port or 80))
        self._most = most
        self._free: list[_Line] = []
        self._busy: dict[int, _Line] = {}
        self._unsent: list[Answer] = []
        self._poll = select.epoll()
        self._look = time.perf_counter() + _LOOK

    def have_room(self) -> bool:
        return bool(self._free) or len(self._busy) < self._most

    def are_busy(self) -> bool:
        return bool(self._busy or self._unsent)

    def ask(self, request: Request, due: float) -> None:
        """Its answer comes by `answers`, also if none did. To be called while they have room."""
        try:
            line = self._free.pop() if self._free else self._open()
        except OSError:
            self._unsent.append(Answer(request.key, 0, time.perf_counter() - due, retry_after=False))
            return
        line.asked, line.due, line.sent = request, due, time.perf_counter()
        self._busy[line.socket.fileno()] = line
        # Far less than the kernel takes at once: nobody waits here. Of one that is closed, reading tells.
        with suppress(OSError):
            line.socket.sendall(request.raw)

    def answers(self, seconds: float) -> list[Answer]:
        """Those that have come; when none has, they are waited for."""
        found, self._unsent = self._unsent, []
        for number, _ in self._poll.poll(0 if found else seconds):
            if (line := self._busy.get(number)) is None:
                self._forget(number)
                continue
            if (answer := self._read(line)) is not None:
                found.append(self._ended(line, *answer))
        if (now := time.perf_counter()) >= self._look:
            self._look = now + _LOOK
            late = [line for line in self._busy.values() if now - line.sent >= _TIMEOUT]
            found += [self._ended(line, 0, retry_after=False) for line in late]
        return found

    def _open(self) -> _Line:
        line = _Line(socket.create_connection(self._address, _TIMEOUT))
        line.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line.socket.settimeout(None)
        self._poll.register(line.socket, select.EPOLLIN)
        return line

    def _forget(self, number: int) -> None:
        """One that is free, and was closed at its other end."""
        [line] = [line for line in self._free if line.socket.fileno() == number]
        self._free.remove(line)
        line.socket.close()

    def _read(self, line: _Line) -> tuple[int, bool] | None:
        """None until all of it has come; a status of 0 when it never will."""
        try:
            if not (data := line.socket.recv(65536)):
                return 0, False
            line.got += data
            return whole_answer(line.got)
        except (OSError, ValueError):
            return 0, False

    def _ended(self, line: _Line, status: int, retry_after: bool) -> Answer:
        del self._busy[line.socket.fileno()]
        line.got.clear()
        if status:
            self._free.append(line)
        else:
            line.socket.close()  # Half an answer may be under way on it.
        return Answer(line.asked.key, status, time.perf_counter() - line.due, retry_after)

    def close(self) -> None:
        for line in (*self._free, *self._busy.values()):
            line.socket.close()
        self._poll.close()


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
        results.put(_clients(base_url, make, share, seconds))

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


def _clients(base_url: str, make: Make, share: int, seconds: float) -> tuple[int, int, int]:
    lines = Lines(base_url, most=share)
    until = time.perf_counter() + seconds
    statuses: list[int] = []
    for _ in range(share):
        lines.ask(make(), time.perf_counter())
    while lines.are_busy():
        for answer in lines.answers(_LOOK):
            statuses.append(answer.status)
            if (now := time.perf_counter()) < until:
                lines.ask(make(), now)
    lines.close()
    broken = statuses.count(0)
    return len(statuses) - broken, sum(status >= 400 for status in statuses), broken
