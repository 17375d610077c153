"""The door's short way and Django's, side by side: nothing that a caller, a log or a figure shows may differ."""

import json
import logging
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError
from django.test import RequestFactory
from prometheus_client import REGISTRY
from rest_framework.settings import api_settings

from accounts.models import Account
from ledger.models import Transaction
from tests.ledger.flows import IBAN
from tests.support.cache import redis_is_away
from tests.support.door import called, door_before, the_door
from tests.support.factories import make_account, make_user, session_token
from wallet_project import door
from wallet_project.api import throttling
from wallet_project.api.direct import routes
from wallet_project.api.parsers import MAX_BODY_BYTES
from wallet_project.utils import identity
from wallet_project.wsgi import application as django

pytestmark = pytest.mark.django_db

TRANSFERS = "/api/v1/transfers"
#: What no two requests have in common.
_OF_ITS_OWN = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}|\d{4}-\d\d-\d\dT[\d:.]+Z")

Request = dict[str, Any]


class Town:
    """Somebody with money, his session, and whom he pays."""

    def __init__(self) -> None:
        self.source, self.destination = make_account(funded=10_000), make_account()
        assert self.source.customer is not None
        self.token = session_token(self.source.customer.user)
        self.key = uuid4().hex

    def request(self, path: str = TRANSFERS, body: Any = None, **changes: Any) -> Request:
        """A request in plain form; `changes` are of its environment, None takes away."""
        said = self.transfer() if body is None else body
        content = said if isinstance(said, bytes) else json.dumps(said).encode()
        environ = RequestFactory().post(path, content, content_type="application/json").environ
        own = {"HTTP_X_SESSION_TOKEN": self.token, "HTTP_IDEMPOTENCY_KEY": self.key, **changes}
        return {name: value for name, value in {**environ, **own}.items() if value is not None}

    def transfer(self, **changes: Any) -> dict[str, Any]:
        accounts = {"source": str(self.source.id), "destination": str(self.destination.id)}
        return {**accounts, "amount": 100, "currency": "EUR", **changes}

    def at_a_bank(self, **changes: Any) -> dict[str, Any]:
        return {"account": str(self.source.id), "amount": 100, "currency": "EUR", **changes}


@pytest.fixture
def town() -> Town:
    return Town()


