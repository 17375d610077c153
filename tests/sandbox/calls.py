"""Speaking to the sandbox byte for byte, and waiting for what it does by itself."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

from wallet_project.sandbox.embedding import RunningSandbox


def eventually(condition: Callable[[], Any], seconds: float = 10.0) -> Any:
    """The first truthy value of `condition`; fails the test when there is none in time."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not (value := condition()):
        assert time.monotonic() < deadline, "what was waited for did not happen"
        pause.wait(0.01)
    return value


class Caller:
    """One client with one key. Bodies may be given as bytes to send what is no JSON."""

    def __init__(self, sandbox: RunningSandbox, key: str) -> None:
        self._http = httpx.Client(base_url=sandbox.url, trust_env=False, timeout=5)
        self._key = key

    def get(self, path: str, **query: str) -> httpx.Response:
        return self._http.get(path, params=query, headers=self._headers())

    def post(self, path: str, body: Any, key: str = "") -> httpx.Response:
        headers = self._headers() | ({"Idempotency-Key": key} if key else {})
        if isinstance(body, bytes):
            return self._http.post(path, content=body, headers=headers)
        return self._http.post(path, json=body, headers=headers)

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._key}"}

    def close(self) -> None:
        self._http.close()


@contextmanager
def bank_caller(sandbox: RunningSandbox) -> Iterator[Caller]:
    caller = Caller(sandbox, sandbox.config.bank_api_key)
    try:
        yield caller
    finally:
        caller.close()


@contextmanager
def identity_caller(sandbox: RunningSandbox) -> Iterator[Caller]:
    caller = Caller(sandbox, sandbox.config.identity_api_key)
    try:
        yield caller
    finally:
        caller.close()


class Wallet:
    """Stands in for the wallet's webhook endpoints: keeps what comes and answers as told."""

    def __init__(self) -> None:
        self.received: list[tuple[str, dict[str, str], bytes]] = []
        self.answers: list[int] = []
        wallet = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                wallet.received.append((self.path, headers, body))
                self.send_response(wallet.answers.pop(0) if wallet.answers else 204)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
                """Tests read `received`."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def wallet() -> Iterator[Wallet]:
    made = Wallet()
    try:
        yield made
    finally:
        made.close()


def payout(reference: str = "r-1", amount: int = 1500, **changes: Any) -> dict[str, Any]:
    order = {
        "reference": reference,
        "amount": amount,
        "currency": "EUR",
        "beneficiary": {"name": "Ada Lovelace", "iban": "DE89370400440532013000"},
        "description": "rent",
    }
    return order | changes


def collection(reference: str = "r-1", amount: int = 1500, **changes: Any) -> dict[str, Any]:
    return {"reference": reference, "amount": amount, "currency": "EUR", "description": "top-up"} | changes


def check(reference: str = "c-1", document: str = "L01X00T47", **changes: Any) -> dict[str, Any]:
    profile = {
        "first_name": "Ada",
        "last_name": "Lovelace",
        "date_of_birth": "1990-12-10",
        "country": "DE",
        "address": "Unter den Linden 1, Berlin",
        "document_type": "passport",
        "document_number": document,
    }
    return {"reference": reference, "callback_url": "", "profile": profile} | changes
