import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.sandbox.calls import Caller, bank_caller, check, collection, identity_caller, payout
from wallet_project.sandbox import magic
from wallet_project.sandbox.config import FIRST_PORT, LAST_PORT, BadConfiguration, from_environment
from wallet_project.sandbox.embedding import RunningSandbox, fresh_config, running_sandbox
from wallet_project.sandbox.sandbox import Sandbox

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    with running_sandbox(fresh_config(tmp_path_factory.mktemp("sandbox"))) as running:
        yield running


@pytest.fixture(scope="module")
def bank(sandbox: RunningSandbox) -> Iterator[Caller]:
    with bank_caller(sandbox) as caller:
        yield caller


def test_health_needs_no_key(sandbox: RunningSandbox) -> None:
    assert httpx.get(f"{sandbox.url}/healthz", trust_env=False).json() == {"status": "ok"}


@pytest.mark.parametrize(
    "path", ["/bank/v1/statement", "/bank/v1/payments/x", "/identity/v1/checks/x", "/control/requests"]
)
def test_everything_but_health_needs_a_key(sandbox: RunningSandbox, path: str) -> None:
    for authorization in ("", "Bearer", "Bearer wrong", f"Basic {sandbox.config.bank_api_key}"):
        headers = {"Authorization": authorization}
        assert httpx.get(sandbox.url + path, headers=headers, trust_env=False).status_code == 401


def test_one_services_key_does_not_open_the_other(sandbox: RunningSandbox, bank: Caller) -> None:
    assert bank.post("/identity/v1/checks", check(), key="k").status_code == 401
    with identity_caller(sandbox) as provider:
        assert provider.post("/bank/v1/payouts", payout(), key="k").status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b'{"amount": 1, "amount": 2}',
        b'{"amount": 1.0}',
        b'{"amount": NaN}',
        b'{"a":' * 8000,
        b'{"description": "\\ud800"}',
        b'{"amount": ' + b"9" * 5000 + b"}",
    ],
    ids=lambda body: repr(body[:12]),
)
def test_what_is_not_strict_json_is_refused(bank: Caller, body: bytes) -> None:
    answer = bank.post("/bank/v1/payouts", body, key="k-1")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_json")


@pytest.mark.parametrize(
    "change",
    [
        {"amount": 0},
        {"amount": -1},
        {"amount": 10**15 + 1},
        {"amount": "1"},
        {"amount": True},
        {"amount": None},
        {"currency": "eur"},
        {"currency": "EURO"},
        {"currency": "\u0415UR"},
        {"reference": ""},
        {"reference": 5},
        {"reference": "r" * 201},
        {"description": "d" * 501},
        {"beneficiary": None},
        {"beneficiary": {"name": "Ada"}},
        {"beneficiary": {"name": "Ada", "iban": "DE1", "bic": "X"}},
        {"colour": "red"},
    ],
)
def test_what_makes_no_payment_is_refused(bank: Caller, change: dict[str, Any]) -> None:
    answer = bank.post("/bank/v1/payouts", payout() | change, key="k-1")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


def test_a_submission_needs_an_idempotency_key(bank: Caller) -> None:
    assert bank.post("/bank/v1/payouts", payout()).json()["code"] == "idempotency_key_missing"


def test_unknown_paths_and_methods(sandbox: RunningSandbox, bank: Caller) -> None:
    assert bank.get("/bank/v2/statement").json()["code"] == "unknown_path"
    assert bank.get("/bank/v1/payouts").status_code == 405
    headers = {"Authorization": f"Bearer {sandbox.config.bank_api_key}"}
    with httpx.Client(base_url=sandbox.url, headers=headers, trust_env=False) as client:
        assert client.delete("/bank/v1/payments/x").status_code == 405
        assert client.head("/bank/v1/statement").status_code == 405


@pytest.mark.parametrize("query", [{}, {"currency": "eur"}, {"currency": "EUR", "after": "x"}])
@pytest.mark.parametrize("limit", ["100", "0", "501", "ten"])
def test_a_statement_is_asked_for_properly(bank: Caller, query: dict[str, str], limit: str) -> None:
    assert bank.get("/bank/v1/statement", limit=limit, **query).status_code == 400


