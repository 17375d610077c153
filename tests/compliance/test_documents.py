"""What customers send to show who they are: what is taken, where it lies, who may have it, and the level by it."""

import hashlib
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings as django_settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.db import transaction
from django.test import Client
from django.test.client import MULTIPART_CONTENT
from django.utils import timezone
from django_fsm import TransitionNotAllowed

from accounts.models import Customer, StateChange
from accounts.staff import PermissionMissing, ReasonRequired
from accounts.steps import request_verification
from compliance import document_files
from compliance.document_files import FileDamaged
from compliance.documents import DocumentNotFound
from compliance.models import Case, Document, DocumentAccess, KycCheck
from compliance.models import StateChange as DecisionStateChange
from compliance.providers.identity import IdentityAnswer, IdentityRequest
from compliance.services import kyc
from compliance.services.cases import decide_case, take_case
from compliance.services.documents import download, expire_documents, reject_document
from compliance.states import CheckStatus
from ledger.models import Limit
from tests.admin.house import come_in
from tests.compliance.people import applicant, at_once, path_of, staff, user_of
from tests.compliance.test_levels import LIMITS, approved
from tests.support.factories import api_client, keyed, make_customer, session_token
from tests.support.pipeline import run_until_idle, verify
from wallet_project.sandbox.embedding import RunningSandbox
from wallet_project.utils.context import system_actor

pytestmark = pytest.mark.django_db

PDF = b"%PDF-1.7\n1 0 obj"
PNG = b"\x89PNG\r\n\x1a\n and the rest"
JPEG = b"\xff\xd8\xff\xe0 and the rest"
LATER = (timezone.now().date() + timedelta(days=400)).isoformat()


@pytest.fixture(autouse=True)
def storage(tmp_path: Path, settings: Any) -> Path:
    """A directory of this test's own."""
    place = tmp_path / "documents"
    settings.STORAGES = {
        **django_settings.STORAGES,
        "documents": {
            **django_settings.STORAGES["documents"],
            "OPTIONS": {**django_settings.STORAGES["documents"]["OPTIONS"], "location": str(place)},
        },
    }
    settings.LEVEL_LIMITS = LIMITS
    return place


def send(client: Client, content: bytes = PDF, *, name: str = "a.pdf", **fields: Any) -> Any:
    form = {"kind": "proof_of_address", "file": SimpleUploadedFile(name, content, "text/html"), **fields}
    return client.post("/api/v1/me/documents", form)


def client_of(customer: Customer) -> Client:
    return Client(headers={"X-Session-Token": session_token(customer.user)}, raise_request_exception=False)


def sent_by(customer: Customer) -> list[Document]:
    """A passport and a bill."""
    client = client_of(customer)
    assert send(client, PNG, kind="passport", expires_on=LATER).status_code == 201
    assert send(client, PDF).status_code == 201
    return list(Document.objects.filter(customer=customer).order_by("id"))


def ask(customer: Customer, **headers: str) -> Any:
    return api_client(customer).post("/api/v1/me/level", {"level": "full"}, headers=headers or keyed())


def needs(shown: Any) -> dict[str, bool]:
    """What the next level needs, and whether it was sent."""
    return {need["what"]: need["sent"] for need in shown["next"]["needs"]}


class Says:
    """An identity provider that gives one answer, and keeps what it was asked."""

    def __init__(self, status: Any, reason: str = "") -> None:
        self.status_, self.reason, self.asked = status, reason, list[IdentityRequest]()

    def submit(self, check: IdentityRequest) -> IdentityAnswer:
        self.asked.append(check)
        raw = {"reference": check.reference, "status": self.status_}
        return IdentityAnswer(self.status_, "chk", self.reason, raw)

    def status(self, reference: str) -> IdentityAnswer | None:
        return None


def full() -> Customer:
    customer = approved()
    sent_by(customer)
    assert ask(customer).status_code == 202
    kyc.run_due_checks(now=timezone.now(), provider=Says("approved"))
    customer.level.refresh_from_db()
    assert customer.level.level == "full"
    return customer


