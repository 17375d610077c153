from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.sandbox.calls import Caller, check, eventually, identity_caller
from wallet_project.sandbox.embedding import RunningSandbox, fresh_config, running_sandbox

CHECKS = "/identity/v1/checks"


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[RunningSandbox]:
    with running_sandbox(fresh_config(tmp_path)) as running:
        yield running


@pytest.fixture
def provider(sandbox: RunningSandbox) -> Iterator[Caller]:
    with identity_caller(sandbox) as caller:
        yield caller


def status(provider: Caller, reference: str = "c-1") -> str:
    found: str = provider.get(f"{CHECKS}/{reference}").json()["status"]
    return found


def test_somebody_without_a_magic_value_is_approved(provider: Caller) -> None:
    answer = provider.post(CHECKS, check(), key="k-1")
    assert answer.status_code == 200
    assert answer.json() | {"id": ""} == {"id": "", "reference": "c-1", "status": "approved", "reason": None}
    assert provider.get(f"{CHECKS}/c-1").json() == answer.json()


@pytest.mark.parametrize(("document", "expected"), [("SBX-REJECT", "rejected"), ("SBX-REVIEW", "review")])
def test_the_document_number_decides(provider: Caller, document: str, expected: str) -> None:
    answer = provider.post(CHECKS, check(document=document), key="k-1").json()
    assert answer["status"] == expected
    assert answer["reason"]


@pytest.mark.parametrize(
    ("document", "expected", "callbacks"),
    [
        ("SBX-CALLBACK", "approved", ["check.completed"]),
        ("SBX-CALLBACK-REJECT", "rejected", ["check.completed"]),
        ("SBX-SLOW", "approved", ["check.completed"]),
        ("SBX-NO-CALLBACK", "approved", []),
    ],
)
def test_an_answer_that_comes_later(
    sandbox: RunningSandbox, provider: Caller, document: str, expected: str, callbacks: list[str]
) -> None:
    answer = provider.post(CHECKS, check(document=document), key="k-1")
    assert (answer.status_code, answer.json()["status"]) == (202, "processing")
    eventually(lambda: status(provider) == expected)
    told = [entry["body"] for entry in provider.get("/control/callbacks").json()["callbacks"]]
    assert [entry["type"] for entry in told] == callbacks
    assert all(entry["data"] == provider.get(f"{CHECKS}/c-1").json() for entry in told)


def test_silence_is_for_ever(sandbox: RunningSandbox, provider: Caller) -> None:
    provider.post(CHECKS, check(document="SBX-SILENT"), key="k-1")
    assert status(provider) == "processing"
    assert sandbox.book.next_due() is None


def test_a_time_out_leaves_nothing_or_an_answer(provider: Caller) -> None:
    for reference, document in (("before", "SBX-TIMEOUT"), ("after", "SBX-TIMEOUT-AFTER")):
        with pytest.raises(httpx.RemoteProtocolError):
            provider.post(CHECKS, check(reference, document), key=reference)
    assert provider.get(f"{CHECKS}/before").json()["code"] == "unknown_reference"
    assert status(provider, "after") == "approved"
    assert provider.post(CHECKS, check("after", "SBX-TIMEOUT-AFTER"), key="after").json()["status"] == "approved"


def test_each_fault_comes_as_documented(provider: Caller) -> None:
    def codes(document: str) -> list[int]:
        return [provider.post(CHECKS, check(document, document), key=document).status_code for _ in range(3)]

    assert codes("SBX-FAIL-TWICE") == [503, 503, 200]
    assert codes("SBX-DOWN") == [503, 503, 503]
    assert codes("SBX-REFUSE") == [422, 422, 422]
    assert provider.post(CHECKS, check("g", "SBX-GARBAGE"), key="g").content.startswith(b"<html>")
    assert provider.post(CHECKS, check("w", "SBX-WRONG-REFERENCE"), key="w").json()["reference"] != "w"


def test_the_same_key_is_one_check(provider: Caller) -> None:
    first = provider.post(CHECKS, check(), key="k-1").json()
    assert provider.post(CHECKS, check(), key="k-1").json() == first
    assert provider.post(CHECKS, check(document="other"), key="k-1").json()["code"] == "idempotency_key_reused"
    assert provider.post(CHECKS, check(), key="k-2").json()["code"] == "reference_used"


def test_a_check_can_be_decided_by_hand(provider: Caller) -> None:
    provider.post(CHECKS, check(document="SBX-REVIEW"), key="k-1")
    answer = provider.post("/control/identity/checks/c-1/outcome", {"status": "approved"})
    assert answer.json()["status"] == status(provider) == "approved"


@pytest.mark.parametrize("change", [{"profile": {}}, {"profile": None}, {"reference": ""}, {"extra": 1}])
def test_a_malformed_check_is_refused(provider: Caller, change: dict[str, Any]) -> None:
    assert provider.post(CHECKS, check() | change, key="k-1").status_code == 400


@pytest.mark.parametrize(
    ("callback_url", "expected"),
    [
        ("http://127.0.0.1:8000/wallet/webhooks/identity", 200),
        ("http://127.0.0.1:8000/webhooks/identity", 422),
        ("http://127.0.0.1:8001/wallet/webhooks", 422),
        ("https://127.0.0.1:8000/wallet/webhooks", 422),
        ("http://127.0.0.1:8000/wallet-of-mine/x", 422),
        ("http://127.0.0.1:8000/wallet/../admin", 422),
        ("http://127.0.0.1:8000/wallet/%2e%2e/admin", 422),
        ("http://127.0.0.1:8000@elsewhere.test/wallet/x", 422),
        ("http://user@127.0.0.1:8000/wallet/x", 422),
        ("http://127.0.0.1:8000\\@elsewhere.test/wallet/x", 422),
        ("http://169.254.169.254/wallet/x", 422),
        ("http://127.0.0.1:port/wallet/x", 422),
        ("file:///etc/passwd", 422),
    ],
)
def test_only_the_wallet_is_called_back(tmp_path: Path, callback_url: str, expected: int) -> None:
    config = fresh_config(tmp_path, wallet_url="http://127.0.0.1:8000/wallet")
    with running_sandbox(config) as sandbox, identity_caller(sandbox) as provider:
        assert provider.post(CHECKS, check(callback_url=callback_url), key="k-1").status_code == expected
