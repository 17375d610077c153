"""The client against real sockets that misbehave."""

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import BinaryIO

import pytest
from django.db import transaction

from wallet_project.utils.context import request_id
from wallet_project.utils.http_client import (
    CallLimits,
    ProviderClient,
    ProviderRefused,
    ProviderUnavailable,
)

QUICK = CallLimits(connect_seconds=0.5, total_seconds=0.6, max_response_bytes=10_000)


class Request:
    def __init__(self, head: bytes, body: bytes, connection: socket.socket) -> None:
        self.line, *lines = head.decode().split("\r\n")
        self.headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        self.body, self.connection = body, connection


class Peer:
    """A server that does with each request exactly what it is told, down to the byte."""

    def __init__(self, reply: Callable[[Request], bytes | None]) -> None:
        self._reply = reply
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.requests: list[Request] = []
        self.connections: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections.append(connection)
                threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with suppress(OSError), connection, connection.makefile("rb") as stream:
            while head := self._head(stream):
                request = Request(head, b"", connection)
                request.body = stream.read(int(request.headers.get("content-length", "0")))
                self.requests.append(request)
                if (answer := self._reply(request)) is None:
                    return
                connection.sendall(answer)

    @staticmethod
    def _head(stream: BinaryIO) -> bytes:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = stream.readline()
            if not line:
                return b""
            head += line
        return head[:-4]

    def close(self) -> None:
        self._listener.close()
        for connection in self.connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def response(status: int, body: bytes, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


@contextmanager
def peer(reply: Callable[[Request], bytes | None]) -> Iterator[Peer]:
    made = Peer(reply)
    try:
        yield made
    finally:
        made.close()


@contextmanager
def client_of(url: str, limits: CallLimits = QUICK) -> Iterator[ProviderClient]:
    client = ProviderClient(base_url=url, api_key="key-1", limits=limits)
    try:
        yield client
    finally:
        client.close()


def drip(request: Request, start: bytes) -> None:
    """One byte every now and then, for far longer than any test: the gaps are what the client's bound must not count
    afresh. The event is never set; it only keeps time."""
    request.connection.sendall(start)
    pause = threading.Event()
    for _ in range(1000):
        pause.wait(0.05)
        request.connection.sendall(b" ")


def test_a_call_carries_the_key_the_idempotency_key_and_the_request_id() -> None:
    with peer(lambda request: response(200, b'{"ok":1}')) as server, client_of(server.url + "/base/") as client:
        token = request_id.set("req-7")
        try:
            assert client.post("/payments", {"amount": 1}, idempotency_key="k-1") == {"ok": 1}
        finally:
            request_id.reset(token)
        request = server.requests[0]
        assert request.line == "POST /base/payments HTTP/1.1"
        assert request.headers["authorization"] == "Bearer key-1"
        assert request.headers["idempotency-key"] == "k-1"
        assert request.headers["x-request-id"] == "req-7"
        assert json.loads(request.body) == {"amount": 1}


def test_a_query_is_encoded() -> None:
    with peer(lambda request: response(200, b"{}")) as server, client_of(server.url) as client:
        client.get("/statement", query={"currency": "EUR", "after": "a b&c"})
        assert server.requests[0].line == "GET /statement?currency=EUR&after=a+b%26c HTTP/1.1"


def test_connections_are_used_again_by_calls_in_turn() -> None:
    with peer(lambda request: response(200, b"{}")) as server, client_of(server.url) as client:
        for _ in range(5):
            client.get("/")
        assert len(server.connections) == 1


def test_threads_share_a_client() -> None:
    with peer(lambda request: response(200, json.dumps({"line": request.line}).encode())) as server:
        with client_of(server.url, CallLimits()) as client, ThreadPoolExecutor(20) as threads:
            answers = list(threads.map(lambda n: client.get(f"/{n}"), range(200)))
        assert [answer["line"] for answer in answers] == [f"GET /{n} HTTP/1.1" for n in range(200)]
        assert len(server.connections) <= 16


def test_a_forked_child_does_not_write_into_its_parents_connections() -> None:
    with peer(lambda request: response(200, b"{}")) as server, client_of(server.url) as client:
        client.get("/parent")
        child = os.fork()
        if child == 0:
            # The child must leave without running the parent's exit handlers, and tells by its exit code alone.
            try:
                client.get("/child")
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        client.get("/parent-again")
        assert len(server.connections) == 2


@pytest.mark.django_db
def test_no_call_is_made_while_a_transaction_is_open() -> None:
    with peer(lambda request: response(200, b"{}")) as server, client_of(server.url) as client:
        with transaction.atomic(), pytest.raises(RuntimeError, match="inside a database transaction"):
            client.get("/")
        assert server.requests == []
        assert client.get("/") == {}


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504])
def test_not_now_is_a_passing_failure(status: int) -> None:
    with peer(lambda request: response(status, b'{"code":"x"}')) as server, client_of(server.url) as client:
        with pytest.raises(ProviderUnavailable) as caught:
            client.post("/", {}, idempotency_key="k")
        assert (caught.value.status, caught.value.may_have_reached) == (status, True)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 422])
