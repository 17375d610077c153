"""A provider that knows nothing of ours but docs/kyc.md: a real HTTP server that checks each signature."""

import base64
import hashlib
import json
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from django.utils import timezone

from compliance.models import KycCheck
from compliance.providers.identity import IdentityRequest, configured_identity_provider
from compliance.providers.signed import paths, signed_provider
from compliance.services import identity_events, kyc
from tests.compliance.people import applicant, check_of
from tests.compliance.test_documents import LATER, PDF, PNG, ask, client_of, send
from tests.compliance.test_identity_client import PROFILE
from tests.support.factories import api_client
from wallet_project.utils.http_client import (
    ProviderAnswerMismatch,
    ProviderClient,
    ProviderNotConfigured,
    ProviderRefused,
    ProviderUnavailable,
)
from wallet_project.utils.signatures import BadSignature, new_secret, sign, verify


class Provider(ThreadingHTTPServer):
    """The other side, as docs/kyc.md describes it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.secret, self.webhook_secret = new_secret(), new_secret()
        self.status, self.extra = "approved", ""
        self.checks: dict[str, Any] = {}
        self.files: dict[str, bytes] = {}
        self.ids: list[str] = []
        self.answer: dict[str, Any] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/kyc/v2"

    def view(self, reference: str) -> dict[str, Any]:
        return self.answer or {
            "id": "chk-1", "reference": reference, "status": self.status, "reason": "", "more": self.extra,
        }  # fmt: skip


class Handler(BaseHTTPRequestHandler):
    server: Provider

    def log_message(self, *_: Any) -> None:
        """Not to the test's output."""

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if not self.is_signed(content):
            return
        body = json.loads(content)
        if self.path == "/kyc/v2/files":
            received = base64.b64decode(body["content"])
            assert hashlib.sha256(received).hexdigest() == body["sha256"]
            self.server.files[body["id"]] = received
            self.reply(200, {"received": True})
        elif self.path == "/kyc/v2/checks":
            self.server.checks[body["reference"]] = body
            self.reply(202, self.server.view(body["reference"]))
        else:
            self.reply(404, {"code": "no_such_door"})

    def do_GET(self) -> None:
        if not self.is_signed(self.path.encode()):
            return
        reference = self.path.rpartition("/")[2]
        if reference in self.server.checks:
            self.reply(200, self.server.view(reference))
        else:
            self.reply(404, {"code": "unknown_reference"})

    def is_signed(self, content: bytes) -> bool:
        try:
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.server.ids.append(verify(secrets=[self.server.secret], headers=headers, body=content))
        except BadSignature:
            self.reply(401, {"code": "bad_signature"})
            return False
        return True

    def reply(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def provider(settings: Any) -> Iterator[Provider]:
    server = Provider()
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    settings.IDENTITY_PROVIDER = "compliance.providers.signed.from_settings"
    settings.IDENTITY_URL = server.url
    settings.IDENTITY_SIGNING_SECRET = server.secret
    settings.IDENTITY_WEBHOOK_SECRET = server.webhook_secret
    settings.IDENTITY_PATHS = {"documents": "/files"}
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


QUESTION = IdentityRequest("kyc-1", "http://wallet.test/webhooks/identity", PROFILE)


@pytest.mark.django_db
def test_an_identity_is_checked_by_a_callback_that_is_no_more_than_a_reason_to_ask(provider: Provider) -> None:
    provider.status = "processing"
    customer = applicant()
    now = timezone.now()
    kyc.run_checks(now=now)
    check = check_of(customer)
    reference = f"kyc-{check.id}"
    asked = provider.checks[reference]
    assert (asked["level"], asked["documents"], asked["profile"]["first_name"]) == ("basic", [], "Ada")
    assert asked["callback_url"].endswith("/webhooks/identity")
    assert provider.ids == [reference]
    provider.status = "approved"
    body = json.dumps({"type": "check.completed", "data": {"reference": reference, "status": "rejected"}}).encode()
    forged = sign(secret=new_secret(), message_id="m1", body=body, at=now)
    assert Client().post("/webhooks/identity", body, "application/json", headers=forged).status_code == 401
    signed = sign(secret=provider.webhook_secret, message_id="m1", body=body, at=now)
    for _ in range(2):
        assert Client().post("/webhooks/identity", body, "application/json", headers=signed).status_code == 200
    later = timezone.now()
    assert identity_events.process_identity_events(now=later) == 1
    kyc.run_due_checks(now=later)
    check.refresh_from_db()
    assert (check.status, check.decided_by) == ("approved", "provider")
    assert [answer["raw"]["status"] for answer in check.answers] == ["processing", "approved"]


@pytest.mark.django_db
def test_files_go_before_the_check_that_names_them_and_no_more_than_it_goes_by(provider: Provider) -> None:
    customer = applicant()
    kyc.run_checks(now=timezone.now())
    client = client_of(customer)
    send(client, PNG, kind="passport", expires_on=LATER)
    send(client, PNG + b"newer", kind="id_card", expires_on=LATER)
    send(client, PDF)
    assert ask(customer).status_code == 202
    kyc.run_due_checks(now=timezone.now() + timedelta(seconds=1))
    check = KycCheck.objects.get(customer=customer, level="full")
    asked = provider.checks[f"kyc-{check.id}"]
    assert asked["level"] == "full"
    assert [document["kind"] for document in asked["documents"]] == ["id_card", "proof_of_address"]
    assert [provider.files[document["id"]] for document in asked["documents"]] == [PNG + b"newer", PDF]
    assert len(provider.files) == 2
    assert api_client(customer).get("/api/v1/me/level").json()["level"] == "full"


def test_what_makes_no_sense_is_no_answer(provider: Provider, settings: Any) -> None:
    asked = configured_identity_provider()
    assert asked.status("kyc-1") is None
    provider.answer = {"id": "chk-1", "reference": "kyc-2", "status": "approved"}
    with pytest.raises(ProviderAnswerMismatch):
        asked.submit(QUESTION)
    provider.answer = None
    provider.extra = "x" * 70_000
    with pytest.raises(ProviderUnavailable):
        asked.submit(QUESTION)
    provider.extra = ""
    assert asked.submit(QUESTION).status == "approved"
    answer = asked.status("kyc-1")
    assert answer is not None
    assert answer.raw["reference"] == "kyc-1"
    with pytest.raises(ProviderRefused):
        signed_provider(provider.url, new_secret(), paths({})).submit(QUESTION)
    settings.IDENTITY_SIGNING_SECRET = ""
    with pytest.raises(ProviderNotConfigured):
        configured_identity_provider()
    with pytest.raises(ValueError, match="key"):
        ProviderClient(base_url=provider.url)


@pytest.mark.parametrize("wrong", [[], {"other": "/x"}, {"checks": "x"}, {"check": "/checks"}, {"documents": 1}])
def test_paths_that_lead_nowhere_are_refused_at_the_start(wrong: Any) -> None:
    assert paths({}).checks == "/checks"
    with pytest.raises(ImproperlyConfigured):
        paths(wrong)
