"""What both services share: errors, reading fields strictly, and a submission that may be made again."""

import hashlib
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from wallet_project.sandbox.book import Book, now_text
from wallet_project.sandbox.config import Timing
from wallet_project.sandbox.magic import Fault, Script

Json = dict[str, Any]

MAX_AMOUNT = 10**15
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)


class Problem(Exception):
    """A refusal of the sandbox, with the status to answer."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


@dataclass(frozen=True, slots=True)
class Answer:
    """`hang`: keep the caller waiting and then hang up. A `body` of bytes is sent as it is."""

    status: int
    body: Json | bytes
    hang: bool = False


class Fields:
    """Reads the fields of a JSON object strictly; `done` refuses what nobody read."""

    def __init__(self, body: Json) -> None:
        self._left = dict(body)

    def text(self, name: str, *, limit: int = 500, default: str | None = None) -> str:
        value = self._left.pop(name, default)
        if not isinstance(value, str) or len(value) > limit or (default is None and not value):
            raise Problem(400, "invalid_request", f"{name} is a text of 1 to {limit} characters")
        return value

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        value = self.text(name)
        if value not in choices:
            raise Problem(400, "invalid_request", f"{name} is one of {', '.join(choices)}")
        return value

    def amount(self, name: str = "amount") -> int:
        value = self._left.pop(name, None)
        if type(value) is not int or not 1 <= value <= MAX_AMOUNT:
            raise Problem(400, "invalid_request", f"{name} is an integer of minor units from 1 to {MAX_AMOUNT}")
        return value

    def currency(self) -> str:
        value = self.text("currency")
        if not _CURRENCY.fullmatch(value):
            raise Problem(400, "invalid_request", "currency is an ISO 4217 code")
        return value

    def has(self, name: str) -> bool:
        return name in self._left

    def object(self, name: str) -> "Fields":
        value = self._left.pop(name, None)
        if not isinstance(value, dict):
            raise Problem(400, "invalid_request", f"{name} is an object")
        return Fields(value)

    def objects(self, name: str, *, limit: int) -> list[Json]:
        """There may be none."""
        value = self._left.pop(name, [])
        if not isinstance(value, list) or len(value) > limit or not all(isinstance(item, dict) for item in value):
            raise Problem(400, "invalid_request", f"{name} is a list of at most {limit} objects")
        return value

    def raw(self, name: str) -> Json:
        return self.object(name)._left

    def done(self) -> None:
        if self._left:
            raise Problem(400, "invalid_request", f"unknown: {', '.join(sorted(self._left))}")


def submit(
    book: Book, *, service: str, path: str, key: str, body: Json, script: Script, accept: Callable[[], Answer]
) -> Answer:
    """Carry out a submission at most once per key, with the fault that the script asks for.

    `accept` writes the book and gives the answer; both are kept together, so that the same key gets the same answer.
    """
    request = hashlib.sha256(f"{path}\n{json.dumps(body, sort_keys=True)}".encode()).hexdigest()
    with book.transaction():
        before = book.row("SELECT * FROM answered WHERE service = ? AND key = ?", service, key)
        if before is not None:
            if before["request"] != request:
                raise Problem(422, "idempotency_key_reused", "this key was used for another request")
            return Answer(before["status"], json.loads(before["body"]))
        if (broken := _fault_before(book, service, key, script.fault)) is not None:
            return broken
        answer = accept()
        kept = json.dumps(answer.body)
        book.insert("answered", service=service, key=key, request=request, status=answer.status, body=kept)
    if script.fault is Fault.HANG_ACCEPTED:
        return Answer(0, {}, hang=True)
    if script.fault is Fault.GARBAGE:
        return Answer(200, b"<html>It works!</html>")
    return answer


def _fault_before(book: Book, service: str, key: str, fault: Fault | None) -> Answer | None:
    down = Answer(503, {"code": "unavailable", "message": "try again later"})
    if fault is Fault.HANG:
        return Answer(0, {}, hang=True)
    if fault is Fault.DOWN:
        return down
    if fault is Fault.REFUSE:
        return Answer(422, {"code": "refused", "message": "this will never be taken"})
    if fault is Fault.FAIL_TWICE:
        # Committed with the transaction: a failure counts although nothing else came of it.
        book.run(
            "INSERT INTO failed VALUES (?, ?, 1) ON CONFLICT (service, key) DO UPDATE SET times = times + 1",
            service,
            key,
        )
        counted = book.row("SELECT times FROM failed WHERE service = ? AND key = ?", service, key)
        if counted is not None and counted["times"] <= 2:
            return down
    return None


def due_time(script: Script, timing: Timing) -> float | None:
    if script.later is None:
        return None
    return time.time() + (timing.slow if script.pace == "slow" else timing.settle)


def add_callback(book: Book, *, service: str, url: str | None, kind: str, data: Json, copies: int = 1) -> str:
    """Keep a message to be sent to `url` (None: to nobody) `copies` times; returns its id."""
    message_id = f"msg_{uuid4().hex}"
    created_at = now_text()
    body = json.dumps({"type": kind, "timestamp": created_at, "data": data}, separators=(",", ":"))
    book.insert(
        "callback",
        id=message_id,
        service=service,
        url=url,
        body=body,
        created_at=created_at,
        copies=copies,
        next_at=time.time() if url else None,
    )
    return message_id


def is_below(url: str, base: str) -> bool:
    """Whether `url` lies at or below `base`: the same scheme, host and port, and a path under its path. The sandbox
    calls nothing else, whoever asks for it."""
    try:
        asked, allowed = urlsplit(url), urlsplit(base)
        same = (asked.scheme, asked.hostname, asked.port) == (allowed.scheme, allowed.hostname, allowed.port)
    except ValueError:
        return False
    if (
        not same
        or asked.username is not None
        or asked.password is not None
        or not url.isascii()
        or not url.isprintable()
    ):
        return False
    path = unquote(asked.path)
    if "\\" in url or ".." in path.split("/"):
        return False
    return path.startswith(allowed.path.rstrip("/") + "/")
