"""The identity provider's client against the sandbox, and against one that makes no sense."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from compliance.providers.identity import (
    HttpIdentityProvider,
    IdentityProfile,
    IdentityRequest,
    http_identity_provider,
    read_answer,
)
from tests.sandbox.calls import eventually
from wallet_project.sandbox.embedding import RunningSandbox, fresh_config, running_sandbox
from wallet_project.utils.http_client import (
    CallLimits,
    ProviderAnswerMismatch,
    ProviderClient,
    ProviderRefused,
    ProviderUnavailable,
)

PROFILE = IdentityProfile(
    first_name="Ada",
    last_name="Lovelace",
    date_of_birth="1990-12-10",
    country="DE",
    address="Unter den Linden 1, Berlin",
    document_type="passport",
    document_number="L01X00T47",
)


def request(document: str = "L01X00T47", reference: str = "kyc-1") -> IdentityRequest:
    return IdentityRequest(
        reference, "http://wallet.test/webhooks/identity", replace(PROFILE, document_number=document)
    )


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[RunningSandbox]:
    with running_sandbox(fresh_config(tmp_path)) as running:
        yield running


@pytest.fixture
def provider(sandbox: RunningSandbox) -> Iterator[HttpIdentityProvider]:
    client = ProviderClient(base_url=sandbox.url, api_key=sandbox.config.identity_api_key)
    yield HttpIdentityProvider(client)
    client.close()


@pytest.mark.parametrize(
    ("document", "status"),
    [
        ("L01X00T47", "approved"),
        ("SBX-REJECT", "rejected"),
        ("SBX-REVIEW", "review"),
        ("SBX-SILENT", "processing"),
    ],
)
def test_each_answer_is_read_as_what_it_says(provider: HttpIdentityProvider, document: str, status: str) -> None:
    answer = provider.submit(request(document))
    assert answer.status == status
    assert answer.provider_reference.startswith("chk_")
    assert provider.status("kyc-1") == answer


def test_an_answer_that_comes_later_is_found_by_asking(provider: HttpIdentityProvider) -> None:
    assert provider.submit(request("SBX-CALLBACK")).status == "processing"

    def approved() -> bool:
        answer = provider.status("kyc-1")
        return answer is not None and answer.status == "approved"

    eventually(approved)


def test_the_provider_gets_the_whole_profile_under_our_reference(
    sandbox: RunningSandbox, provider: HttpIdentityProvider
) -> None:
    provider.submit(request())
    heard = sandbox.sandbox.requests[0]
    assert heard["idempotency_key"] == heard["body"]["reference"] == "kyc-1"
    assert heard["body"]["callback_url"] == "http://wallet.test/webhooks/identity"
    assert heard["body"]["profile"]["address"] == "Unter den Linden 1, Berlin"


def test_asking_again_is_the_same_check(provider: HttpIdentityProvider) -> None:
    assert provider.submit(request()) == provider.submit(request())


def test_a_check_that_nobody_heard_of_has_no_status(provider: HttpIdentityProvider) -> None:
    assert provider.status("../never") is None


def test_not_found_at_a_wrong_door_is_not_an_unknown_check(sandbox: RunningSandbox) -> None:
    client = ProviderClient(base_url=f"{sandbox.url}/elsewhere", api_key=sandbox.config.identity_api_key)
    with pytest.raises(ProviderRefused):
        HttpIdentityProvider(client).status("kyc-1")
    client.close()


def test_a_passing_failure_is_worth_another_try(sandbox: RunningSandbox, provider: HttpIdentityProvider) -> None:
    for _ in range(2):
        with pytest.raises(ProviderUnavailable):
            provider.submit(request("SBX-FAIL-TWICE", "twice"))
    assert provider.submit(request("SBX-FAIL-TWICE", "twice")).status == "approved"

    impatient = http_identity_provider(sandbox.url, sandbox.config.identity_api_key, CallLimits(total_seconds=0.2))
    with pytest.raises(ProviderUnavailable):
        impatient.submit(request("SBX-TIMEOUT", "lost"))
    assert impatient.status("lost") is None


def test_a_lasting_refusal_is_no_passing_failure(provider: HttpIdentityProvider) -> None:
    with pytest.raises(ProviderRefused) as caught:
        provider.submit(request("SBX-REFUSE"))
    assert caught.value.status == 422


def test_an_approval_of_somebody_else_is_no_approval(provider: HttpIdentityProvider) -> None:
    with pytest.raises(ProviderAnswerMismatch):
        provider.submit(request("SBX-WRONG-REFERENCE"))


ANSWER: dict[str, Any] = {"id": "chk_1", "reference": "kyc-1", "status": "approved", "reason": None}


@pytest.mark.parametrize(
    "change",
    [
        {"status": "APPROVED"},
        {"status": "verified"},
        {"status": True},
        {"status": ["approved"]},
        {"status": None},
        {"reference": "kyc-2"},
        {"reference": None},
        {"id": ""},
        {"id": None},
        {"id": 5},
    ],
)
def test_an_answer_that_makes_no_sense_is_an_error(change: dict[str, Any]) -> None:
    assert read_answer(ANSWER, reference="kyc-1").status == "approved"
    with pytest.raises(ProviderAnswerMismatch):
        read_answer(ANSWER | change, reference="kyc-1")


def test_personal_data_is_kept_out_of_the_repr() -> None:
    shown = repr(request())
    assert not any(value in shown for value in ("Ada", "Lovelace", "1990", "Linden", "L01X00T47"))