def test_not_this_is_a_refusal_with_its_body(status: int) -> None:
    with peer(lambda request: response(status, b'{"code":"x"}')) as server, client_of(server.url) as client:
        with pytest.raises(ProviderRefused) as caught:
            client.post("/", {}, idempotency_key="k")
        assert (caught.value.status, caught.value.body) == (status, {"code": "x"})


def test_a_redirect_is_not_followed() -> None:
    with (
        peer(lambda request: response(200, b'{"secret":1}')) as other,
        peer(lambda request: response(302, b"", f"Location: {other.url}/")) as server,
        client_of(server.url) as client,
    ):
        with pytest.raises(ProviderRefused):
            client.get("/")
        assert other.requests == []


def test_a_proxy_from_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with peer(lambda request: response(200, b"{}")) as server, client_of(server.url) as client:
        assert client.get("/") == {}


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[1]", b'"text"', b"null", b"\xff", b"[" * 9000], ids=lambda body: repr(body[:8])
)
def test_an_answer_that_is_no_json_object_is_a_passing_failure(body: bytes) -> None:
    with peer(lambda request: response(200, body)) as server, client_of(server.url) as client:
        with pytest.raises(ProviderUnavailable) as caught:
            client.get("/")
        assert caught.value.may_have_reached


def test_nobody_listening_means_that_nothing_was_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with client_of(f"http://127.0.0.1:{port}") as client, pytest.raises(ProviderUnavailable) as caught:
        client.post("/", {}, idempotency_key="k")
    assert not caught.value.may_have_reached


def test_a_peer_that_hangs_up_may_have_heard() -> None:
    with peer(lambda request: None) as server, client_of(server.url) as client:
        with pytest.raises(ProviderUnavailable) as caught:
            client.post("/", {}, idempotency_key="k")
        assert caught.value.may_have_reached
        assert len(server.requests) == 1


def never(request: Request) -> None:
    threading.Event().wait(8)


def slow_head(request: Request) -> None:
    drip(request, b"HTTP/1.1 200 OK\r\nX-Slow: ")


def slow_body(request: Request) -> None:
    drip(request, b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{")


def slow_chunks(request: Request) -> None:
    drip(request, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")


@pytest.mark.parametrize("reply", [never, slow_head, slow_body, slow_chunks])
def test_the_whole_call_is_bounded_however_the_time_is_spent(reply: Callable[[Request], None]) -> None:
    with peer(reply) as server, client_of(server.url) as client:
        started = time.monotonic()
        with pytest.raises(ProviderUnavailable) as caught:
            client.post("/", {}, idempotency_key="k")
        assert time.monotonic() - started < 4
        assert caught.value.may_have_reached


def test_an_endless_train_of_informational_answers_is_bounded() -> None:
    def hints(request: Request) -> None:
        pause = threading.Event()
        for _ in range(1000):
            request.connection.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\n")
            pause.wait(0.05)

    with peer(hints) as server, client_of(server.url) as client:
        started = time.monotonic()
        with pytest.raises(ProviderUnavailable):
            client.get("/")
        assert time.monotonic() - started < 4


def test_waiting_for_a_free_connection_counts_too() -> None:
    with peer(never) as server, client_of(server.url) as client, ThreadPoolExecutor(40) as threads:
        started = time.monotonic()
        calls = [threads.submit(client.get, "/") for _ in range(40)]
        failures = [call.exception() for call in calls]
        assert time.monotonic() - started < 4
        assert all(isinstance(failure, ProviderUnavailable) for failure in failures)


def test_a_peer_that_does_not_read_is_bounded() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as deaf,
        client_of(f"http://127.0.0.1:{deaf.getsockname()[1]}") as client,
    ):
        started = time.monotonic()
        with pytest.raises(ProviderUnavailable) as caught:
            client.post("/", {"long": "x" * 20_000_000}, idempotency_key="k")
        assert time.monotonic() - started < 4
        assert caught.value.may_have_reached


def test_an_answer_that_is_too_large_is_cut_off() -> None:
    with (
        peer(lambda request: response(200, b'{"x":"' + b"y" * 20_000 + b'"}')) as server,
        client_of(server.url) as client,
        pytest.raises(ProviderUnavailable, match="too large"),
    ):
        client.get("/")


@pytest.mark.parametrize("url", ["", "bank", "ftp://bank", "http://", "http://bank?x=1", "http://bank#x"])
def test_a_base_url_must_make_sense(url: str) -> None:
    with pytest.raises(ValueError, match="base url"):
        ProviderClient(base_url=url, api_key="k")


@pytest.mark.parametrize("key", ["", "a\nb", "schlüssel"])
def test_a_key_must_fit_into_a_header(key: str) -> None:
    with pytest.raises(ValueError, match="key"):
        ProviderClient(base_url="http://bank", api_key=key)
