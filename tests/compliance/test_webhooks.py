"""Where the identity provider calls: nobody else is believed, and what is believed changes nothing by itself."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings as conf
from django.test import Client

from compliance.models import InboundEvent
from compliance.services import kyc
from compliance.services.identity_events import process_identity_events
from tests.compliance.people import applicant, at_once, check_of
from wallet_project.sandbox.embedding import RunningSandbox
from wallet_project.utils import signatures

pytestmark = pytest.mark.django_db
URL = "/webhooks/identity"


def now() -> datetime:
    return datetime.now(UTC)


def body(reference: str = "kyc-1", status: str = "approved") -> bytes:
    data = {"id": "chk_1", "reference": reference, "status": status, "reason": None}
    return json.dumps({"type": "check.completed", "data": data}).encode()


def call(content: bytes, *, message_id: str = "msg-1", secret: str = "", late: timedelta = timedelta()) -> int:
    headers = signatures.sign(
        secret=secret or conf.IDENTITY_WEBHOOK_SECRET, message_id=message_id, body=content, at=now() - late
    )
    return Client().post(URL, data=content, content_type="application/json", headers=headers).status_code


def test_a_signed_message_is_kept_raw_and_a_copy_of_it_once(nudges: list[str]) -> None:
    assert [call(body()), call(body())] == [200, 200]
    event = InboundEvent.objects.get()
    assert (event.event_id, event.kind, event.payload["data"]["reference"]) == ("msg-1", "check.completed", "kyc-1")
    assert nudges == ["compliance.process_identity_events"]


def test_the_same_message_ten_times_at_once_is_kept_once(db: None) -> None:
    content = body()
    assert at_once(*[lambda: call(content)] * 10) == [200] * 10
    assert InboundEvent.objects.count() == 1


@pytest.mark.parametrize(
    "forged",
    [
        {"secret": "whsec_" + "Zm9yZ2VkLWJ5LXNvbWVib2R5" * 2},
        {"late": timedelta(minutes=6)},
        {"late": timedelta(minutes=-6)},
    ],
)
def test_a_message_that_is_not_the_providers_is_refused(forged: dict[str, Any]) -> None:
    assert call(body(), **forged) == 401
    assert Client().post(URL, data=body(), content_type="application/json").status_code == 401
    assert not InboundEvent.objects.exists()


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"type": "a", "type": "b"}', b'{"type": "\\u0000"}'])
def test_a_signed_message_that_makes_no_sense_is_refused(content: bytes) -> None:
    assert call(content) == 400
    assert not InboundEvent.objects.exists()


def test_a_message_that_is_too_long_is_refused(db: None) -> None:
    assert call(body(reference="x" * 70_000)) == 413
    assert call(body(), message_id="m" * 129) == 400


def test_only_posts_are_taken(db: None) -> None:
    assert Client().get(URL).status_code == 405


def test_without_a_secret_there_is_no_such_door(settings: Any) -> None:
    settings.IDENTITY_WEBHOOK_SECRET = ""
    assert Client().post(URL, data=body(), content_type="application/json").status_code == 404


@pytest.mark.parametrize(
    "payload",
    [
        {"type": "check.completed"},
        {"type": "check.completed", "data": []},
        {"type": "check.completed", "data": {"reference": 5}},
        {"type": "check.completed", "data": {"reference": "kyc-nonsense"}},
        {"type": "check.completed", "data": {"reference": "kyc-01980000-0000-7000-8000-000000000001"}},
        {"data": {"reference": "wallet-1"}},
    ],
)
def test_a_message_about_no_check_of_ours_is_filed(payload: dict[str, Any]) -> None:
    assert call(json.dumps(payload).encode()) == 200
    assert process_identity_events(now=now() + timedelta(seconds=1)) == 1
    event = InboundEvent.objects.get()
    assert (event.next_at, event.last_error) == (None, "no check of ours waits for this")
    assert process_identity_events(now=now() + timedelta(days=1)) == 0


def test_a_message_that_says_approved_is_not_believed_but_asked_about(sandbox: RunningSandbox) -> None:
    customer = applicant("SBX-SILENT")
    kyc.run_checks(now=now())
    assert call(body(f"kyc-{check_of(customer).id}")) == 200
    later = now() + timedelta(seconds=1)
    process_identity_events(now=later)
    assert kyc.run_checks(now=later) == 1
    customer.refresh_from_db()
    assert (check_of(customer).status, customer.kyc_status) == ("running", "pending")
