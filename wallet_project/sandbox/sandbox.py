"""The parts put together: book, provider, bank, courier and the clock that brings things to their end."""

import fcntl
import json
import threading
import time
from collections import deque
from typing import Any, cast, get_args

from wallet_project.sandbox.bank import Bank, payer_of
from wallet_project.sandbox.book import Book
from wallet_project.sandbox.callbacks import Courier, Signature, SignedCallback
from wallet_project.sandbox.config import BadConfiguration, SandboxConfig
from wallet_project.sandbox.exchange import Answer, Fields, Json, Problem
from wallet_project.sandbox.identity import IdentityProvider

_REQUESTS_KEPT = 1000


class Sandbox:
    """Everything but HTTP. Raises BadConfiguration when another sandbox works in the same data folder."""

    def __init__(self, config: SandboxConfig) -> None:
        self.config = config
        config.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Two of them would send each callback twice; the lock goes with the process, however it ends.
        self._owner = (config.data / "lock").open("w")
        try:
            fcntl.flock(self._owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._owner.close()
            raise BadConfiguration(f"another sandbox works in {config.data}") from error
        self.book = Book(config.data / "book.sqlite3")
        self.identity = IdentityProvider(self.book, config.timing, config.wallet_url)
        self.bank = Bank(self.book, config.timing, config.wallet_url)
        self.courier = Courier(self.book, config)
        self.requests: deque[dict[str, Any]] = deque(maxlen=_REQUESTS_KEPT)
        self.stopping = threading.Event()
        self._awake = threading.Event()
        self._clock = threading.Thread(target=self._run_clock, name="sandbox-clock", daemon=True)

    def start(self) -> None:
        self._clock.start()
        self.courier.start()

    def stop(self) -> None:
        self.stopping.set()
        self._awake.set()
        self._clock.join()
        self.courier.stop()
        self.book.close()
        self._owner.close()

    def wake(self) -> None:
        """Something was written: look again what is due."""
        self._awake.set()
        self.courier.wake()

    def callbacks(self, service: str | None = None) -> list[SignedCallback]:
        """Every callback there has been, oldest first, signed afresh."""
        rows = self.book.rows("SELECT * FROM callback ORDER BY created_at, id")
        return [self.courier.sign(row) for row in rows if service in (None, row["service"])]

    def forge(self, body: Json) -> Answer:
        """Send a message that no service means, as the control endpoint was told."""
        fields = Fields(body)
        service = fields.choice("service", ("identity", "bank"))
        signature = fields.choice("signature", get_args(Signature))
        message_id = fields.text("id", limit=255, default="")
        message = {"type": fields.text("type"), "data": fields.raw("data")}
        fields.done()
        status = self.courier.send_once(service, json.dumps(message), cast(Signature, signature), message_id)
        return Answer(200, {"wallet_status": status})

    def decide(self, kind: str, reference: str, body: Json) -> Answer:
        """Give a payment or a check the outcome that the control endpoint was told."""
        fields = Fields(body)
        ends = ("settled", "rejected") if kind == "payment" else ("approved", "rejected", "review")
        status, reason = fields.choice("status", ends), fields.text("reason", default="")
        payer = payer_of(fields) if kind == "payment" else None
        fields.done()
        if kind == "payment":
            return Answer(200, self.bank.decide(reference, status, reason, payer))
        return Answer(200, self.identity.decide(reference, status, reason))

    def list_callbacks(self) -> Json:
        rows = self.book.rows("SELECT * FROM callback ORDER BY created_at, id")
        return {"callbacks": [row | {"body": json.loads(row["body"])} for row in rows]}

    def check_health(self) -> None:
        """Raises Problem when a background thread has died, and what SQLite raises when the book cannot be read."""
        self.book.next_due()
        if not (self._clock.is_alive() and self.courier.alive()):
            raise Problem(503, "unhealthy", "a background thread has died")

    def _run_clock(self) -> None:
        while not self.stopping.is_set():
            self._awake.clear()
            now = time.time()
            self.bank.settle_due(now)
            self.identity.settle_due(now)
            self.courier.wake()
            due = self.book.next_due()
            self._awake.wait(60.0 if due is None else min(60.0, max(0.0, due - time.time())))
