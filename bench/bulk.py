"""Transfers by the thousand: what POST /transfers/bulk and the service behind it carry."""

import http.client
import importlib.util
import json
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import uuid4

from bench import http_load, in_process
from bench.town import Person, one_cent

ITEMS: Final = 1000
_CLIENTS: Final = 4
_SERVICE: Final = "ledger.services.bulk"


def is_there() -> bool:
    return importlib.util.find_spec(_SERVICE) is not None


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
    return in_process.rate(_call_for, people, seconds)


def _send(connection: http.client.HTTPConnection, payer: Person, items: list[dict[str, Any]]) -> int:
    said = http_load.post(connection, "/transfers/bulk", payer.token, {"mode": "independent", "transfers": items})
    return all_created([result["outcome"] for result in json.loads(said)["results"]])


def all_created(outcomes: list[str]) -> int:
    """How many there are. Raises RuntimeError unless all of a thousand were made."""
    if len(outcomes) != ITEMS or set(outcomes) != {"created"}:
        raise RuntimeError(f"of {ITEMS} transfers {outcomes.count('created')} were created")
    return len(outcomes)


def _call_for(people: list[Person], seconds: float) -> int:
    from importlib import import_module

    transfer_bulk = import_module(_SERVICE).transfer_bulk
    until, made = time.perf_counter() + seconds, 0
    for payer, items in _requests(people):
        if time.perf_counter() >= until:
            return made
        transfer_bulk(actor=payer.actor, mode="independent", items=items, key=uuid4().hex, request_hash=bytes(32))
        made += ITEMS
    return made


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