def test_a_file_is_kept_once_under_its_hash_where_no_address_leads_and_nobody_else_reads(storage: Path) -> None:
    customer = make_customer()
    client = client_of(customer)
    answer = send(client, PDF, name="../../etc/passwd.png")
    assert answer.status_code == 201, answer.content
    body = answer.json()
    digest = hashlib.sha256(PDF).hexdigest()
    assert (body["kind"], body["status"], body["media_type"]) == ("proof_of_address", "received", "application/pdf")
    assert (body["sha256"], body["size"], body["expires_on"], body["reason"]) == (digest, len(PDF), None, None)
    (path,) = [each for each in storage.rglob("*") if each.is_file()]
    assert path == storage / str(customer.id) / digest
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert "passwd" not in str(Document.objects.values().get())
    again = send(client, PDF, name="b.pdf")
    assert (again.status_code, again.json()) == (200, body)
    assert send(client, PDF, kind="source_of_funds").json()["code"] == "document_known"
    assert client.get("/api/v1/me/documents").json()["results"] == [body]
    assert client.get(f"/api/v1/me/documents/{body['id']}").json() == body
    other = client_of(make_customer())
    assert other.get(f"/api/v1/me/documents/{body['id']}").json()["code"] == "document_not_found"
    assert other.get("/api/v1/me/documents").json()["results"] == []
    for address in (f"/media/{customer.id}/{digest}", f"/static/{customer.id}/{digest}", f"/{customer.id}/{digest}"):
        assert other.get(address).status_code == 404


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"content": b"<html>a passport"}, "document_invalid"),
        ({"content": b"MZ" + PDF}, "document_invalid"),
        ({"content": b""}, "invalid_input"),
        ({"file": "no file"}, "invalid_input"),
        ({"kind": "library_card"}, "invalid_input"),
        ({"kind": "passport"}, "document_invalid"),
        ({"kind": "passport", "expires_on": "2020-01-01"}, "document_invalid"),
        ({"kind": "passport", "expires_on": "soon"}, "invalid_input"),
        ({"kind": ["passport", "id_card"], "expires_on": LATER}, "malformed_body"),
        ({"path": "/etc"}, "invalid_input"),
        ({"content": PDF + b"0" * 1_000}, "document_too_large"),
        ({"content": PDF + b"0" * 30_000}, "body_too_large"),
    ],
)
def test_what_is_no_document_leaves_nothing_behind(
    fields: dict[str, Any], code: str, storage: Path, settings: Any
) -> None:
    settings.DOCUMENT_MAX_BYTES = 1_000
    answer = send(client_of(make_customer()), **fields)
    assert answer.json()["code"] == code, answer.content
    assert answer.status_code == (413 if "large" in code else 400)
    assert answer["Content-Type"] == "application/problem+json"
    assert not Document.objects.exists()
    assert not [each for each in storage.rglob("*") if each.is_file()]


def test_a_body_that_says_it_is_too_large_is_refused_before_it_is_read() -> None:
    class Unreadable:
        def read(self, *_: Any) -> bytes:
            raise AssertionError("the body was read")

        readline = read

    answer = client_of(make_customer()).generic(
        "POST", "/api/v1/me/documents", b"", MULTIPART_CONTENT,
        **{"CONTENT_TYPE": MULTIPART_CONTENT, "CONTENT_LENGTH": str(10**9), "wsgi.input": Unreadable()},
    )  # fmt: skip
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert client_of(make_customer()).post("/api/v1/me/documents", {}, "application/json").status_code == 415


def test_how_many_documents_a_customer_sends_is_bounded(settings: Any, storage: Path) -> None:
    settings.DOCUMENTS_PER_DAY, settings.DOCUMENTS_PER_CUSTOMER = 2, 3
    customer = make_customer()
    client = client_of(customer)
    answers = at_once(*(lambda n=n: send(client_of(customer), PDF + b"%d" % n).status_code for n in range(4)))
    assert sorted(answers) == [201, 201, 429, 429]
    assert send(client, PDF + b"%d" % answers.index(201)).status_code == 200
    settings.DOCUMENTS_PER_DAY = 9
    assert send(client, PDF + b"5").status_code == 201
    assert (refused := send(client, PDF + b"6")).status_code == 422
    assert refused.json()["code"] == "too_many_documents"


