"""The real API against its own document: whatever is sent, the answer is one that the document names."""

import json
import re
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings as django_settings
from django.test import Client
from django.urls import reverse
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate
from rest_framework.settings import api_settings

from tests.support.factories import api_client, keyed, make_account, make_customer
from tests.support.pipeline import run_until_idle

Operation = tuple[str, str]

_HOSTILE_IDS = ("0", "x", "..", "%00", "%F0%9F%92%B8", "01980000-0000-7000-8000-00000000000", "'--", "9" * 400)
_HOSTILE_QUERIES = (
    "cursor=%00", "cursor=' OR 1=1", "limit=٣", "limit=1e1", "limit=-0", "status=%00", "status=nothing", "kind=%ff",
    "kind=transfer&kind=deposit", "created_after=yesterday", "format=xml", "ordering=-amount", "cursor[]=a", "=&==",
)  # fmt: skip


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    body: dict[str, Any] = json.loads(json.dumps(SchemaGenerator().get_schema(request=None, public=True)))
    return body


def operations(document: dict[str, Any]) -> list[Operation]:
    return [(method.upper(), path) for path, methods in document["paths"].items() for method in methods]


def assert_documented(document: dict[str, Any], operation: Operation, response: Any) -> None:
    """The response's status stands in the document, and so does its shape or, for a refusal, its code."""
    documented = responses_of(document, operation)
    status = str(response.status_code)
    assert status in documented, (operation, status, response.content)
    assert response.status_code < 500, (operation, response.content)
    assert response["X-Request-ID"]
    if response.status_code < 400:
        assert response["Content-Type"] == "application/json"
        shape = documented[status]["content"]["application/json"]["schema"]
        OAS31Validator({**shape, "components": document["components"]}).validate(response.json())
        return
    assert response["Content-Type"] == "application/problem+json", (operation, response.content)
    schema = documented[status]["content"]["application/problem+json"]["schema"]
    assert response.json()["code"] in schema["allOf"][1]["properties"]["code"]["enum"], (operation, response.content)


def responses_of(document: dict[str, Any], operation: Operation) -> dict[str, Any]:
    """By status. What several operations answer in the same words stands in the components."""
    method, path = operation
    shared = document["components"]["responses"]
    responses = document["paths"][path][method.lower()]["responses"]
    return {
        status: shared[response["$ref"].rpartition("/")[2]] if "$ref" in response else response
        for status, response in responses.items()
    }


def filled(path: str, value: str) -> str:
    return re.sub(r"\{\w+\}", value, path)


def test_the_document_is_valid_and_served(db: None, document: dict[str, Any]) -> None:
    validate(document)
    assert Client().get(reverse("openapi")).json()["paths"].keys() == document["paths"].keys()
    assert len(operations(document)) > 10


def test_the_document_is_short_enough_to_load_on_a_phone(document: dict[str, Any]) -> None:
    assert len(json.dumps(document)) < 155_000


def test_generated_clients_can_hold_every_amount(document: dict[str, Any]) -> None:
    """Without a format, `integer` has 32 bits in Java, Kotlin and C#: 21 million euros."""
    for name, schema in document["components"]["schemas"].items():
        for member, shape in schema.get("properties", {}).items():
            if shape.get("type") == "integer" and name != "Problem":
                assert shape["format"] == "int64", (name, member)


