"""What a request for money asks of others while its customer waits."""

from typing import Any

import pytest
import redis

from tests.support.factories import api_client, keyed, make_account

pytestmark = pytest.mark.django_db


def test_a_transfer_asks_the_database_once_and_redis_who_calls_and_how_often(
    both_ways: None, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    source, destination = make_account(funded=1_000), make_account()
    client = api_client(source.customer)

    def transfer() -> None:
        body = {"source": str(source.id), "destination": str(destination.id), "amount": 1, "currency": "EUR"}
        assert client.post("/api/v1/transfers", body, format="json", headers=keyed()).status_code == 202

    transfer()  # Whose token it is has to be looked up once.
    asked: list[str] = []
    real = redis.Redis.execute_command

    def counted(self: Any, *arguments: Any, **options: Any) -> Any:
        asked.append(str(arguments[0]))
        return real(self, *arguments, **options)

    monkeypatch.setattr(redis.Redis, "execute_command", counted)
    with django_assert_num_queries(1):
        transfer()
    # At the door both in one question; and at most once in a moment, whether the workers have been told.
    scripts = 1 if request.node.callspec.params["both_ways"] == "door" else 2
    assert [command for command in asked if command != "SET"] == ["EVALSHA"] * scripts
    assert asked.count("SET") <= 1
