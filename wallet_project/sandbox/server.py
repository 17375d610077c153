"""HTTP in front of the sandbox: routes, keys, strict JSON."""

import hmac
import json
import re
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NoReturn
from urllib.parse import parse_qs, unquote, urlsplit

from wallet_project.sandbox.bank import MAX_PAGE, PAGE
from wallet_project.sandbox.book import now_text
from wallet_project.sandbox.config import FIRST_PORT, LAST_PORT, BadConfiguration, SandboxConfig
from wallet_project.sandbox.exchange import Answer, Json, Problem
from wallet_project.sandbox.sandbox import Sandbox

MAX_BODY = 65_536
_SEGMENT = r"([^/]+)"


class Call:
    """A request, as the routes see it."""

    def __init__(self, sandbox: Sandbox, parts: tuple[str, ...], query: dict[str, str], body: Json, key: str) -> None:
        self.sandbox, self.parts, self.query, self.body = sandbox, parts, query, body
        self._key = key

    @property
    def key(self) -> str:
        if not 1 <= len(self._key) <= 255:
            raise Problem(400, "idempotency_key_missing", "send an Idempotency-Key of 1 to 255 characters")
        return self._key


def _statement(call: Call) -> Answer:
    limit = call.query.get("limit", str(PAGE))
    if not (limit.isascii() and limit.isdigit() and 1 <= int(limit[:6]) <= MAX_PAGE):
        raise Problem(400, "invalid_request", f"limit is a number from 1 to {MAX_PAGE}")
    currency = call.query.get("currency", "")
    if not re.fullmatch(r"[A-Z]{3}", currency):
        raise Problem(400, "invalid_request", "currency is an ISO 4217 code")
    return Answer(200, call.sandbox.bank.statement(currency, call.query.get("after", ""), int(limit)))


def _again(call: Call) -> Answer:
    call.sandbox.courier.again(call.parts[0])
    return Answer(202, {"id": call.parts[0]})


def _health(call: Call) -> Answer:
    call.sandbox.check_health()
    return Answer(200, {"status": "ok"})


Route = tuple[str, str, re.Pattern[str], Callable[[Call], Answer]]


def _route(method: str, service: str, path: str, act: Callable[[Call], Answer]) -> Route:
    return method, service, re.compile(path.replace("*", _SEGMENT)), act


# The service is the one whose key is asked for; either key opens the control endpoints.
ROUTES: tuple[Route, ...] = (
    _route("GET", "", "/healthz", _health),
    _route("POST", "identity", "/identity/v1/checks", lambda c: c.sandbox.identity.check(c.body, c.key)),
    _route("GET", "identity", "/identity/v1/checks/*", lambda c: Answer(200, c.sandbox.identity.view(c.parts[0]))),
    _route("POST", "bank", "/bank/v1/payouts", lambda c: c.sandbox.bank.pay("payout", c.body, c.key)),
    _route("POST", "bank", "/bank/v1/collections", lambda c: c.sandbox.bank.pay("collection", c.body, c.key)),
    _route("GET", "bank", "/bank/v1/payments/*", lambda c: Answer(200, c.sandbox.bank.view(c.parts[0]))),
    _route("GET", "bank", "/bank/v1/statement", _statement),
    _route("POST", "control", "/control/bank/credits", lambda c: Answer(201, c.sandbox.bank.credit(c.body))),
    _route(
        "POST",
        "control",
        "/control/bank/payments/*/outcome",
        lambda c: c.sandbox.decide("payment", c.parts[0], c.body),
    ),
    _route(
        "POST",
        "control",
        "/control/identity/checks/*/outcome",
        lambda c: c.sandbox.decide("check", c.parts[0], c.body),
    ),
    _route("GET", "control", "/control/callbacks", lambda c: Answer(200, c.sandbox.list_callbacks())),
    _route("POST", "control", "/control/callbacks", lambda c: c.sandbox.forge(c.body)),
    _route("POST", "control", "/control/callbacks/*/again", _again),
    _route("GET", "control", "/control/requests", lambda c: Answer(200, {"requests": list(c.sandbox.requests)})),
)