def test_the_same_file_twice_at_once_is_one_document() -> None:
    customer = make_customer()
    answers = at_once(*[lambda: send(client_of(customer)).status_code] * 6)
    assert sorted(answers) == [200] * 5 + [201]
    assert Document.objects.filter(customer=customer).count() == 1


def test_a_document_is_never_edited(owner_connection: psycopg.Connection) -> None:
    (passport, _) = sent_by(make_customer())
    for change in ("kind = 'id_card'", "expires_on = '2099-01-01'", "sha256 = repeat('0', 64)", "size = 1"):
        with pytest.raises(psycopg.errors.CheckViolation, match="stays as it was sent"):
            owner_connection.execute(f"UPDATE compliance_document SET {change} WHERE id = %s", [passport.id])
        owner_connection.rollback()
    for statement in ("DELETE FROM compliance_document", "UPDATE compliance_documentaccess SET user_id = NULL"):
        DocumentAccess.objects.create(document=passport, user=user_of(staff()))
        with pytest.raises(psycopg.errors.CheckViolation):
            owner_connection.execute(statement)
        owner_connection.rollback()


def test_staff_with_the_permission_download_the_file_and_that_goes_on_record_first(storage: Path) -> None:
    (passport, _) = sent_by(make_customer())
    address = f"/admin/compliance/document/{passport.id}/file/"
    for role, status in (("Auditor", 403), ("Administrator", 403), ("Officer", 200), ("Senior officer", 200)):
        client = come_in(Client(), user_of(staff(role)))
        before = DocumentAccess.objects.count()
        answer = client.get(address)
        assert answer.status_code == status, role
        assert DocumentAccess.objects.count() == before + (status == 200)
        assert client.post(address).status_code in (403, 405)
    assert answer.content == PNG
    assert answer["Content-Type"] == "image/png"
    assert answer["Content-Disposition"] == f'attachment; filename="passport-{passport.id}.png"'
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "no-store" in answer["Cache-Control"]
    assert Client().get(address).status_code == 302
    with pytest.raises(DocumentNotFound):
        download(actor=staff(), document_id=make_customer().id)
    path = storage / str(passport.customer_id) / passport.sha256
    path.write_bytes(PNG + b"!")
    assert client.get(address).status_code == 503
    path.unlink()
    with pytest.raises(FileDamaged):
        document_files.read(passport)


# --- The full level -------------------------------------------------------------------------------------------------


def test_the_full_level_is_asked_for_with_documents_checked_in_the_background_and_lifts_the_limits() -> None:
    customer = approved()
    shown = api_client(customer).get("/api/v1/me/level").json()
    assert (shown["level"], shown["next"]["level"], shown["request"]) == ("basic", "full", None)
    assert [(need["what"], need["sent"]) for need in shown["next"]["needs"]] == [
        ("identity", False),
        ("address", False),
    ]
    assert shown["limits"][0]["per_transaction"] == 1_000
    refused = ask(customer)
    assert (refused.status_code, refused.json()["missing"]) == (422, ["identity", "address"])
    documents = sent_by(customer)
    key = keyed()
    asked = ask(customer, **key)
    assert (asked.status_code, asked.json()["request"]["status"]) == (202, "pending")
    assert ask(customer, **key)["Idempotent-Replayed"] == "true"
    assert ask(customer).json()["code"] == "level_requested"
    provider = Says("approved")
    kyc.run_due_checks(now=timezone.now(), provider=provider)
    (question,) = provider.asked
    assert question.level == "full"
    assert [(each.kind, each.sha256, each.content()) for each in question.documents] == [
        ("passport", hashlib.sha256(PNG).hexdigest(), PNG),
        ("proof_of_address", hashlib.sha256(PDF).hexdigest(), PDF),
    ]
    assert "PNG" not in repr(question)
    assert [path_of(each.id, DecisionStateChange) for each in documents] == [["received", "accepted"]] * 2
    assert api_client(customer).get("/api/v1/me").json()["level"] == "full"
    shown = api_client(customer).get("/api/v1/me/level").json()
    assert (shown["level"], shown["next"], shown["notice"]) == ("full", None, None)
    row = Limit.objects.get(owner_id=customer.id, currency="EUR")
    assert (row.level_per_transaction, row.level_per_day) == (None, 5_000)
    assert ask(customer).json()["code"] == "level_reached"
    customer.refresh_from_db()
    assert customer.kyc_status == "verified"
    verify("--no-bank")


