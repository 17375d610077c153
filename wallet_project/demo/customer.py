"""A customer of the story: who he is, what he asks of the API, and what must come back."""

import time
from collections.abc import Mapping
from typing import Any, Final
from uuid import uuid4

from wallet_project.demo.http import Answer, call
from wallet_project.demo.screen import Screen, money

#: Long enough for a machine that is busy with something else; an idle one needs a second or two.
PATIENCE_SECONDS: Final = 30.0
POLL_SECONDS: Final = 0.1
API: Final = "/api/v1"


class NotAsTold(Exception):
    """Something came out otherwise than the story says; the message tells what was expected and what was there."""


def compare(what: str, *, expected: object, got: object) -> None:
    """Raises NotAsTold unless both are equal."""
    if expected != got:
        raise NotAsTold(f"{what}: expected {expected!r}, got {got!r}")


class Customer:
    """Signs up under an address of its own each time, so that the story can be told again on the same data."""

    def __init__(self, name: str, *, base_url: str, screen: Screen) -> None:
        self.name = name
        self.email = f"{name.lower()}.{uuid4().hex[:8]}@example.com"
        self.password = f"correct-horse-{uuid4().hex[:8]}"
        self.account = ""
        self._base_url = base_url
        self._screen = screen
        self._token = ""

    def sign_up(self) -> None:
        path = "/_allauth/app/v1/auth/signup"
        body = {"email": self.email, "password": self.password}
        answer = self._ask("POST", path, body=body)
        self._told(answer, path, status=200)
        self._token = answer.body["meta"]["session_token"]
        self._screen.came_back({"session_token": "(sent with every request from here on)"})

    def get(self, path: str, *, expect: Mapping[str, Any], status: int = 200) -> dict[str, Any]:
        """Ask once; every field named in `expect` (nested ones with dots) must have that value."""
        answer = self._ask("GET", API + path)
        return self._shown(answer, path, expect=expect, status=status)

    def put(
        self, path: str, body: Mapping[str, Any], *, expect: Mapping[str, Any], status: int = 200
    ) -> dict[str, Any]:
        answer = self._ask("PUT", API + path, body=body)
        return self._shown(answer, path, expect=expect, status=status)

    def post(
        self,
        path: str,
        body: Mapping[str, Any],
        *,
        expect: Mapping[str, Any],
        status: int = 202,
        key: str | None = None,
        replayed: bool = False,
    ) -> dict[str, Any]:
        """The same with an Idempotency-Key, a new one unless given; `replayed` is what the answer must say it is."""
        answer = self._ask("POST", API + path, body=body, key=key or str(uuid4()))
        shown = self._shown(answer, path, expect=expect, status=status)
        compare(
            f"POST {path}: header Idempotent-Replayed",
            expected="true" if replayed else None,
            got=answer.headers.get("idempotent-replayed"),
        )
        return shown

    def wait_for(self, path: str, *, expect: Mapping[str, Any], meanwhile: Mapping[str, Any]) -> dict[str, Any]:
        """Ask again and again until `expect` holds. Until then `meanwhile` must hold: nothing else may come between."""
        started = time.monotonic()
        while True:
            answer = self._send("GET", API + path)
            self._told(answer, path, status=200)
            if all(_field(answer.body, name) == value for name, value in expect.items()):
                break
            for name, value in meanwhile.items():
                compare(f"GET {path}: {name} on the way", expected=value, got=_field(answer.body, name))
            if time.monotonic() - started > PATIENCE_SECONDS:
                there = {name: _field(answer.body, name) for name in expect}
                raise NotAsTold(f"GET {path}: expected {dict(expect)} within {PATIENCE_SECONDS:.0f} s, got {there}")
            time.sleep(POLL_SECONDS)
        waited = time.monotonic() - started
        self._screen.exchange(self.name, "GET", API + path, None, answer.status)
        self._screen.came_back({**expect, "after": f"{waited:.1f} s"})
        return answer.body

    def balances(self, *, cleared: int, reserved: int = 0, available: int) -> None:
        """What the account must hold now, in cents."""
        path = f"/accounts/{self.account}"
        answer = self._ask("GET", API + path)
        self._told(answer, path, status=200)
        expect = {"cleared": cleared, "reserved": reserved, "available": available}
        compare(f"the balances of {self.name}'s account, in cents", expected=expect, got=answer.body["balances"])
        self._screen.came_back({name: money(amount) for name, amount in expect.items()})

    def _ask(self, method: str, path: str, *, body: Mapping[str, Any] | None = None, key: str | None = None) -> Answer:
        answer = self._send(method, path, body=body, key=key)
        self._screen.exchange(self.name, method, path, body, answer.status)
        return answer

    def _send(self, method: str, path: str, *, body: Mapping[str, Any] | None = None, key: str | None = None) -> Answer:
        headers = {"X-Session-Token": self._token} if self._token else {}
        if key is not None:
            headers["Idempotency-Key"] = key
        return call(method, self._base_url + path, body=body, headers=headers)

    def _shown(self, answer: Answer, path: str, *, expect: Mapping[str, Any], status: int) -> dict[str, Any]:
        self._told(answer, path, status=status)
        for name, value in expect.items():
            compare(f"{path}: {name}", expected=value, got=_field(answer.body, name))
        if expect:
            self._screen.came_back(expect)
        return answer.body

    def _told(self, answer: Answer, path: str, *, status: int) -> None:
        if answer.status != status:
            said = answer.body.get("detail") or answer.body
            raise NotAsTold(f"{path}: expected status {status}, got {answer.status}: {said}")


def _field(body: Mapping[str, Any], name: str) -> Any:
    value: Any = body
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
