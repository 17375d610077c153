"""Sends the kept callbacks, signed, again and again until the wallet takes them."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import uuid4

import httpcore
from standardwebhooks import Webhook

from wallet_project.sandbox.book import Book, Row, now_text
from wallet_project.sandbox.config import SandboxConfig
from wallet_project.sandbox.exchange import Problem

Signature = Literal["good", "wrong", "expired", "none"]

_BATCH = 32
_AT_ONCE = 4
_NOT_TAKEN = (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError)


@dataclass(frozen=True, slots=True)
class SignedCallback:
    """A callback as it goes out: `body` is signed byte for byte in `headers`."""

    id: str
    service: str
    headers: dict[str, str]
    body: bytes


class Courier:
    """Delivers from a background thread. A callback is done when the wallet answered 2xx to each of its copies, or
    given up after a bounded number of tries."""

    def __init__(self, book: Book, config: SandboxConfig) -> None:
        self._book, self._timing = book, config.timing
        self._webhooks = {
            "identity": Webhook(config.identity_webhook_secret),
            "bank": Webhook(config.bank_webhook_secret),
        }
        self._wallet_url = config.wallet_url
        # It follows no redirect and reads no proxy from the environment: callbacks go to the wallet and nowhere else.
        self._connections = httpcore.ConnectionPool(max_connections=2 * _AT_ONCE, keepalive_expiry=5.0)
        self._stopping = threading.Event()
        self._awake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sandbox-courier", daemon=True)
        self._workers = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="sandbox-callback")

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        self._awake.set()

    def alive(self) -> bool:
        return self._thread.is_alive()

    def stop(self) -> None:
        self._stopping.set()
        self._awake.set()
        self._thread.join()
        self._workers.shutdown()
        self._connections.close()

    def sign(self, row: Row, signature: Signature = "good") -> SignedCallback:
        """Sign a kept callback now, as each try does: the id stays, the time is that of the try."""
        at = datetime.now(UTC) - (timedelta(hours=1) if signature == "expired" else timedelta())
        signed = self._webhooks[row["service"]].sign(row["id"], at, row["body"])
        if signature == "wrong":
            signed = Webhook(uuid4().bytes * 2).sign(row["id"], at, row["body"])
        headers = {
            "content-type": "application/json",
            "webhook-id": row["id"],
            "webhook-timestamp": str(int(at.timestamp())),
        }
        if signature != "none":
            headers["webhook-signature"] = signed
        return SignedCallback(row["id"], row["service"], headers, row["body"].encode())

    def send_once(self, service: str, body: str, signature: Signature, message_id: str = "") -> int:
        """Send a made-up message to the wallet, now and once; returns its status. Raises Problem."""
        if self._wallet_url is None:
            raise Problem(409, "no_wallet", "the sandbox was not told where the wallet is")
        row: Row = {"id": message_id or f"msg_{uuid4().hex}", "service": service, "body": body}
        try:
            return self._post(f"{self._wallet_url}/webhooks/{service}", self.sign(row, signature))
        except _NOT_TAKEN as error:
            raise Problem(502, "wallet_not_reached", type(error).__name__) from error

    def again(self, message_id: str) -> None:
        """Deliver a kept callback once more. Raises Problem."""
        changed = self._book.run(
            "UPDATE callback SET copies = copies + 1, attempts = 0, next_at = ? WHERE id = ? AND url IS NOT NULL",
            time.time(),
            message_id,
        )
        if not changed:
            raise Problem(404, "unknown_callback", "there is no callback with this id that could be sent")
        self.wake()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._awake.clear()
            due = self._book.rows(
                "SELECT * FROM callback WHERE next_at <= ? ORDER BY next_at LIMIT ?", time.time(), _BATCH
            )
            list(self._workers.map(self._deliver, due))
            if not due:
                self._awake.wait(self._seconds_to_next())

    def _seconds_to_next(self) -> float:
        found = self._book.row("SELECT min(next_at) AS at FROM callback WHERE next_at IS NOT NULL")
        return 60.0 if found is None or found["at"] is None else min(60.0, max(0.0, found["at"] - time.time()))

    def _deliver(self, row: Row) -> None:
        try:
            status = self._post(row["url"], self.sign(row))
            taken, result = 200 <= status < 300, str(status)
        except _NOT_TAKEN as error:
            taken, result = False, type(error).__name__
        if taken:
            self._book.run(
                "UPDATE callback SET copies = copies - 1, attempts = attempts + 1, delivered_at = ?, last_result = ?,"
                " next_at = CASE WHEN copies > 1 THEN ? END WHERE id = ?",
                now_text(),
                result,
                time.time(),
                row["id"],
            )
            return
        attempts = row["attempts"] + 1
        timing = self._timing
        bound = min(timing.callback_backoff_cap, timing.callback_backoff * 2 ** (attempts - 1))
        wait = bound * random.uniform(0.5, 1.0)  # noqa: S311
        self._book.run(
            "UPDATE callback SET attempts = ?, last_result = ?, next_at = ? WHERE id = ?",
            attempts,
            result,
            time.time() + wait if attempts < timing.callback_tries else None,
            row["id"],
        )

    def _post(self, url: str, callback: SignedCallback) -> int:
        timeouts = dict.fromkeys(("connect", "read", "write", "pool"), self._timing.callback_timeout)
        answer = self._connections.request(
            "POST",
            url,
            headers=list(callback.headers.items()),
            content=callback.body,
            extensions={"timeout": timeouts},
        )
        return answer.status