def test_a_rejected_request_leaves_the_customer_as_he_is_and_says_what_to_do(settings: Any) -> None:
    settings.LEVEL_REQUESTS_PER_DAY = 2
    assert ask(make_customer(verified=False)).json()["code"] == "not_verified"
    customer = approved()
    documents = sent_by(customer)
    ask(customer)
    kyc.run_due_checks(now=timezone.now(), provider=Says("rejected", "forged"))
    assert {each.status for each in Document.objects.filter(customer=customer)} == {"rejected"}
    shown = api_client(customer).get("/api/v1/me/level").json()
    assert (shown["level"], shown["request"]["status"]) == ("basic", "rejected")
    assert "not accepted" in shown["notice"]
    assert "forged" not in str(api_client(customer).get("/api/v1/me/documents").json())
    assert customer.kyc_status == "verified"
    client = client_of(customer)
    assert send(client, PNG, kind="passport", expires_on=LATER).json()["status"] == "rejected"
    send(client, PNG + b"2", kind="id_card", expires_on=LATER)
    send(client, JPEG)
    assert ask(customer).status_code == 202
    kyc.run_due_checks(now=timezone.now(), provider=Says("rejected"))
    send(client, PNG + b"3", kind="id_card", expires_on=LATER)
    send(client, JPEG + b"3")
    assert ask(customer).json()["code"] == "too_many_level_requests"
    assert len(documents) == 2
    verify("--no-bank")


def test_an_officer_decides_what_the_provider_cannot_tell_and_may_have_it_asked_again() -> None:
    customer = approved()
    sent_by(customer)
    ask(customer)
    now = timezone.now()
    kyc.run_due_checks(now=now, provider=Says("review"))
    officer = staff()

    def decide(verdict: str) -> None:
        case = Case.objects.exclude(status="resolved").get(kyc_check__customer=customer)
        take_case(case_id=case.id, actor=officer)
        decide_case(case_id=case.id, actor=officer, verdict=verdict, reason="looked at it", now=now)

    decide("retry")
    again = KycCheck.objects.filter(customer=customer, level="full").latest("id")
    assert (again.status, again.documents.count()) == (CheckStatus.QUEUED, 2)
    kyc.run_due_checks(now=timezone.now() + timedelta(seconds=1), provider=Says("review"))
    decide("approve")
    customer.level.refresh_from_db()
    assert customer.level.level == "full"
    assert StateChange.objects.filter(subject_id=customer.level.id).latest("id").actor_id == officer.principal_id
    verify("--no-bank")


def test_the_level_falls_with_a_document_that_expires_and_the_identity_is_checked_again() -> None:
    customer = full()
    passport = Document.objects.get(customer=customer, kind="passport")
    assert passport.expires_on is not None
    after = timezone.now() + timedelta(days=401)
    assert expire_documents(now=timezone.now() + timedelta(days=399)) == 0
    assert expire_documents(now=after) == 1
    assert expire_documents(now=after) == 0
    passport.refresh_from_db()
    customer.level.refresh_from_db()
    customer.refresh_from_db()
    assert (passport.status, customer.level.level, customer.kyc_status) == ("expired", "basic", "pending")
    assert Limit.objects.get(owner_id=customer.id, currency="EUR").level_per_transaction == 1_000
    shown = api_client(customer).get("/api/v1/me/level").json()
    assert needs(shown) == {"identity": False, "address": True}
    kyc.start_due_checks(now=after)
    kyc.run_due_checks(now=after + timedelta(seconds=1), provider=Says("approved"))
    assert send(client_of(customer), JPEG, kind="id_card", expires_on=LATER).status_code == 201
    assert ask(customer).status_code == 202