def test_the_document_says_what_a_text_may_be(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert schemas["TransferInputRequest"]["properties"]["reference"]["maxLength"] == 140
    name = schemas["BeneficiaryInputRequest"]["properties"]["name"]
    assert (name["minLength"], name["maxLength"]) == (1, 140)
    profile = schemas["ProfileInputRequest"]["properties"]
    assert profile["country"]["pattern"] == "^[A-Z]{2}$"
    assert "passport" in schemas[profile["document_type"]["$ref"].rpartition("/")[2]]["enum"]


def test_the_document_speaks_to_clients_and_not_of_our_code(document: dict[str, Any]) -> None:
    told = [str(schema.get("description", "")) for schema in document["components"]["schemas"].values()]
    assert not [text for text in told if "serializer" in text.lower() or "selectors" in text or "read-only" in text]


def test_what_takes_no_body_refuses_none(document: dict[str, Any]) -> None:
    for method, path in operations(document):
        if "requestBody" not in document["paths"][path][method.lower()]:
            assert not {"413", "415"} & responses_of(document, (method, path)).keys(), path


def test_a_lack_of_funds_names_the_failed_transaction_in_the_document(document: dict[str, Any]) -> None:
    refused = responses_of(document, ("POST", "/api/v1/transfers"))["422"]["content"]["application/problem+json"]
    assert "insufficient_funds" in refused["examples"]
    assert "transaction" in document["components"]["examples"]["insufficient_funds"]["value"]


def test_each_operation_asks_for_a_login(db: None, document: dict[str, Any]) -> None:
    for method, path in operations(document):
        response = Client().generic(method, filled(path, str(uuid4())), b"{}", content_type="application/json")
        assert response.status_code == 401, (method, path, response.content)
        assert_documented(document, (method, path), response)


def test_each_post_that_makes_something_takes_a_key(document: dict[str, Any]) -> None:
    for method, path in operations(document):
        operation = document["paths"][path][method.lower()]
        if method == "POST" and "202" in operation["responses"]:
            assert "Idempotency-Key" in [parameter["name"] for parameter in operation["parameters"]], path


def test_what_is_given_has_the_documented_shape(db: None, document: dict[str, Any]) -> None:
    account = make_account(funded=10_000)
    client = api_client(account.customer)
    made = {"source": str(account.id), "destination": str(make_account().id), "currency": "EUR"}
    for amount, path in ((2_000, "transfers"), (20_000, "transfers"), (100, "deposits")):
        body = {**made, "amount": amount} if path == "transfers" else {"account": made["source"], "amount": amount}
        answer = client.post(f"/api/v1/{path}", {"currency": "EUR", **body}, format="json", headers=keyed())
        assert_documented(document, ("POST", f"/api/v1/{path}"), answer)
    listed = client.get("/api/v1/transactions").json()["results"]
    assert {row["status"] for row in listed} == {"pending", "failed", "cleared"}
    for method, path in operations(document):
        if method == "GET" and "{transaction_id}" not in path:
            assert_documented(document, (method, path), client.get(f"{filled(path, str(account.id))}?limit=1"))
    for row in listed:
        path = "/api/v1/transactions/{transaction_id}"
        assert_documented(document, ("GET", path), client.get(filled(path, row["id"])))


def test_what_is_done_with_payments_has_the_documented_shape(db: None, document: dict[str, Any], settings: Any) -> None:
    settings.FEES = {"transfer": {"EUR": [{"flat": 5}]}}
    payer, payee = make_account(funded=10_000), make_account()
    clients = {"payer": api_client(payer.customer), "payee": api_client(payee.customer)}

    def send(who: str, method: str, path: str, body: Any = None, value: str = "") -> Any:
        headers = keyed() if method == "POST" else {}
        answer = clients[who].generic(
            method, f"/api/v1{filled(path, value)}", json.dumps(body or {}), "application/json", headers=headers
        )
        assert_documented(document, (method, f"/api/v1{path}"), answer)
        return answer.json()

    transfer = {"source": str(payer.id), "destination": str(payee.id), "amount": 100, "currency": "EUR"}
    send("payer", "POST", "/quotes", {"kind": "transfer", "amount": 100, "currency": "EUR"})
    assert send("payer", "POST", "/transfers", {**transfer, "fee": 4})["code"] == "fee_changed"
    group = send("payer", "POST", "/groups", {"transfers": [transfer, transfer]})
    send("payer", "GET", "/groups/{group_id}", value=group["id"])
    one, two = (send("payer", "POST", "/transfers", {**transfer, "capture": "manual"})["id"] for _ in range(2))
    run_until_idle()
    capture, void = ("/transactions/{transaction_id}/capture", "/transactions/{transaction_id}/void")
    assert send("payee", "POST", capture, {"amount": 101}, value=one)["code"] == "capture_exceeds_hold"
    assert send("payee", "POST", capture, {"amount": 60}, value=one)["capture"]["captured_amount"] == 60
    assert send("payee", "POST", capture, {"amount": 61}, value=one)["code"] == "already_captured"
    assert send("payer", "POST", void, value=two)["code"] == "hold_not_expired"
    assert send("payee", "POST", void, value=two)["failure"]["code"] == "voided"
    run_until_idle()
    reversals = "/transactions/{transaction_id}/reversals"
    assert send("payee", "POST", reversals, {"amount": 61, "reason": "x"}, value=one)["code"] == "reversal_exceeds"
    assert send("payee", "POST", reversals, {"amount": 20, "reason": "x"}, value=one)["kind"] == "reversal"
    assert len(send("payee", "GET", reversals, value=one)["results"]) == 1


def test_hostile_ids_are_not_found(db: None, document: dict[str, Any]) -> None:
    client = api_client(make_customer())
    for method, path in operations(document):
        if "{" not in path:
            continue
        for hostile in (*_HOSTILE_IDS, str(uuid4())):
            response = client.generic(method, filled(path, hostile), b"{}", content_type="application/json")
            assert response.status_code == 404, (method, path, hostile, response.content)
            assert_documented(document, (method, path), response)


def test_an_id_may_be_written_in_capitals(db: None, document: dict[str, Any]) -> None:
    account = make_account()
    client = api_client(account.customer)
    paths = [path for method, path in operations(document) if method == "GET" and "{account_id}" in path]
    assert paths
    for path in paths:
        query = "?from=2026-11-01&to=2026-12-01" if path.endswith("/statement") else ""
        assert client.get(filled(path, str(account.id).upper()) + query).status_code == 200, path


def test_hostile_queries_are_refused_or_passed_over(db: None, document: dict[str, Any]) -> None:
    account = make_account()
    client = api_client(account.customer)
    for method, path in operations(document):
        if method != "GET":
            continue
        for query in _HOSTILE_QUERIES:
            assert_documented(document, (method, path), client.get(f"{filled(path, str(account.id))}?{query}"))


_names = (
    st.sampled_from(("account", "source", "destination", "amount", "currency", "reference", "metadata", "beneficiary"))
    | st.sampled_from(("label", "name", "iban", "first_name", "last_name", "date_of_birth", "country", "address"))
    | st.sampled_from(("document_type", "document_number", "status", "id"))
    | st.sampled_from(("transfers", "capture", "expires_in", "fee", "reason", "kind"))
    | st.text(max_size=8)
)
_scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["EUR", "eur", "1", "2001-02-03", "0001-01-01", "9999-12-31", "GB", "\x00", "\ud800", "x" * 5000])
    | st.uuids().map(str)
)
_values = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names, inner, max_size=4), max_leaves=8
)
_bodies = st.dictionaries(_names, _values, max_size=8).map(json.dumps) | _values.map(json.dumps) | st.text(max_size=40)