def test_a_body_is_bounded(sandbox: RunningSandbox, bank: Caller) -> None:
    assert bank.post("/bank/v1/payouts", b"x" * 65_537, key="k").status_code == 413
    with socket.create_connection(("127.0.0.1", int(sandbox.url.rsplit(":", 1)[1]))) as raw:
        raw.sendall(b"POST /bank/v1/payouts HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
        assert raw.recv(100).startswith(b"HTTP/1.1 411")


def test_what_was_asked_can_be_read(bank: Caller) -> None:
    bank.post("/bank/v1/collections", collection("r-9"), key="k-9")
    bank.get("/bank/v1/payments/r-9")
    first, second = bank.get("/control/requests").json()["requests"][-2:]
    assert (first["path"], first["idempotency_key"], first["status"]) == ("/bank/v1/collections", "k-9", 202)
    assert first["body"]["reference"] == "r-9"
    assert (second["method"], second["path"]) == ("GET", "/bank/v1/payments/r-9")


def test_two_sandboxes_do_not_share_a_book(sandbox: RunningSandbox) -> None:
    with pytest.raises(BadConfiguration, match="another sandbox"):
        Sandbox(sandbox.config)


def test_the_document_lists_every_magic_value_with_its_meaning() -> None:
    text = (ROOT / "docs" / "sandbox.md").read_text()
    identity, bank = text.split("### Bank")
    for section, scripts, default in (
        (identity, magic.IDENTITY, magic.IDENTITY_DEFAULT),
        (bank, magic.BANK, magic.BANK_DEFAULT),
    ):
        rows = dict(re.findall(r"^\| `(SBX-[A-Z-]+)` \| (.+) \|$", section, re.MULTILINE))
        assert rows == {value: script.meaning for value, script in scripts.items()}
        assert f"| anything else | {default.meaning} |" in section


def environment(data: Path, **changes: str) -> dict[str, str]:
    config = fresh_config(data)
    return {
        "SANDBOX_DATA": str(data),
        "SANDBOX_PORT": "0",
        "SANDBOX_IDENTITY_API_KEY": config.identity_api_key,
        "SANDBOX_BANK_API_KEY": config.bank_api_key,
        "SANDBOX_IDENTITY_WEBHOOK_SECRET": config.identity_webhook_secret,
        "SANDBOX_BANK_WEBHOOK_SECRET": config.bank_webhook_secret,
    } | changes


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_it_is_a_process_of_its_own_and_stops_when_told(tmp_path: Path, stop: signal.Signals) -> None:
    command = [sys.executable, "-m", "wallet_project.sandbox"]
    settings = os.environ | environment(tmp_path, SANDBOX_PORT="")
    with subprocess.Popen(command, cwd=ROOT, env=settings, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.fullmatch(r"sandbox listening on (http://127\.0\.0\.1:(\d+))\n", line)
            assert found is not None
            assert FIRST_PORT <= int(found[2]) <= LAST_PORT
            # A connection that is kept open does not keep the process.
            with httpx.Client(trust_env=False) as client:
                assert client.get(f"{found[1]}/healthz").status_code == 200
                process.send_signal(stop)
                assert process.wait(timeout=10) == 0
        finally:
            process.kill()


def test_it_does_not_import_django(tmp_path: Path) -> None:
    code = "import sys, wallet_project.sandbox.__main__; sys.exit('django' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"SANDBOX_DATA": ""},
        {"SANDBOX_BANK_API_KEY": ""},
        {"SANDBOX_BANK_WEBHOOK_SECRET": "whsec_c2hvcnQ="},
        {"SANDBOX_IDENTITY_WEBHOOK_SECRET": "no base64!"},
        {"SANDBOX_PORT": "eighty"},
        {"SANDBOX_PORT": "70000"},
        {"SANDBOX_WALLET_URL": "localhost:8000"},
        {"SANDBOX_HANG_SECONDS": "-1"},
    ],
)
def test_it_says_what_is_wrong_with_its_environment(tmp_path: Path, changes: dict[str, str]) -> None:
    with pytest.raises(BadConfiguration, match=next(iter(changes))):
        from_environment(environment(tmp_path, **changes))
