"""Transfers by the thousand: what POST /transfers/bulk and the service behind it carry."""

import http.client
import importlib.util
import json
import random
import threading
import time
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID, uuid4

from bench import in_process
from bench.town import Person

ITEMS: Final = 1000
_CLIENTS: Final = 4
_SERVICE: Final = "ledger.services.bulk"


def is_there() -> bool:
    return importlib.util.find_spec(_SERVICE) is not None


def over_http(base_url: str, people: list[Person], *, seconds: float) -> float:
    """Transfers a second that were created, of clients that each send a thousand as soon as the last were answered."""
    until = time.perf_counter() + seconds
    counts = [0] * _CLIENTS
    failures: list[Exception] = []

    def go(number: int) -> None:
        connection = http.client.HTTPConnection(urlsplit(base_url).netloc, timeout=30)
        try:
            for payer, items in _requests(people):
                if time.perf_counter() >= until:
                    return
                counts[number] += _send(connection, payer, items)
        except Exception as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=go, args=(number,)) for number in range(_CLIENTS)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return sum(counts) / (time.perf_counter() - began)


def in_processes(people: list[Person], *, seconds: float) -> float:
    """The same of the service, called by each of two processes one after the other."""
    return in_process.rate(_call_for, people, seconds)


def _send(connection: http.client.HTTPConnection, payer: Person, items: list[dict[str, Any]]) -> int:
    headers = {"Content-Type": "application/json", "X-Session-Token": payer.token, "Idempotency-Key": uuid4().hex}
    body = json.dumps({"mode": "independent", "transfers": items})
    connection.request("POST", "/api/v1/transfers/bulk", body, headers)
    answer = connection.getresponse()
    said = answer.read()
    if answer.status != 202:
        raise RuntimeError(f"answered {answer.status} where 202 was expected: {said[:300]!r}")
    return all_created([result["outcome"] for result in json.loads(said)["results"]])


def all_created(outcomes: list[str]) -> int:
    """How many there are. Raises RuntimeError unless all of a thousand were made."""
    if len(outcomes) != ITEMS or set(outcomes) != {"created"}:
        raise RuntimeError(f"of {ITEMS} transfers {outcomes.count('created')} were created")
    return len(outcomes)


def _call_for(people: list[Person], seconds: float) -> int:
    from importlib import import_module

    from wallet_project.utils.context import Actor

    transfer_bulk = import_module(_SERVICE).transfer_bulk
    until, made = time.perf_counter() + seconds, 0
    for payer, items in _requests(people):
        if time.perf_counter() >= until:
            return made
        actor = Actor(principal_id=UUID(payer.principal), customer_id=UUID(payer.customer), kind="user")
        transfer_bulk(actor=actor, mode="independent", items=items, key=uuid4().hex, request_hash=bytes(32))
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
            [
                {
                    "key": uuid4().hex,
                    "source": rng.choice(payer.accounts),
                    "destination": rng.choice(others),
                    "amount": 1,
                    "currency": "EUR",
                }
                for _ in range(ITEMS)
            ],
        )