def test_whatever_is_sent_the_answer_is_documented(
    db: None, document: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(api_settings.DEFAULT_THROTTLE_RATES, "user", None)
    account = make_account(funded=10_000)
    client = api_client(account.customer)
    writes = [operation for operation in operations(document) if operation[0] in ("POST", "PUT", "PATCH")]
    valid = {
        "account": str(account.id), "source": str(account.id), "destination": str(account.id), "amount": 1,
        "currency": "EUR",
    }  # fmt: skip

    @given(st.sampled_from(writes), _bodies, st.booleans(), st.booleans())
    @settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
    def send(operation: Operation, body: str, from_valid: bool, with_key: bool) -> None:
        if from_valid and body.startswith("{") and isinstance(changes := _parsed(body), dict):
            body = json.dumps(valid | changes)
        response = client.generic(
            operation[0],
            filled(operation[1], str(account.id)),
            body.encode("utf-8", "surrogatepass"),
            content_type="application/json",
            headers={"Idempotency-Key": uuid4().hex} if with_key else {},
        )
        assert_documented(document, operation, response)

    send()


def _parsed(body: str) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


@pytest.mark.parametrize("path", ["/api/docs", "/api/redoc"])
def test_the_documents_pages_are_served(db: None, path: str) -> None:
    response = Client().get(path)
    assert (response.status_code, response["Content-Type"].split(";")[0]) == (200, "text/html")
    assert reverse("openapi") in response.content.decode()


def test_each_documented_problem_is_explained_where_its_type_leads(db: None, document: dict[str, Any]) -> None:
    page = Client().get("/api/problems").content.decode()
    codes = set(re.findall(r'"type": "/api/problems#(\w+)"', json.dumps(document)))
    assert "insufficient_funds" in codes
    for code in codes:
        assert f'id="{code}"' in page


def test_the_whole_chain_stands_for_the_admin(db: None) -> None:
    assert "django.middleware.csrf.CsrfViewMiddleware" in django_settings.MIDDLEWARE
    response = Client(enforce_csrf_checks=True).post("/admin/login/", {"username": "a", "password": "b"})
    assert response.status_code == 403
