"""The API as the web server meets it: a WSGI call of an application like the one that it loads, the door before all."""

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

from django.core.handlers.wsgi import WSGIRequest
from django.db import close_old_connections
from django.http import HttpResponse
from rest_framework.test import APIClient


def called(application: Callable[..., Iterable[bytes]], environ: dict[str, Any]) -> HttpResponse:
    """What the application answers, as Django's test client knows answers."""
    begun: list[tuple[str, list[tuple[str, str]]]] = []
    body = application(environ, lambda status, headers: begun.append((status, headers)))
    try:
        content = b"".join(body)
    finally:
        if (close := getattr(body, "close", None)) is not None:
            close()
    [(status, headers)] = begun
    response = HttpResponse(content, status=int(status.split(" ", 1)[0]))
    del response.headers["Content-Type"]
    for name, value in headers:
        response.headers[name] = value
    response.wsgi_request = WSGIRequest(environ)  # type: ignore[attr-defined]
    return response


class Inline:
    """A teller that is the visitor's own thread, so that a test that is rolled back sees what it did."""

    def __init__(self, serve: Callable[[Sequence[Any]], None]) -> None:
        self._serve = serve

    def visit(self, visitor: Any) -> None:
        self._serve([visitor])
        # Unlike a teller it has others beside it, who share the connections of a pool.
        close_old_connections()


def door_before(django: Callable[..., Iterable[bytes]], *, at_once: int = 96) -> Any:
    from wallet_project.api.defaults import DIRECT_PATHS
    from wallet_project.door import Door

    return Door(django, DIRECT_PATHS, at_once=at_once, tellers=Inline)


@cache
def the_door() -> Any:
    """As `wallet_project.wsgi` makes it."""
    from wallet_project.wsgi import django

    return door_before(django)


class DoorClient(APIClient):
    """An APIClient whose requests come through the door."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.handler = lambda environ: called(the_door(), environ)  # type: ignore[assignment]