def test_the_level_falls_when_staff_reject_a_document_or_the_identity_is_rejected() -> None:
    customer, now = full(), timezone.now()
    bill = Document.objects.get(customer=customer, kind="proof_of_address")
    words = {"customer_reason": "Send a bill that is not older than three months.", "reason": "an old bill"}
    with pytest.raises(PermissionMissing):
        reject_document(actor=staff("Auditor"), document_id=bill.id, now=now, **words)
    with pytest.raises(ReasonRequired):
        reject_document(actor=staff(), document_id=bill.id, now=now, **{**words, "reason": " "})
    reject_document(actor=staff(), document_id=bill.id, now=now, **words)
    with pytest.raises(TransitionNotAllowed):
        reject_document(actor=staff(), document_id=bill.id, now=now, **words)
    customer.level.refresh_from_db()
    assert customer.level.level == "basic"
    listed = api_client(customer).get("/api/v1/me/documents").json()["results"]
    assert [each["reason"] for each in listed] == [words["customer_reason"], None]
    other = full()
    with transaction.atomic():
        request_verification(customer_id=other.id, actor=system_actor())
    kyc.start_due_checks(now=now)
    kyc.run_due_checks(now=timezone.now() + timedelta(seconds=1), provider=Says("rejected"))
    other.level.refresh_from_db()
    other.refresh_from_db()
    assert (other.kyc_status, other.level.level) == ("rejected", "basic")
    verify("--no-bank")


def test_the_sandbox_decides_a_request_with_documents(sandbox: RunningSandbox) -> None:
    customer = applicant()
    run_until_idle()
    sent_by(customer)
    assert ask(customer).status_code == 202
    run_until_idle()
    assert api_client(customer).get("/api/v1/me/level").json()["level"] == "full"


def test_the_operator_finds_what_is_missing_and_what_nobody_knows(
    storage: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("check_documents")
    (passport, bill) = sent_by(make_customer())
    stray = storage / str(passport.customer_id) / ("0" * 64)
    stray.write_bytes(PDF)
    call_command("check_documents")
    assert "no other" in capsys.readouterr().out
    os.utime(stray, (0, 0))
    (storage / str(bill.customer_id) / bill.sha256).write_bytes(b"%PDF-1.7 another")
    with pytest.raises(SystemExit):
        call_command("check_documents", "--remove-unknown")
    found = capsys.readouterr().out
    assert f"not what was received: {bill.customer_id}/{bill.sha256}" in found
    assert "no row knew it; removed" in found
    assert not stray.exists()
    assert (storage / str(passport.customer_id) / passport.sha256).exists()


def test_staff_reject_and_take_levels_back_on_their_pages_by_their_roles() -> None:
    customer = full()
    (passport, bill) = Document.objects.filter(customer=customer).order_by("id")
    reject = f"/admin/compliance/document/{bill.id}/do/reject/"
    lower = f"/admin/accounts/customer/{customer.id}/do/lower-level/"
    words = {"customer_reason": "Send a newer bill.", "reason": "an old bill"}
    for role in ("Auditor", "Administrator"):
        client = come_in(Client(), user_of(staff(role)))
        assert [client.post(address, words).status_code for address in (reject, lower)] == [403, 403]
    assert Client().post(reject, words).status_code == 302
    bill.refresh_from_db()
    customer.level.refresh_from_db()
    assert (bill.status, customer.level.level) == ("accepted", "full")
    officer = come_in(Client(), user_of(staff()))
    assert officer.post(lower, {"reason": ""}).status_code == 200
    assert officer.post(lower, {"reason": "a doubt"}).status_code == 302
    assert officer.post(reject, words).status_code == 302
    bill.refresh_from_db()
    customer.level.refresh_from_db()
    assert (bill.status, bill.reason, customer.level.level) == ("rejected", "Send a newer bill.", "basic")
    page = officer.get(f"/admin/accounts/customer/{customer.id}/change/").text
    assert "passport" in page.lower()
    assert f"/admin/compliance/document/{passport.id}/change/" in page
