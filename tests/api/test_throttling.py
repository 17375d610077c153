"""How often one caller may call."""

from typing import Any

import pytest
from rest_framework.settings import api_settings

from tests.api.conftest import Api, assert_problem
from wallet_project.api import throttling
from wallet_project.api.throttling import parse_rate


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The throttle's clock; its first element is the time."""
    now = [1_000_000_020.0]
    monkeypatch.setattr(throttling.time, "time", lambda: now[0])
    return now


@pytest.fixture(autouse=True)
def rates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(api_settings.DEFAULT_THROTTLE_RATES, "three-a-minute", "3/min")


def test_the_fourth_call_is_told_when_to_come_back(api: Api, redis_url: str, clock: list[float]) -> None:
    for _ in range(3):
        assert api.get("/api/t/limited").status_code == 200
    response = api.get("/api/t/limited")
    assert_problem(response, 429, "too_many_requests")
    assert response["Retry-After"] == str(60 - 1_000_000_020 % 60)


def test_the_next_window_begins_at_nothing(api: Api, redis_url: str, clock: list[float]) -> None:
    for _ in range(4):
        api.get("/api/t/limited")
    clock[0] += 60
    assert api.get("/api/t/limited").status_code == 200


def test_another_address_has_its_own_count(api: Api, redis_url: str, clock: list[float]) -> None:
    for _ in range(4):
        api.get("/api/t/limited")
    assert api.client.get("/api/t/limited", REMOTE_ADDR="192.0.2.7").status_code == 200


def test_a_made_up_forwarded_address_is_not_believed(api: Api, redis_url: str, clock: list[float]) -> None:
    for number in range(3):
        api.get("/api/t/limited", x_forwarded_for=f"192.0.2.{number}")
    assert api.get("/api/t/limited", x_forwarded_for="192.0.2.9").status_code == 429


def test_without_redis_nobody_is_stopped(api: Api, dead_redis: None) -> None:
    assert {api.get("/api/t/limited").status_code for _ in range(10)} == {200}


def test_a_scope_without_a_rate_is_not_limited(api: Api, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(api_settings.DEFAULT_THROTTLE_RATES, "three-a-minute")
    assert {api.get("/api/t/limited").status_code for _ in range(5)} == {200}


@pytest.mark.parametrize(
    ("rate", "parsed"), [("600/min", (600, 60)), ("5/s", (5, 1)), ("10/hour", (10, 3600)), (None, (None, 0))]
)
def test_a_rate_is_read(rate: Any, parsed: Any) -> None:
    assert parse_rate(rate) == parsed
