"""Load over HTTP: wrk for how much is carried (closed loop; where it is not installed, a generator of our own, which
needs more of the processors itself), and a schedule of our own for how long one takes.

The schedule is open: each request has the moment at which it is to be sent, and its latency counts from there, however
late its sender was. So a server that stalls is not spared the requests that would have come meanwhile (coordinated
omission).
"""

import http.client
import multiprocessing
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from bench.raw_http import Make, closed_loop

_SCRIPT: Final = Path(__file__).with_name("transfer.lua")
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
    failures: list[Exception] = []
    began = time.perf_counter() + 0.05

    def work(numbers: Sequence[int]) -> None:
        connection = http.client.HTTPConnection(address, timeout=10)
        try:
            for number in numbers:
                time.sleep(max(0.0, began + due[number] - time.perf_counter()))
                send(connection, number)
                found.append(time.perf_counter() - began - due[number])
        except Exception as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(range(first, len(due), senders),)) for first in range(senders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return found
