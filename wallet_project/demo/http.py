"""JSON over HTTP, one request at a time: all that the story knows of the wallet and of the bank."""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

_SECONDS = 20.0
# No proxy from the environment: what is asked here is on this machine or in this network.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class NotReached(Exception):
    """Nobody answered at that address, or not with JSON."""


@dataclass(frozen=True)
class Answer:
    """`headers` by lower-case name; `body` is {} when the answer has none."""

    status: int
    headers: Mapping[str, str]
    body: dict[str, Any]


def check_base_url(url: str) -> str:
    """The URL without a slash at its end. Raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ValueError(f"not an address like http://127.0.0.1:8000: {url!r}")
    return url.rstrip("/")


def call(
    method: str, url: str, *, body: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
) -> Answer:
    """Send one request and read the whole answer, whatever its status. Raises NotReached."""
    # Every url starts with one that check_base_url has let through.
    request = urllib.request.Request(  # noqa: S310
        url,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Accept": "application/json", "Content-Type": "application/json", **(headers or {})},
    )
    try:
        with _opener.open(request, timeout=_SECONDS) as response:
            return _answer(url, response.status, dict(response.headers), response.read())
    except urllib.error.HTTPError as refusal:
        with refusal:
            return _answer(url, refusal.code, dict(refusal.headers), refusal.read())
    except OSError as error:
        raise NotReached(f"{url} does not answer: {error}") from error


def _answer(url: str, status: int, headers: Mapping[str, str], raw: bytes) -> Answer:
    try:
        body = json.loads(raw) if raw else {}
    except ValueError as error:
        raise NotReached(f"{url} answered {status} with something that is not JSON") from error
    return Answer(status, {name.lower(): value for name, value in headers.items()}, body)
