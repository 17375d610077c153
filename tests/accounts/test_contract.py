"""What the API's document says of people and accounts."""

from typing import Any

import pytest
from drf_spectacular.generators import SchemaGenerator


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    schema: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    return schema


@pytest.mark.parametrize(
    ("method", "path", "answers"),
    [
        ("get", "/me", {"200", "401", "403", "406", "429", "500", "503"}),
        ("put", "/me/profile", {"200", "400", "401", "403", "406", "413", "415", "429", "500", "503"}),
        ("get", "/accounts", {"200", "400", "401", "403", "406", "429", "500", "503"}),
        (
            "post",
            "/accounts",
            {"202", "400", "401", "403", "406", "409", "413", "415", "422", "429", "500", "503"},
        ),
        ("put", "/me/handle", {"200", "400", "401", "403", "406", "409", "413", "415", "422", "429", "500", "503"}),
        ("delete", "/me/handle", {"204", "401", "403", "406", "429", "500", "503"}),
        ("get", "/payees/{handle}", {"200", "400", "401", "403", "404", "406", "429", "500", "503"}),
        ("get", "/beneficiaries", {"200", "400", "401", "403", "406", "429", "500", "503"}),
        (
            "post",
            "/beneficiaries",
            {"201", "400", "401", "403", "406", "409", "413", "415", "422", "429", "500", "503"},
        ),
        ("get", "/beneficiaries/{beneficiary_id}", {"200", "401", "403", "404", "406", "429", "500", "503"}),
        (
            "patch",
            "/beneficiaries/{beneficiary_id}",
            {"200", "400", "401", "403", "404", "406", "413", "415", "429", "500", "503"},
        ),
        ("delete", "/beneficiaries/{beneficiary_id}", {"204", "401", "403", "404", "406", "429", "500", "503"}),
        ("get", "/accounts/{account_id}", {"200", "401", "403", "404", "406", "429", "500", "503"}),
    ],
)
def test_every_answer_is_documented(document: dict[str, Any], method: str, path: str, answers: set[str]) -> None:
    assert set(document["paths"][f"/api/v1{path}"][method]["responses"]) == answers


def test_the_shapes_are_those_of_the_design(document: dict[str, Any]) -> None:
    shapes = document["components"]["schemas"]
    assert list(shapes["AccountOutput"]["properties"]) == [
        "id", "currency", "label", "status", "status_reason", "balances", "created_at",
    ]  # fmt: skip
    assert list(shapes["BalancesOutput"]["properties"]) == ["cleared", "reserved", "available"]
    assert set(shapes["ProfileInputRequest"]["properties"]) == {
        "first_name", "last_name", "date_of_birth", "country", "address", "document_type", "document_number",
    }  # fmt: skip
    assert shapes["ProfileInputRequest"]["additionalProperties"] is False
    assert shapes["AccountInputRequest"]["required"] == ["currency"]


def test_the_key_and_its_replay_are_documented(document: dict[str, Any]) -> None:
    operation = document["paths"]["/api/v1/accounts"]["post"]
    assert "Idempotency-Key" in [parameter["name"] for parameter in operation["parameters"]]
    assert "Idempotent-Replayed" in operation["responses"]["202"]["headers"]
