"""What the web server says of a request, as Django reads it."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpResponse, UnreadablePostError

from tests.support.door import Asked, in_the_loop, the_loop
from wallet_project import gateway
from wallet_project.api.defaults import DIRECT_PATHS
from wallet_project.api.problems import problem_response
from wallet_project.door import Door
from wallet_project.gateway import Gateway, Gateways, environ_of


class Headers:
    """Names in small letters, as often as they came."""

    def __init__(self, *items: tuple[str, str]) -> None:
        self._items = items

    def items(self) -> list[tuple[str, str]]:
        return list(self._items)


def scope(*headers: tuple[str, str], **own: Any) -> Any:
    told = {
        "scheme": "http", "method": "GET", "path": "/", "query_string": "", "http_version": "1.1",
        "server": "127.0.0.1:8000", "client": "192.0.2.7:4711", "authority": None, "headers": Headers(*headers),
    }  # fmt: skip
    return SimpleNamespace(**{**told, **own})


def request(*headers: tuple[str, str], **own: Any) -> WSGIRequest:
    return WSGIRequest({**environ_of(scope(*headers, **own)), "wsgi.input": BytesIO()})


def test_django_reads_what_was_asked() -> None:
    asked = request(
        ("host", "wallet.example"), ("content-type", "text/plain"), ("x-request-id", "order-7"),
        method="PUT", path="/über/%2", query_string="a=1&b=%20", scheme="https",
    )  # fmt: skip
    assert (asked.method, asked.path, asked.GET["b"], asked.scheme) == ("PUT", "/über/%2", " ", "https")
    assert (asked.headers["Host"], asked.content_type, asked.headers["X-Request-Id"]) == (
        "wallet.example", "text/plain", "order-7",
    )  # fmt: skip
    assert asked.META["SERVER_PROTOCOL"] == "HTTP/1.1"
    assert (asked.META["SERVER_NAME"], asked.META["SERVER_PORT"]) == ("127.0.0.1", "8000")


def test_a_header_that_comes_twice_is_one() -> None:
    asked = request(("cookie", "a=1"), ("cookie", "b=2"), ("x-forwarded-for", "192.0.2.1"), ("x-forwarded-for", "::1"))
    assert asked.COOKIES == {"a": "1", "b": "2"}
    assert asked.headers["X-Forwarded-For"] == "192.0.2.1,::1"


def test_nobody_sets_a_variable_that_is_not_a_header() -> None:
    environ = environ_of(scope(("remote-addr", "10.0.0.1"), ("wsgi.input", "x"), ("request-method", "DELETE")))
    assert (environ["REMOTE_ADDR"], environ["REQUEST_METHOD"]) == ("192.0.2.7", "GET")
    assert "wsgi.input" not in environ


def test_nobody_says_what_a_proxy_says_under_a_name_that_looks_like_it() -> None:
    environ = environ_of(scope(("x-forwarded-for", "192.0.2.1"), ("x_forwarded_for", "10.0.0.1"), ("x_real_ip", "::1")))
    assert environ["HTTP_X_FORWARDED_FOR"] == "192.0.2.1"
    assert "HTTP_X_REAL_IP" not in environ


@pytest.mark.parametrize(
    ("client", "address"),
    [("192.0.2.7:4711", "192.0.2.7"), ("[2001:db8::1]:4711", "2001:db8::1"), ("/run/wallet.sock", "/run/wallet.sock")],
)
def test_whoever_asks_is_known_by_his_address(client: str, address: str) -> None:
    assert environ_of(scope(client=client))["REMOTE_ADDR"] == address


@pytest.mark.parametrize("headers", [[("host", "one.example")], []])
def test_a_request_without_a_host_is_for_its_authority(headers: list[tuple[str, str]]) -> None:
    environ = environ_of(scope(*headers, authority="two.example"))
    assert environ["HTTP_HOST"] == ("one.example" if headers else "two.example")


class Sender(Asked):
    """Who sends these pieces and then nothing more; he hangs up, or waits with that."""

    def __init__(self, environ: dict[str, Any], *pieces: bytes, waits: bool) -> None:
        super().__init__(environ)
        self.environ = environ
        self._pieces = pieces
        self._ended = asyncio.Event()
        if not waits:
            self._ended.set()

    async def __call__(self) -> bytes:
        return b"".join([piece async for piece in self])

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece
        await self._ended.wait()

    def hangs_up(self) -> None:
        the_loop().call_soon_threadsafe(self._ended.set)


@pytest.mark.parametrize("length", [9, 100_000])
def test_a_body_that_does_not_come_is_waited_for_so_long(monkeypatch: pytest.MonkeyPatch, length: int) -> None:
    monkeypatch.setattr(gateway, "PIECE_SECONDS", 0.05)
    assert refused(length, [b"{"], waits=True) == (400, "incomplete_body")


def test_a_body_that_comes_in_drops_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway, "BODY_SECONDS", 0.05)
    assert refused(100_000, [b"{"] * 10, waits=True) == (400, "incomplete_body")


def test_half_a_long_body_is_none() -> None:
    assert refused(100_000, [b"{}"], waits=False) == (400, "incomplete_body")


def test_those_who_send_slowly_hold_up_nobody_else() -> None:
    door = door_to(lambda environ: WSGIRequest(environ).read() or b"nothing")
    slowly = [Sender(posted("/api/v1/x", 100_000), b"{", waits=True) for _ in range(2)]
    coming = [in_the_loop(door.answer(sender.environ, sender)) for sender in slowly]
    assert coming[1].result(timeout=30) is None
    assert slowly[1].response().status_code == 503
    for path in ("/api/v1/x", "/healthz"):
        quick = Sender(posted(path, 2), b"{}", waits=False)
        in_the_loop(door.answer(quick.environ, quick)).result(timeout=30)
        assert (quick.response().status_code, quick.response().content) == (200, b"{}")
    # So can nobody keep staff and health waiting.
    late = Sender(posted("/admin/login/", 100_000), b"{", waits=True)
    in_the_loop(door.answer(late.environ, late)).result(timeout=30)
    assert late.response().status_code == 503
    slowly[0].hangs_up()
    coming[0].result(timeout=30)
    assert slowly[0].response().status_code == 400


def refused(length: int, pieces: Sequence[bytes], *, waits: bool) -> tuple[int, str]:
    sender = Sender(posted("/api/v1/x", length), *pieces, waits=waits)
    in_the_loop(door_to(lambda environ: WSGIRequest(environ).read()).answer(sender.environ, sender)).result(timeout=30)
    response = sender.response()
    return response.status_code, json.loads(response.content)["code"]


def posted(path: str, length: int) -> dict[str, Any]:
    headers = (("content-type", "application/json"), ("content-length", str(length)))
    return environ_of(scope(*headers, method="POST", path=path))


def door_to(view: Callable[[dict[str, Any]], bytes]) -> Door:
    def django(environ: dict[str, Any], start_response: Any) -> Any:
        response: Any
        try:
            response = HttpResponse(view(environ))
        except UnreadablePostError as error:
            response = problem_response(error)
        start_response(f"{response.status_code} ", list(response.items()))
        return response

    usual, long, house = (Gateway(django, threads=1, places=1) for _ in range(3))
    return Door(Gateways(usual=usual, long=long, house=house), DIRECT_PATHS, payments_at_once=1)
