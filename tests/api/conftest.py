from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from tests.support.cache import redis_is_away


class Api:
    """Speaks to the test views over Django's client, through the project's middleware."""

    def __init__(self) -> None:
        # What the API makes of an exception is what is tested: the client must not raise it.
        self.client = Client(raise_request_exception=False)

    def get(self, path: str, /, **headers: str) -> Any:
        return self.client.get(path, headers=headers)

    def send(self, path: str, body: bytes, content_type: str = "application/json", **headers: str) -> Any:
        return self.client.generic("POST", path, body, content_type=content_type, headers=headers)


@pytest.fixture
def api(settings: Any) -> Api:
    settings.ROOT_URLCONF = "tests.api.urls"
    return Api()


@pytest.fixture
def dead_redis() -> Iterator[None]:
    with redis_is_away():
        yield


def assert_problem(response: Any, status: int, code: str) -> dict[str, Any]:
    """The response is a whole problem; gives its body."""
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert (body["status"], body["code"]) == (status, code)
    assert body["type"] == f"/api/problems#{code}"
    assert body["title"]
    assert body["detail"]
    assert body["request_id"] == response["X-Request-ID"]
    return body
