"""More than can be carried: what is accepted stays quick, the rest is told so at once, and it is over when it is over.

The schedule is open: a request is sent when it is due, on a connection that is free or a new one, whether those before
it were answered or not, and its latency counts from the moment at which it was due.
"""

import asyncio
import gc
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from bench.catalogue import percentile
from bench.raw_http import Answer, Lines, Make

#: Connections that a load balancer would keep to us at the most.
MOST_CONNECTIONS: Final = 1000
#: What "bounded", "quickly" and "at once" of a wallet under too much load are held to, in seconds.
ACCEPTED_P99: Final = 2.0
REFUSED_P99: Final = 1.0
RECOVERED: Final = 2.0
_WELL_SECONDS: Final = 0.5
_GIVES_UP: Final = 60.0


@dataclass(frozen=True, slots=True)
class Onslaught:
    answers: Sequence[Answer]
    rate: float
    seconds: float
    #: Until requests were again answered as when nothing is wrong; None when they were not within a minute.
    recovered: float | None

    def keys(self, status: int) -> list[str]:
        return [answer.key for answer in self.answers if answer.status == status]


def attack(base_url: str, make: Make, *, rate: float, seconds: float) -> Onslaught:
    """`rate` requests a second for `seconds`, and then one after the other until the answers are well again."""
    gc.disable()  # Its pauses would be taken for the wallet's.
    try:
        return asyncio.run(_attack(base_url, make, rate=rate, seconds=seconds))
    finally:
        gc.enable()


async def _attack(base_url: str, make: Make, *, rate: float, seconds: float) -> Onslaught:
    lines = Lines(base_url, most=MOST_CONNECTIONS)
    began = time.perf_counter()
    under_way = []
    for number in range(int(rate * seconds)):
        due = began + number / rate
        if (early := due - time.perf_counter()) > 0:
            await asyncio.sleep(early)
        under_way.append(asyncio.create_task(lines.ask(make(), due)))
    ended = time.perf_counter()
    recovered = await _recovery(lines, make, ended)
    answers = await asyncio.gather(*under_way)
    lines.close()
    return Onslaught(answers, rate, seconds, recovered)


async def _recovery(lines: Lines, make: Make, ended: float) -> float | None:
    """Seconds since `ended` until the first of three answers in a row that were accepted in good time."""
    well, since = 0, None
    while time.perf_counter() < ended + _GIVES_UP:
        now = time.perf_counter()
        answer = await lines.ask(make(), now)
        good = answer.status == 202 and answer.late <= _WELL_SECONDS
        well = well + 1 if good else 0
        if well == 1:
            since = now - ended
        if well == 3:
            return since
        await asyncio.sleep(0.02)
    return None


def report(found: Onslaught, *, half_done: int) -> dict[str, Any]:
    """A row for results.json. `half_done`: keys that were answered 202 and made nothing, or 503 and made something."""
    accepted = [answer.late for answer in found.answers if answer.status == 202]
    refused = [answer for answer in found.answers if answer.status == 503]
    unanswered = sum(answer.status == 0 for answer in found.answers)
    row: dict[str, Any] = {
        "offered_per_second": round(found.rate),
        "seconds": found.seconds,
        "requests": len(found.answers),
        "accepted": len(accepted),
        "accepted_p99_s": round(percentile(accepted, 0.99), 3) if accepted else None,
        "refused": len(refused),
        "refused_p99_s": round(percentile([answer.late for answer in refused], 0.99), 3) if refused else None,
        "refused_without_retry_after": sum(not answer.retry_after for answer in refused),
        "unanswered": unanswered,
        "others": len(found.answers) - len(accepted) - len(refused) - unanswered,
        "half_done": half_done,
        "recovered_s": None if found.recovered is None else round(found.recovered, 3),
    }
    return {**row, "complaints": complaints(row)}


def complaints(row: dict[str, Any]) -> list[str]:
    """What is not as it should be under too much load; empty when all is."""
    found = []
    if row["accepted_p99_s"] is None or row["accepted_p99_s"] > ACCEPTED_P99:
        found.append(f"what was accepted took {row['accepted_p99_s']} s (p99), more than {ACCEPTED_P99:g}")
    if row["refused_p99_s"] is not None and row["refused_p99_s"] > REFUSED_P99:
        found.append(f"what was refused learned it after {row['refused_p99_s']} s (p99), more than {REFUSED_P99:g}")
    if row["refused_without_retry_after"]:
        found.append(f"{row['refused_without_retry_after']} of the 503 had no Retry-After")
    if row["unanswered"] or row["others"]:
        found.append(f"{row['unanswered']} requests had no answer, {row['others']} another than 202 or 503")
    if row["recovered_s"] is None or row["recovered_s"] > RECOVERED:
        found.append(f"it was well again after {row['recovered_s']} s, more than {RECOVERED:g}")
    if row["half_done"]:
        found.append(f"{row['half_done']} keys did not do what their answer said")
    return found
