"""The Idempotency-Key header and the hash of a request."""

from datetime import date
from uuid import UUID

import pytest

from tests.api.conftest import Api, assert_problem
from wallet_project.api.idempotency import request_hash


def test_a_post_without_a_key_is_told_to_send_one(api: Api) -> None:
    body = assert_problem(api.send("/api/t/keyed", b"{}"), 400, "idempotency_key_required")
    assert "Idempotency-Key" in body["detail"]
    assert_problem(api.send("/api/t/keyed", b"{}", idempotency_key=""), 400, "idempotency_key_required")


@pytest.mark.parametrize("key", ["a b", "a\tb", "ż", "a\x7f", "x" * 256, "\u00e9"])
def test_a_key_in_another_form_is_refused(api: Api, key: str) -> None:
    assert_problem(api.send("/api/t/keyed", b"{}", idempotency_key=key), 400, "idempotency_key_invalid")


@pytest.mark.parametrize("key", ["a", "x" * 255, "order/7?retry=2&\"'~!"])
def test_visible_ascii_is_a_key(api: Api, key: str) -> None:
    response = api.send("/api/t/keyed", b"{}", idempotency_key=key)
    assert (response.status_code, response.json()) == (202, {"key": key})
    assert response["Idempotent-Replayed"] == "true"


def test_what_is_safe_to_repeat_takes_a_key_or_none(api: Api) -> None:
    assert api.send("/api/t/maybe-keyed", b"{}").json() == {"key": None}
    assert api.send("/api/t/maybe-keyed", b"{}", idempotency_key="a").json() == {"key": "a"}
    assert_problem(api.send("/api/t/maybe-keyed", b"{}", idempotency_key="a b"), 400, "idempotency_key_invalid")


def test_the_order_of_members_does_not_matter() -> None:
    assert request_hash("transfer", {}, {"a": 1, "b": {"c": 2, "d": 3}}) == request_hash(
        "transfer", {}, {"b": {"d": 3, "c": 2}, "a": 1}
    )
    assert len(request_hash("transfer", {}, {})) == 32


@pytest.mark.parametrize(
    ("operation", "path", "body"),
    [
        ("transfer", {}, {"amount": 2}),
        ("transfer", {}, {"amount": "1"}),
        ("transfer", {"amount": 1}, {}),
        ("deposit", {}, {"amount": 1}),
        ("transfer", {}, {"amount": 1, "reference": ""}),
        ("transfer", {}, {"amount": True}),
    ],
)
def test_another_request_has_another_hash(operation: str, path: dict[str, int], body: dict[str, object]) -> None:
    assert request_hash(operation, path, body) != request_hash("transfer", {}, {"amount": 1})


def test_what_serializers_make_of_a_body_can_be_hashed() -> None:
    ids = {"id": UUID(int=1), "born": date(2001, 2, 3), "label": "żółw"}
    assert request_hash("x", ids, ids) == request_hash("x", dict(ids), dict(ids))
