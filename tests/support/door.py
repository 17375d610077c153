"""The API as the web server meets it: a request, and an application like the one that it loads, the door before all."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from functools import cache
from io import BytesIO
from typing import Any

from django.core.handlers.wsgi import WSGIRequest
from django.db import close_old_connections
from django.http import HttpResponse
from rest_framework.test import APIClient

from wallet_project.gateway import Application, Environ, Gateway, Gateways, Headers
from wallet_project.traffic import Answered, Traffic


class Asked:
    """What the server has of a request: its body to give, and its answer to take."""

    def __init__(self, environ: Environ) -> None:
        self._environ = environ
        self._answers: list[tuple[int, Headers, bytearray]] = []

    async def __call__(self) -> bytes:
        content: bytes = self._environ["wsgi.input"].read(int(self._environ.get("CONTENT_LENGTH") or 0))
        return content

    def __aiter__(self) -> Any:
        raise AssertionError("Django reads the environment's wsgi.input")

    def response_bytes(self, status: int, headers: Headers, body: bytes) -> None:
        self._answers.append((status, headers, bytearray(body)))

    def response_stream(self, status: int, headers: Headers) -> "Asked":
        self._answers.append((status, headers, bytearray()))
        return self

    async def send_bytes(self, data: bytes) -> None:
        self._answers[-1][2].extend(data)

    def response(self) -> HttpResponse:
        """The first answer, as Django's test client knows answers."""
        status, headers, content = self._answers[0]
        response = HttpResponse(bytes(content), status=status)
        del response.headers["Content-Type"]
        for name, value in headers:
            response.headers[name] = value
        response.wsgi_request = WSGIRequest({"wsgi.input": BytesIO(), **self._environ})  # type: ignore[attr-defined]
        return response


async def answered(serve: Callable[[Environ, Any], Awaitable[None]], environ: Environ) -> HttpResponse:
    asked = Asked(environ)
    await serve(environ, asked)
    return asked.response()


@cache
def the_loop() -> asyncio.AbstractEventLoop:
    """An event loop that runs in a thread of its own."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    return loop


def in_the_loop(awaitable: Any) -> "Future[Any]":
    return asyncio.run_coroutine_threadsafe(awaitable, the_loop())


class InlineGateway(Gateway):
    """Its thread is its caller's own, so that a test that is rolled back sees what it did."""

    def __init__(self, application: Application, *, places: int | None = None) -> None:
        super().__init__(application, threads=1, places=places)

    async def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return function(*arguments)


class InlineTellers:
    """Those who serve themselves, likewise."""

    def __init__(self, serve: Callable[[Sequence[Any]], None]) -> None:
        self._serve = serve

    async def visit(self, visitor: Any) -> None:
        self._serve([visitor])
        # Unlike a teller it has others beside it, who share the connections of a pool.
        close_old_connections()


class InlineTraffic(Traffic):
    def record_soon(self, request: Answered) -> None:
        self.record([request])


def called(way: Any, environ: Environ) -> HttpResponse:
    """What is answered by Django's own handler, or by a door where nobody waits for anything."""
    serve = way.answer if hasattr(way, "answer") else InlineGateway(way).serve
    answer = answered(serve, environ)
    try:
        answer.send(None)
    except StopIteration as ended:
        response: HttpResponse = ended.value
        return response
    raise AssertionError("it waits for something")


def door_before(django: Application, *, at_once: int = 96, payments_at_once: int = 256) -> Any:
    from wallet_project.api.defaults import DIRECT_PATHS
    from wallet_project.door import Door

    tellers: Any = InlineTellers
    usual, house = InlineGateway(django, places=at_once), InlineGateway(django)
    gateways = Gateways(usual=usual, long=usual, house=house)
    return Door(gateways, DIRECT_PATHS, payments_at_once=payments_at_once, tellers=tellers, traffic=InlineTraffic())


@cache
def the_door() -> Any:
    """As `wallet_project.rsgi` makes it."""
    from wallet_project.wsgi import application

    return door_before(application)


class DoorClient(APIClient):
    """An APIClient whose requests come through the door."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.handler = lambda environ: called(the_door(), environ)  # type: ignore[assignment]
