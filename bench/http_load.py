"""Load over HTTP: wrk for how much is carried (closed loop; where it is not installed, a generator of our own, which
needs more of the processors itself), and a schedule of our own for how long one takes.

The schedule is open: each request has the moment at which it is to be sent, and its latency counts from there, however
late its sender was. So a server that stalls is not spared the requests that would have come meanwhile (coordinated
omission).
"""

import http.client
import json
import multiprocessing
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import uuid4

from bench.catalogue import percentile
from bench.raw_http import Make, closed_loop
from bench.town import Person

_SCRIPT: Final = Path(__file__).with_name("transfer.lua")
_READS_A_SECOND: Final = 50.0
_FIGURES: Final = re.compile(r"^FIGURES (\d+) (\d+) (\d+) (\d+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Load:
    """What was answered; `refused` had a status of 400 or above, `broken` no answer."""

    requests: int
    seconds: float
    refused: int
    broken: int

    @property
    def per_second(self) -> float:
        return (self.requests - self.refused) / self.seconds


def transfers(
    base_url: str, people: Path, *, connections: int, seconds: float, draw: str = "uniform", make: Make
) -> Load:
    """Transfers by `connections` clients that each ask again as soon as they are answered; `make` makes the same ones
    as `draw` names, where wrk is not installed."""
    if not is_installed():
        return Load(*closed_loop(base_url, make, connections=connections, seconds=seconds))
    with _wrk(base_url, people, connections=connections, seconds=seconds, draw=draw) as process:
        said, _ = process.communicate()
    return read_figures(said)


@contextmanager
def writing(base_url: str, people: Path, *, connections: int, seconds: float, make: Make) -> Iterator[None]:
    """The same in the background; the block's end waits for its own."""

    def write() -> None:
        transfers(base_url, people, connections=connections, seconds=seconds, make=make)

    writer = multiprocessing.get_context("fork").Process(target=write)
    writer.start()
    try:
        yield
    finally:
        writer.join()
    if writer.exitcode != 0:
        raise RuntimeError("what was to write beside the readers failed")


def is_installed() -> bool:
    return shutil.which("wrk") is not None


def read_figures(said: str) -> Load:
    found = _FIGURES.search(said)
    if found is None:
        raise RuntimeError(f"wrk did not say what it did:\n{said}")
    requests, microseconds, refused, broken = (int(group) for group in found.groups())
    return Load(requests, microseconds / 1e6, refused, broken)


def _wrk(base_url: str, people: Path, *, connections: int, seconds: float, draw: str) -> "subprocess.Popen[str]":
    size = ["-t", "2", "-c", str(connections), "-d", f"{max(round(seconds), 1)}s", "--timeout", "10s"]
    arguments = ["wrk", *size, "-s", str(_SCRIPT), base_url, "--", str(people), draw]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)  # noqa: S603


#: A request by its number, on a connection; raises when it is not answered as it should be.
Send = Callable[[http.client.HTTPConnection, int], None]


def latencies(base_url: str, send: Send, *, rate: float, seconds: float, senders: int = 16) -> list[float]:
    """Seconds from the moment each request was due to its answer, `rate` requests a second for `seconds`."""
    address = urlsplit(base_url).netloc
    due = [number / rate for number in range(int(rate * seconds))]
    found: list[float] = []
    began = time.perf_counter() + 0.05

    def work(first: int) -> None:
        with closing(http.client.HTTPConnection(address, timeout=10)) as connection:
            for number in range(first, len(due), senders):
                time.sleep(max(0.0, began + due[number] - time.perf_counter()))
                send(connection, number)
                found.append(time.perf_counter() - began - due[number])

    with ThreadPoolExecutor(senders) as threads:
        list(threads.map(work, range(senders)))
    return found


def reading(base_url: str, people: Sequence[Person], file: Path, *, seconds: float, make: Make) -> float:
    """The p99 of reading a balance while eight connections write, by the p99 when nobody does."""

    def read(connection: http.client.HTTPConnection, number: int) -> None:
        person = people[number % len(people)]
        get(connection, f"/accounts/{person.accounts[0]}", person.token)

    def p99(*, pace: int = 1) -> float:
        """Of as many reads whatever the pace."""
        return percentile(latencies(base_url, read, rate=pace * _READS_A_SECOND, seconds=seconds / pace), 0.99)

    p99(pace=8)  # Whatever a read needs has been loaded from here on.
    idle = p99()
    with writing(base_url, file, connections=8, seconds=seconds + 1, make=make):
        busy = p99()
    return busy / idle


def get(connection: http.client.HTTPConnection, path: str, token: str) -> bytes:
    """What the API answers. Raises RuntimeError unless with 200."""
    return _ask(connection, "GET", path, None, {"X-Session-Token": token}, expected=200)


def post(connection: http.client.HTTPConnection, path: str, token: str, body: Mapping[str, Any]) -> bytes:
    """What the API answers, under a key of its own. Raises RuntimeError unless with 202."""
    headers = {"Content-Type": "application/json", "X-Session-Token": token, "Idempotency-Key": uuid4().hex}
    return _ask(connection, "POST", path, json.dumps(body), headers, expected=202)


def _ask(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: str | None,
    headers: Mapping[str, str],
    *,
    expected: int,
) -> bytes:
    connection.request(method, f"/api/v1{path}", body, headers)
    answer = connection.getresponse()
    said = answer.read()
    if answer.status != expected:
        raise RuntimeError(f"answered {answer.status} where {expected} was expected: {said[:300]!r}")
    return said
