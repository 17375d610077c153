"""The API as the web server meets it: a WSGI call of the application that it loads, the door before all else."""

from collections.abc import Callable, Iterable
from typing import Any

from django.core.handlers.wsgi import WSGIRequest
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


class DoorClient(APIClient):
    """An APIClient whose requests come through the door."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        from wallet_project.wsgi import application

        self.handler = lambda environ: called(application, environ)  # type: ignore[assignment]
