"""The document says what the endpoints do."""

from typing import Any

import pytest
from openapi_spec_validator import validate

from tests.api.conftest import Api


@pytest.fixture
def document(api: Api) -> dict[str, Any]:
    response = api.get("/api/t/openapi.json")
    assert response.status_code == 200
    body: dict[str, Any] = response.json()
    shared = body["components"]["responses"]
    for path in body["paths"].values():
        for operation in path.values():
            for status, answer in operation["responses"].items():
                # What several operations answer in the same words stands in the components.
                operation["responses"][status] = (
                    shared[answer["$ref"].rpartition("/")[2]] if "$ref" in answer else answer
                )
    return body


def codes(responses: dict[str, Any], status: str) -> set[str]:
    return set(
        responses[status]["content"]["application/problem+json"]["schema"]["allOf"][1]["properties"]["code"]["enum"]
    )


def test_the_document_is_valid(document: dict[str, Any]) -> None:
    validate(document)


def test_a_post_names_its_refusals(document: dict[str, Any]) -> None:
    responses = document["paths"]["/api/v1/keyed"]["post"]["responses"]
    assert codes(responses, "422") == {"insufficient_funds"}
    assert codes(responses, "400") == {
        "invalid_input",
        "bad_request",
        "malformed_body",
        "length_required",
        "incomplete_body",
        "idempotency_key_required",
        "idempotency_key_invalid",
    }
    assert codes(responses, "413") == {"body_too_large"}
    assert codes(responses, "415") == {"unsupported_media_type"}
    assert codes(responses, "503") == {"too_busy", "database_unavailable", "database_busy"}
    assert "401" not in responses
    assert set(responses["202"]["headers"]) >= {"Idempotent-Replayed"}


def test_a_post_that_makes_something_takes_a_key(document: dict[str, Any]) -> None:
    [parameter] = document["paths"]["/api/v1/keyed"]["post"]["parameters"]
    assert (parameter["name"], parameter["in"], parameter["required"]) == ("Idempotency-Key", "header", True)


def test_a_post_that_is_safe_to_repeat_may_be_sent_without_a_key(document: dict[str, Any]) -> None:
    operation = document["paths"]["/api/v1/maybe-keyed"]["post"]
    [parameter] = operation["parameters"]
    assert (parameter["name"], parameter.get("required", False)) == ("Idempotency-Key", False)
    assert "idempotency_key_invalid" in codes(operation["responses"], "400")
    assert "idempotency_key_required" not in codes(operation["responses"], "400")


def test_a_strict_body_allows_nothing_else(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert schemas["EverythingRequest"]["additionalProperties"] is False
    assert "status" not in schemas["EverythingRequest"]["properties"]
    amount = schemas["EverythingRequest"]["properties"]["amount"]
    assert (amount["type"], amount["minimum"], amount["maximum"]) == ("integer", 1, 10**15)
    seconds = schemas["EverythingRequest"]["properties"]["seconds"]
    assert (seconds["type"], seconds["minimum"], seconds["maximum"]) == ("integer", 60, 3_600)


def test_a_list_is_pages_with_a_cursor(document: dict[str, Any]) -> None:
    operation = document["paths"]["/api/v1/users"]["get"]
    assert {parameter["name"] for parameter in operation["parameters"]} == {"cursor", "limit"}
    assert codes(operation["responses"], "400") == {
        "bad_request",
        "bad_cursor",
        "bad_page_size",
        "unknown_parameter",
        "repeated_parameter",
    }
    page = document["components"]["schemas"]["PaginatedUserList"]
    assert page["required"] == ["results", "next"]


def test_what_needs_a_login_says_so(document: dict[str, Any]) -> None:
    operation = document["paths"]["/api/v1/users/{id}"]["get"]
    assert codes(operation["responses"], "401") == {"not_authenticated", "session_invalid"}
    assert codes(operation["responses"], "404") == {"not_found"}
    assert codes(operation["responses"], "429") == {"too_many_requests"}
    assert operation["responses"]["429"]["headers"]["Retry-After"]
    assert operation["security"] == [{"SessionToken": []}]
    scheme = document["components"]["securitySchemes"]["SessionToken"]
    assert (scheme["type"], scheme["in"], scheme["name"]) == ("apiKey", "header", "X-Session-Token")


def test_each_problem_has_an_example_that_is_one(document: dict[str, Any]) -> None:
    for path in document["paths"].values():
        for operation in path.values():
            for status, response in operation["responses"].items():
                for code, example in (
                    response.get("content", {}).get("application/problem+json", {}).get("examples", {}).items()
                ):
                    assert example["$ref"] == f"#/components/examples/{code}"
                    example = document["components"]["examples"][code]
                    assert (example["value"]["status"], example["value"]["code"]) == (int(status), code)
                    assert set(document["components"]["schemas"]["Problem"]["required"]) <= set(example["value"])
