"""What a request for money asks of others while its customer waits."""

from typing import Any

import pytest
import redis

from tests.support.factories import api_client, keyed, make_account

pytestmark = pytest.mark.django_db


def test_a_transfer_asks_the_database_once_and_redis_three_times(
    monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    source, destination = make_account(funded=1_000), make_account()
    client = api_client(source.customer)

    def transfer() -> None:
        body = {"source": str(source.id), "destination": str(destination.id), "amount": 1, "currency": "EUR"}
        assert client.post("/api/v1/transfers", body, headers=keyed()).status_code == 202

    transfer()  # Whose token it is has to be looked up once, and a counter and a flag begun.
    asked: list[str] = []
    real = redis.Redis.execute_command

    def counted(self: Any, *arguments: Any, **options: Any) -> Any:
        asked.append(str(arguments[0]))
        return real(self, *arguments, **options)

    transfer()  # From here on this process knows whom to ask for.
    monkeypatch.setattr(redis.Redis, "execute_command", counted)
    with django_assert_num_queries(1):
        transfer()
    # Who calls, how often he has, and whether the workers have been told.
    assert asked == ["MGET", "EVAL", "SET"]