def figures() -> dict[tuple[str, Any], float]:
    """The counts of requests; how long they took is another each time."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for metric in REGISTRY.collect()
        if metric.name.startswith("django_http")
        for sample in metric.samples
        if not sample.name.endswith(("_created", "_sum")) and not ("latency" in sample.name and "le" in sample.labels)
    }


def shown(way: Callable[..., Any], request: Request, caplog: pytest.LogCaptureFixture) -> dict[str, Any]:
    """All that can be seen of a request."""
    caplog.clear()
    before = figures()
    response = called(way, request)
    moved = {name: value - before.get(name, 0) for name, value in figures().items() if value != before.get(name, 0)}
    lines = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
    for line in lines:  # Where a fault came from is another way down; what it was is not.
        line["exception"] = str(line.get("exception")).rsplit("\n", 1)[-1]
    told = {
        "status": response.status_code,
        "headers": sorted(response.headers.items()),
        "body": response.content.decode(),
        "lines": [sorted((name, str(value)) for name, value in line.items() if name != "timestamp") for line in lines],
    }
    return {**json.loads(_OF_ITS_OWN.sub("-", json.dumps(told))), "figures": moved}


def through_the_door(town: Town) -> tuple[Callable[..., Any], list[str]]:
    """The application, and the paths that it hands to Django."""
    handed: list[str] = []

    def watched(environ: Request, start_response: Any) -> Any:
        handed.append(environ["PATH_INFO"])
        return django(environ, start_response)

    return door_before(watched, at_once=1, payments_at_once=1), handed


WELL_FORMED: dict[str, Callable[[Town], Request]] = {
    "a transfer": lambda town: town.request(),
    "with everything": lambda town: town.request(
        body=town.transfer(reference=" für ü\u00a0", metadata={"a": "ß€"}, capture="manual", expires_in=3600, fee=0)
    ),
    "a deposit": lambda town: town.request("/api/v1/deposits", town.at_a_bank(reference="x")),
    "a withdrawal": lambda town: town.request(
        "/api/v1/withdrawals", town.at_a_bank(beneficiary={"name": "Ada", "iban": IBAN})
    ),
    "too much": lambda town: town.request(body=town.transfer(amount=10_001)),
    "to himself": lambda town: town.request(body=town.transfer(destination=str(town.source.id))),
    "from another's": lambda town: town.request(body=town.transfer(source=str(town.destination.id))),
    "to nobody": lambda town: town.request(body=town.transfer(destination="@nobody")),
    "another fee": lambda town: town.request(body=town.transfer(fee=3)),
    "an unknown beneficiary": lambda town: town.request(
        "/api/v1/withdrawals", town.at_a_bank(beneficiary=str(town.source.id))
    ),
    "without a key": lambda town: town.request(HTTP_IDEMPOTENCY_KEY=None),
    "a bad key": lambda town: town.request(HTTP_IDEMPOTENCY_KEY="a b"),
    "no JSON": lambda town: town.request(body=b"{"),
    "no object": lambda town: town.request(body=b"[]"),
    "no UTF-8": lambda town: town.request(body=b'{"reference": "\xff"}'),
    "a member twice": lambda town: town.request(body=b'{"amount": 1, "amount": 2}'),
    "a NUL": lambda town: town.request(body=town.transfer(reference="\x00")),
    "a float": lambda town: town.request(body=town.transfer(amount=1.5)),
    "too deep": lambda town: town.request(body=b'{"metadata": ' + b"[" * 30 + b"]" * 30 + b"}"),
    "an unknown member": lambda town: town.request(body=town.transfer(status="cleared")),
    "nothing in it": lambda town: town.request(body={}),
    "its own id": lambda town: town.request(HTTP_X_REQUEST_ID="order-7"),
    "its own id in a bad form": lambda town: town.request(HTTP_X_REQUEST_ID="a b"),
    "of a member of staff": lambda town: town.request(HTTP_X_SESSION_TOKEN=session_token(make_user())),
    "behind a proxy": lambda town: town.request(HTTP_X_FORWARDED_PROTO="https", HTTP_X_FORWARDED_FOR="192.0.2.1"),
    "over TLS": lambda town: town.request(**{"wsgi.url_scheme": "https"}),
    "shorter than it says": lambda town: town.request(CONTENT_LENGTH="9"),
    "for any media type": lambda town: town.request(HTTP_ACCEPT="text/html, */*;q=0.1"),
}
OTHERWISE: dict[str, Callable[[Town], Request]] = {
    "without a token": lambda town: town.request(HTTP_X_SESSION_TOKEN=None),
    "with nobody's token": lambda town: town.request(HTTP_X_SESSION_TOKEN="a" * 32),
    "with no token at all": lambda town: town.request(HTTP_X_SESSION_TOKEN="é"),
    "for HTML": lambda town: town.request(HTTP_ACCEPT="text/html"),
    "a form": lambda town: town.request(CONTENT_TYPE="application/x-www-form-urlencoded"),
    "another charset": lambda town: town.request(CONTENT_TYPE="application/json; charset=latin-1"),
    "with the charset": lambda town: town.request(CONTENT_TYPE="application/json; charset=utf-8"),
    "without a length": lambda town: town.request(CONTENT_LENGTH=None),
    "without a body": lambda town: town.request(body=b""),
    "a bad length": lambda town: town.request(CONTENT_LENGTH="٢"),
    "too large": lambda town: town.request(body=b" " * (MAX_BODY_BYTES + 1)),
    "chunked": lambda town: town.request(CONTENT_LENGTH=None, HTTP_TRANSFER_ENCODING="chunked"),
    "with a query": lambda town: town.request(QUERY_STRING="a=b"),
    "a GET": lambda town: town.request(REQUEST_METHOD="GET"),
    "with a slash": lambda town: town.request(TRANSFERS + "/"),
    "of a script": lambda town: town.request(HTTP_X_REQUESTED_WITH="XMLHttpRequest"),
}


@pytest.fixture(autouse=True)
def _lines(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.INFO):
        yield


@pytest.mark.parametrize("name", WELL_FORMED)
@pytest.mark.parametrize("remembered", [True, False])
def test_the_door_answers_as_django_does(
    town: Town, caplog: pytest.LogCaptureFixture, name: str, remembered: bool
) -> None:
    wanted = shown(django, WELL_FORMED[name](town), caplog)
    town.key = uuid4().hex
    request = WELL_FORMED[name](town)
    if remembered:
        identity.resolve(request["HTTP_X_SESSION_TOKEN"])
    door, handed = through_the_door(town)
    assert shown(door, request, caplog) == wanted
    assert handed == []


@pytest.mark.parametrize("name", OTHERWISE)
def test_what_is_not_in_plain_form_goes_to_django_untouched(
    town: Town, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    wanted = shown(django, OTHERWISE[name](town), caplog)
    town.key = uuid4().hex
    request = OTHERWISE[name](town)
    door, handed = through_the_door(town)
    assert shown(door, request, caplog) == wanted
    assert len(handed) == 1


@pytest.mark.parametrize("amount", [100, 10_001])
def test_a_request_is_the_same_whichever_way_it_is_repeated(
    town: Town, caplog: pytest.LogCaptureFixture, amount: int
) -> None:
    body = town.transfer(amount=amount)
    called(the_door(), town.request(body=body))
    assert shown(the_door(), town.request(body=body), caplog) == shown(django, town.request(body=body), caplog)
    assert called(the_door(), town.request(body=body)).headers["Idempotent-Replayed"] == "true"
    assert called(the_door(), town.request(body=town.transfer(amount=1))).status_code == 422
    assert Transaction.objects.filter(debit_account=town.source).count() == 1


def test_a_fault_of_ours_is_told_and_logged_alike(
    town: Town, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bug(**_: Any) -> None:
        raise RuntimeError("the secret of the house")

    monkeypatch.setattr("ledger.views.payments.TransfersView.ask", staticmethod(bug))
    wanted = shown(django, town.request(), caplog)
    assert (wanted["status"], "the secret" in wanted["body"]) == (500, False)
    assert "the secret of the house" in str(wanted["lines"])
    assert shown(the_door(), town.request(), caplog) == wanted


def test_a_token_that_the_database_cannot_be_asked_about_is_no_fault_of_its_owner(
    town: Town, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_: str) -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr(identity, "_sessions", away)
    wanted = shown(django, town.request(), caplog)
    assert (wanted["status"], "database_unavailable" in wanted["body"]) == (503, True)
    assert shown(the_door(), town.request(), caplog) == wanted


def test_both_ways_count_against_one_rate(
    town: Town, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(api_settings.DEFAULT_THROTTLE_RATES, "user", "3/day")
    # Between two requests a second may pass, and with it one of Retry-After.
    now = time.time()
    clock = SimpleNamespace(time=lambda: now, perf_counter=time.perf_counter)
    for module in (door, throttling):
        monkeypatch.setattr(module, "time", clock)
    ways = [django, the_door(), django, the_door()]
    assert [called(way, town.request()).status_code for way in ways] == [202, 202, 202, 429]
    assert shown(the_door(), town.request(), caplog) == shown(django, town.request(), caplog)
    refused = called(the_door(), town.request())
    assert 0 < int(refused.headers["Retry-After"]) <= 86_400


def test_handles_count_against_their_rate(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(api_settings.DEFAULT_THROTTLE_RATES, "payees", "2/day")
    body = town.transfer(destination="@nobody")
    answers = [called(way, town.request(body=body)).status_code for way in (the_door(), django, the_door())]
    assert answers == [404, 404, 429]


def test_a_session_that_ends_is_over_at_the_door(town: Town) -> None:
    assert called(the_door(), town.request()).status_code == 202
    assert town.source.customer is not None
    user = town.source.customer.user
    user.is_active = False
    user.save()
    assert called(the_door(), town.request()).status_code == 401


def test_without_redis_the_door_still_answers(town: Town) -> None:
    with redis_is_away():
        assert called(the_door(), town.request()).status_code == 202


def test_plain_http_is_redirected_as_by_django(town: Town, caplog: pytest.LogCaptureFixture, settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT = True
    door, handed = through_the_door(town)
    called(door, town.request())
    assert handed == [TRANSFERS]
    assert called(door, town.request(**{"wsgi.url_scheme": "https"})).status_code == 202
    assert handed == [TRANSFERS]


def test_a_proxys_word_for_tls_is_taken_as_django_takes_it(town: Town, settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT = True
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    door, handed = through_the_door(town)
    for said in ("http", "http, https"):
        called(door, town.request(HTTP_X_FORWARDED_PROTO=said, **{"wsgi.url_scheme": "https"}))
    assert handed == [TRANSFERS] * 2
    assert called(door, town.request(HTTP_X_FORWARDED_PROTO="https, http")).status_code == 202


def test_more_than_can_be_worked_on_at_once_are_told_to_come_again(
    town: Town, caplog: pytest.LogCaptureFixture
) -> None:
    inside, go_on = Event(), Event()

    def slow(environ: Request, start_response: Any) -> Any:
        if environ["PATH_INFO"].startswith("/api/"):
            inside.set()
            assert go_on.wait(10)
        return django(environ, start_response)

    door, no_payments = door_before(slow, at_once=1), door_before(django, payments_at_once=0)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(called, door, town.request("/api/v1/nothing"))
        assert inside.wait(10)
        for way, path in (
            (door, TRANSFERS + "/"),
            (door, "/api/v1/nothing"),
            (door, "/_allauth/app/v1/config"),
            (no_payments, TRANSFERS),
        ):
            refused = shown(way, town.request(path), caplog)
            assert (refused["status"], json.loads(refused["body"])["code"]) == (503, "too_busy")
            assert ["Retry-After", "1"] in refused["headers"]
            assert ["Content-Type", "application/problem+json"] in refused["headers"]
            assert "request_finished" in str(refused["lines"])
            assert refused["figures"]
        # Whoever looks after the wallet is let in.
        assert called(door, town.request("/healthz", REQUEST_METHOD="GET")).status_code == 200
        go_on.set()
        assert first.result().status_code == 404
    assert not Transaction.objects.filter(debit_account=town.source).exists()
    # There is room again at once, and the key is free.
    assert called(door, town.request()).status_code == 202


@pytest.mark.parametrize("path", ["/api/v1/accounts", "/api/v1/transactions", "/healthz"])
def test_a_view_with_ways_of_its_own_has_no_short_way(path: str) -> None:
    with pytest.raises(ImproperlyConfigured):
        routes([path])


def test_the_accounts_are_as_the_requests_say(town: Town) -> None:
    called(the_door(), town.request())
    source = Account.objects.get(id=town.source.id)
    assert (source.cleared, source.reserved) == (10_000, 100)
