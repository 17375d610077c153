"""What goes by Django behind the web server's event loop: bodies and answers of any length, and callers who go."""

import http.client
import json
import socket
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path
from uuid import uuid4

import pytest

from compliance.models import Document
from ledger.models import Transaction
from tests.compliance.people import applicant
from tests.compliance.test_documents import PDF
from tests.ledger.test_api import transfer_body
from tests.support import factories, money
from tests.support.web import WebServer, web_server
from wallet_project.embedded import ports, processes

pytestmark = pytest.mark.django_db

ONE_PLACE = {"WEB_REQUESTS_AT_ONCE": "1", "WEB_PAYMENTS_AT_ONCE": "1"}


@pytest.fixture
def web(db: None, app_dsn: str, tmp_path: Path) -> Iterator[WebServer]:
    with web_server(app_dsn, tmp_path, DOCUMENTS_DIR=str(tmp_path / "documents"), **ONE_PLACE) as server:
        yield server


def ask(web: WebServer, method: str, path: str, body: bytes | None = None, **headers: str) -> bytes:
    """What is answered, with its status before it."""
    connection = http.client.HTTPConnection(ports.LOOPBACK, web.port, timeout=30)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        response: HTTPResponse = connection.getresponse()
        return b"%d %s" % (response.status, response.read())
    finally:
        connection.close()


def form_with(content: bytes) -> bytes:
    fields = b'--x\r\nContent-Disposition: form-data; name="kind"\r\n\r\nproof_of_address\r\n'
    file = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.pdf"\r\n\r\n'
    return fields + file + content + b"\r\n--x--\r\n"


def files(folder: Path) -> list[Path]:
    return [path for path in (folder / "documents").rglob("*") if path.is_file()]


def test_bodies_and_answers_of_any_length_come_through_whole(web: WebServer, tmp_path: Path) -> None:
    customer = applicant()
    token = factories.session_token(customer.user)
    # As long as several pieces, and more than Django keeps in memory.
    content = PDF + bytes(range(256)) * 12_000
    headers = {"X_Session_Token": token, "Content_Type": "multipart/form-data; boundary=x"}
    assert ask(web, "POST", "/api/v1/me/documents", form_with(content), **headers).startswith(b"201 ")
    document = Document.objects.get(customer=customer)
    [stored] = files(tmp_path)
    assert (document.size, stored.read_bytes()) == (len(content), content)

    account, other = money.new_account(1_000), money.new_account()
    assert account.customer is not None
    for number in range(1, 31):
        money.post_now("transfer", account, other, number)
    mine = {"X_Session_Token": factories.session_token(account.customer.user)}
    path = f"/api/v1/accounts/{account.id}/statement?from=2020-01-01&to=2999-01-01"
    told = ask(web, "GET", path, Accept="text/csv", **mine)
    assert told.startswith(b"200 ")
    assert len(told.splitlines()) > 30

    # A body of which nothing but its end is told. In one piece, as the server need not hear the rest of it.
    head = f"POST /api/v1/transfers HTTP/1.1\r\nHost: localhost\r\nX-Session-Token: {mine['X_Session_Token']}\r\n"
    head += "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection((ports.LOOPBACK, web.port), timeout=30) as caller:
        caller.sendall(head.encode() + b"2\r\n{}\r\n0\r\n\r\n")
        response = HTTPResponse(caller)
        response.begin()
        told = response.read()
    assert response.status == 400
    assert b"length_required" in told
    assert ask(web, "HEAD", "/healthz") == b"200 "


def test_who_hangs_up_in_the_middle_of_his_request_keeps_no_place_and_leaves_nothing(
    web: WebServer, tmp_path: Path
) -> None:
    payer, payee = factories.make_account(funded=100), factories.make_account()
    assert payer.customer is not None
    token = factories.session_token(payer.customer.user)
    content = json.dumps(transfer_body(payer, payee, 1)).encode()
    form = form_with(PDF + bytes(1_000_000))
    json_, multipart = {"Content_Type": "application/json"}, {"Content_Type": "multipart/form-data; boundary=x"}
    own = {"X_Session_Token": token, "Idempotency_Key": uuid4().hex}
    for path, body, headers in (
        ("/api/v1/transfers", content, json_),
        ("/api/v1/transfers?by=django", content, json_),
        ("/api/v1/me/documents", form, multipart),
    ):
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in {**own, **headers}.items())
        begun = f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{lines}Content-Length: {len(body)}\r\n\r\n".encode()
        # Each of the two processes has one place.
        for _ in range(4):
            with socket.create_connection((ports.LOOPBACK, web.port)) as caller:
                caller.sendall(begun + body[:-3])

    def is_done() -> bool:
        paid = ask(web, "POST", "/api/v1/transfers", content, **own, **json_)
        kept = ask(web, "POST", "/api/v1/me/documents", form, **own, **multipart)
        return paid.startswith(b"202") and kept[:3] in (b"200", b"201")

    assert processes.wait_until(is_done, seconds=30)
    assert Transaction.objects.filter(debit_account=payer).count() == 1
    assert Document.objects.filter(customer=payer.customer).count() == 1
    assert len(files(tmp_path)) == 1
    assert b"Traceback" not in web.log.read_bytes()


def test_who_is_refused_may_go_on_with_his_connection(db: None, app_dsn: str, tmp_path: Path) -> None:
    """Most clients send a request's head and its body one after the other, and are answered before the second."""
    head = "POST /api/v1/transfers HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    head += f"X-Session-Token: {'a' * 32}\r\nContent-Length: 2\r\n\r\n"
    with (
        web_server(app_dsn, tmp_path, WEB_PAYMENTS_AT_ONCE="0") as web,
        socket.create_connection((ports.LOOPBACK, web.port), timeout=30) as caller,
    ):
        for _ in range(2):
            caller.sendall(head.encode())
            response = HTTPResponse(caller)
            response.begin()
            assert (response.status, response.headers["Retry-After"]) == (503, "1")
            response.read()
            caller.sendall(b"{}")
