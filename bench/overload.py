"""More than can be carried: what is accepted stays quick, the rest is told so at once, and it is over when it is over.

The schedule is open: a request is sent when it is due, on a connection that is free or a new one, whether those before
it were answered or not, and its latency counts from the moment at which it was due.
"""

import gc
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from bench.catalogue import percentile
from bench.raw_http import Answer, Lines, Make, Request

#: Connections that a load balancer would keep to us at the most.
MOST_CONNECTIONS: Final = 1000
#: What "bounded", "quickly" and "at once" of a wallet under too much load are held to, in seconds.
ACCEPTED_P99: Final = 2.0
REFUSED_P99: Final = 1.0
RECOVERED: Final = 2.0
_WELL_SECONDS: Final = 0.5
_GIVES_UP: Final = 60.0
_BETWEEN_SECONDS: Final = 0.02
#: Whoever is late with a request still looks for answers: for so long, where there is no connection to send it on, and
#: else after so many.
_LATE_SECONDS: Final = 0.01
_SENT_IN_A_ROW: Final = 16


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
    lines = Lines(base_url, most=MOST_CONNECTIONS)
    gc.disable()  # Its pauses would be taken for the wallet's.
    try:
        return _attack(lines, make, rate=rate, seconds=seconds)
    finally:
        gc.enable()
        lines.close()


def _attack(lines: Lines, make: Make, *, rate: float, seconds: float) -> Onslaught:
    answers: list[Answer] = []
    began = time.perf_counter()
    for number in range(int(rate * seconds)):
        due = began + number / rate
        while (early := due - time.perf_counter()) > 0 or not lines.have_room():
            answers += lines.answers(max(early, _LATE_SECONDS))
        if number % _SENT_IN_A_ROW == 0:
            answers += lines.answers(0)
        lines.ask(make(), due)
    recovered = _recovery(lines, make, answers)
    while lines.are_busy():
        answers += lines.answers(_LATE_SECONDS)
    return Onslaught(answers, rate, seconds, recovered)


def _recovery(lines: Lines, make: Make, answers: list[Answer]) -> float | None:
    """Seconds from now until the first of three answers in a row that were accepted in good time. What comes of those
    before is added to `answers`."""
    ended = time.perf_counter()
    well, since = 0, None
    while (now := time.perf_counter()) < ended + _GIVES_UP:
        if not lines.have_room():
            answers += lines.answers(_LATE_SECONDS)
            continue
        request = make()
        lines.ask(request, now)
        answer = _answer_to(request, lines, answers)
        good = answer.status == 202 and answer.late <= _WELL_SECONDS
        well = well + 1 if good else 0
        if well == 1:
            since = now - ended
        if well == 3:
            return since
        answers += lines.answers(_BETWEEN_SECONDS)
    return None


def _answer_to(request: Request, lines: Lines, others: list[Answer]) -> Answer:
    while True:
        for answer in (came := lines.answers(_LATE_SECONDS)):
            if answer.key == request.key:
                others += [other for other in came if other is not answer]
                return answer
        others += came


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
