"""Transfers by the thousand: what POST /transfers/bulk and the service behind it carry."""

import http.client
import json
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import islice
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID, uuid4

from bench import http_load, in_process
from bench.town import Person, one_cent
from wallet_project.utils.memory import keep_what_is_here

ITEMS: Final = 1000
_CLIENTS: Final = 4
#: Requests that a process has ready: three times as many as one has sent in a slice.
_READY: Final = 40


def over_http(base_url: str, people: list[Person], *, seconds: float) -> float:
    """Transfers a second that were created, of clients that each send a thousand as soon as the last were answered."""
    began = time.perf_counter()

    def send_on(_: int) -> int:
        connection, made = http.client.HTTPConnection(urlsplit(base_url).netloc, timeout=30), 0
        with closing(connection):
            for payer, items in _requests(people):
                if time.perf_counter() >= began + seconds:
                    break
                made += _send(connection, payer, items)
        return made

    with ThreadPoolExecutor(_CLIENTS) as clients:
        made = sum(clients.map(send_on, range(_CLIENTS)))
    return made / (time.perf_counter() - began)


def in_processes(people: list[Person], *, seconds: float) -> float:
    """The same of the service, called by each of two processes one after the other."""
    caller = _Caller(people)
    return in_process.rate(caller.call_for, seconds, first=caller.get_ready)


def _send(connection: http.client.HTTPConnection, payer: Person, items: list[dict[str, Any]]) -> int:
    said = http_load.post(connection, "/transfers/bulk", payer.token, {"mode": "independent", "transfers": items})
    return all_accepted([result["outcome"] for result in json.loads(said)["results"]])


def all_accepted(outcomes: list[str]) -> int:
    """How many there are. Raises RuntimeError unless all of a thousand were."""
    if len(outcomes) != ITEMS or set(outcomes) != {"accepted"}:
        raise RuntimeError(f"of {ITEMS} transfers {outcomes.count('accepted')} were accepted")
    return len(outcomes)


class _Caller:
    """Has the bodies of its requests by the time that it is measured, as the web server has: to make them up is its
    client's work."""

    def __init__(self, people: list[Person]) -> None:
        self._people = people
        self._made: list[tuple[Person, list[dict[str, Any]]]] = []

    def get_ready(self) -> None:
        """In each process for itself: a key is used once."""
        self._made = list(islice(_requests(self._people), _READY))
        keep_what_is_here()  # Nor is it a server's to go through them for garbage.
        self._call()

    def call_for(self, seconds: float) -> int:
        until, made = time.perf_counter() + seconds, 0
        while time.perf_counter() < until:
            made += self._call()
        return made

    def _call(self) -> int:
        from ledger.views.payments import BulkTransfersView
        from wallet_project.api.direct import Call

        payer, items = self._made.pop()
        # What the web server does once it has read the request.
        call = Call({"mode": "independent", "transfers": items}, uuid4().hex, UUID(payer.principal), payer.actor)
        return all_accepted([result["outcome"] for result in BulkTransfersView.answer(call).body["results"]])


def _requests(people: list[Person]) -> Iterator[tuple[Person, list[dict[str, Any]]]]:
    """One payer and a thousand transfers from his accounts to anybody's, again and again."""
    rng = random.Random()  # noqa: S311 - whom to pay is no secret
    while True:
        payer = rng.choice(people)
        others = [account for person in rng.sample(people, 50) if person != payer for account in person.accounts]
        yield (
            payer,
            [{"key": uuid4().hex, **one_cent(rng.choice(payer.accounts), rng.choice(others))} for _ in range(ITEMS)],
        )