class SandboxServer(ThreadingHTTPServer):
    daemon_threads = False
    # The standard library's queue of five connections refuses a crowd that a bank would take.
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], sandbox: Sandbox, *, log: bool) -> None:
        self.sandbox, self.log = sandbox, log
        self._open: set[socket.socket] = set()
        super().__init__(address, Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A caller that hung up is no error of ours; callers do, when they are kept waiting.
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)

    def end(self) -> None:
        """Stop serving, hang up on everybody and wait for the threads. Not to be called from the serving thread
        while it serves."""
        self.sandbox.stopping.set()
        self.shutdown()
        for connection in tuple(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    server: SandboxServer
    protocol_version = "HTTP/1.1"
    server_version = "sandbox"
    sys_version = ""
    # An idle or half-sent connection does not keep its thread for ever.
    timeout = 60
    # Headers and body leave together, when the answer is complete.
    wbufsize = -1
    disable_nagle_algorithm = True

    def _serve(self) -> None:
        sandbox = self.server.sandbox
        record: dict[str, Any] = {"at": now_text(), "method": self.command, "path": self.path, "status": None}
        try:
            record["body"] = body = self._read_body()
            answer = self._answer(body, record)
        except Problem as problem:
            answer = Answer(problem.status, {"code": problem.code, "message": problem.message})
        record["status"] = None if answer.hang else answer.status
        if not self.path.startswith(("/control/", "/healthz")):
            sandbox.requests.append(record)
        if self.command == "POST":
            sandbox.wake()
        if answer.hang:
            sandbox.stopping.wait(sandbox.config.timing.hang)
            self.close_connection = True
            return
        self._send(answer)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _serve  # noqa: N815

    def _answer(self, body: Json, record: dict[str, Any]) -> Answer:
        target = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(target.query).items()}
        key = self.headers.get("Idempotency-Key", "")
        record |= {"idempotency_key": key, "request_id": self.headers.get("X-Request-ID", "")}
        methods = set()
        for method, service, pattern, act in ROUTES:
            if (match := pattern.fullmatch(target.path)) is None:
                continue
            methods.add(method)
            if method == self.command:
                self._check_key(service)
                parts = tuple(unquote(part) for part in match.groups())
                return act(Call(self.server.sandbox, parts, query, body, key))
        if methods:
            raise Problem(405, "method_not_allowed", f"only {', '.join(sorted(methods))}")
        raise Problem(404, "unknown_path", "there is nothing at this path")

    def _check_key(self, service: str) -> None:
        config = self.server.sandbox.config
        keys = {"identity": config.identity_api_key, "bank": config.bank_api_key}
        wanted = {"": [], "control": list(keys.values())}.get(service) if service not in keys else [keys[service]]
        given = self.headers.get("Authorization", "").encode()
        if wanted and not any(hmac.compare_digest(given, f"Bearer {key}".encode()) for key in wanted):
            raise Problem(401, "wrong_key", "send the service's key as a bearer token")

    def _read_body(self) -> Json:
        if self.command != "POST":
            self.close_connection = "Content-Length" in self.headers or "Transfer-Encoding" in self.headers
            return {}
        # What is refused here stays unread, so the connection cannot go on.
        self.close_connection = True
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not (length.isascii() and length.isdigit()):
            raise Problem(411, "length_required", "send a Content-Length")
        if len(length) > 9 or int(length) > MAX_BODY:
            raise Problem(413, "body_too_large", f"at most {MAX_BODY} bytes")
        raw = self.rfile.read(int(length))
        if len(raw) < int(length):
            raise Problem(400, "invalid_json", "the body ended early")
        self.close_connection = self.headers.get("Connection", "").lower() == "close"
        return parse_json(raw)

    def _send(self, answer: Answer) -> None:
        raw = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        kind = "text/html" if isinstance(answer.body, bytes) else "application/json"
        self.send_response(answer.status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(raw)))
        if self.close_connection:
            self.send_header("Connection", "close")
        if answer.status == 401:
            self.send_header("WWW-Authenticate", "Bearer")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(raw)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        if self.server.log:
            # Without the query, and without the body: both are somebody's.
            path = urlsplit(getattr(self, "path", "")).path
            sys.stderr.write(f"{self.command or '-'} {path} {code}\n")

    def log_error(self, *args: object) -> None:
        """A request that made no sense was answered so; that is in its line of `log_request`."""


def parse_json(raw: bytes) -> Json:
    """A JSON object without duplicate names, floats or NaN. Raises Problem."""

    def refuse(what: Any) -> NoReturn:
        raise ValueError(f"{what} is not taken")

    def unique(pairs: list[tuple[str, Any]]) -> Json:
        if len({name for name, _ in pairs}) < len(pairs):
            refuse("a duplicate name")
        return dict(pairs)

    try:
        body = json.loads(raw, object_pairs_hook=unique, parse_float=refuse, parse_constant=refuse)
        # SQLite and JSON take a lone surrogate differently: text is what UTF-8 can say.
        json.dumps(body, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise Problem(400, "invalid_json", f"the body is not the JSON that is taken here: {error}") from error
    if not isinstance(body, dict):
        raise Problem(400, "invalid_json", "the body is an object")
    return body


def bind(sandbox: Sandbox, config: SandboxConfig, *, log: bool) -> SandboxServer:
    """A server on the configured port, or on the next free one. Raises BadConfiguration when there is none."""
    ports = range(FIRST_PORT, LAST_PORT + 1) if config.port is None else [config.port]
    for port in ports:
        try:
            return SandboxServer((config.host, port), sandbox, log=log)
        except OSError as error:
            refused = error
    raise BadConfiguration(f"cannot listen on {config.host}:{ports[0]} ({refused.strerror})")
