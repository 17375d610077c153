"""What operators ask."""

from pathlib import Path
from typing import Any

import pytest
import redis
from django.test import override_settings

from tests.api.conftest import Api, assert_problem
from tests.support.cache import redis_is_away
from wallet_project import health
from wallet_project.api.defaults import caches
from wallet_project.embedded.valkey import ValkeyServer


@pytest.fixture(autouse=True)
def _migrations_not_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_migrations_seen_complete", False)


def test_the_process_lives_without_anybody(api: Api, dead_redis: None) -> None:
    response = api.get("/healthz")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


def test_with_everything_there_it_is_ready(api: Api, db: None) -> None:
    response = api.get("/readyz")
    assert (response.status_code, response.json()) == (
        200,
        {"status": "ok", "checks": {"database": "ok", "migrations": "ok", "redis": "ok"}},
    )
    assert api.get("/readyz").json()["status"] == "ok"


def test_without_redis_it_is_degraded_and_ready(api: Api, db: None) -> None:
    with redis_is_away():
        response = api.get("/readyz")
    assert (response.status_code, response.json()["status"]) == (200, "degraded")
    assert response.json()["checks"]["redis"] == "unreachable"


def test_with_a_redis_that_takes_nothing_it_is_degraded_and_ready(api: Api, db: None, tmp_path: Path) -> None:
    server = ValkeyServer(tmp_path / "valkey", throwaway=True)
    server.start()
    try:
        with redis.Redis.from_url(server.url()) as client, override_settings(CACHES=caches(server.url())):
            assert api.get("/readyz").json()["status"] == "ok"
            client.config_set("maxmemory", "100kb")
            response = api.get("/readyz")
    finally:
        server.stop()
    assert (response.status_code, response.json()["status"]) == (200, "degraded")


def test_without_the_database_it_is_not_ready(api: Api, db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.db import connection

    connection.close()
    monkeypatch.setitem(connection.settings_dict, "PORT", 1)
    response = api.get("/readyz")
    assert (response.status_code, response.json()["status"]) == (503, "unavailable")
    assert response.json()["checks"] == {"database": "unreachable", "migrations": "unknown", "redis": "ok"}


def test_with_a_migration_missing_it_is_not_ready(api: Api, db: None, owner_connection: Any) -> None:
    owner_connection.execute(
        "DELETE FROM django_migrations WHERE id = (SELECT max(id) FROM django_migrations WHERE app = 'ledger')"
    )
    response = api.get("/readyz")
    assert (response.status_code, response.json()["checks"]["migrations"]) == (503, "unapplied")


def test_metrics_are_read_from_this_machine(api: Api, db: None) -> None:
    response = api.get("/metrics")
    assert response.status_code == 200
    assert response["Content-Type"].startswith("text/plain")
    for name in ("django_http_requests_latency_seconds", "wallet_retries_total", "wallet_oldest_waiting_seconds"):
        assert name in response.content.decode()


def test_retries_are_there_before_the_first(api: Api, db: None) -> None:
    lines = api.get("/metrics").content.decode().splitlines()
    for stage in ("rail", "bank_event", "identity", "screening"):
        assert any(line.startswith(f'wallet_retries_total{{stage="{stage}"}}') for line in lines)


@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8::1", "", "nonsense"])
def test_metrics_are_not_read_from_elsewhere(api: Api, address: str) -> None:
    assert_problem(api.client.get("/metrics", REMOTE_ADDR=address), 403, "not_allowed")


def test_metrics_are_not_read_through_a_proxy_on_this_machine(api: Api) -> None:
    assert_problem(api.get("/metrics", x_forwarded_for="192.0.2.7"), 403, "not_allowed")


def test_with_a_token_set_only_the_token_reads(api: Api, db: None, settings: Any) -> None:
    settings.METRICS_TOKEN = "of-the-house"
    assert_problem(api.get("/metrics"), 403, "not_allowed")
    assert_problem(api.get("/metrics", authorization="Bearer of-another"), 403, "not_allowed")
    response = api.client.get("/metrics", REMOTE_ADDR="192.0.2.7", headers={"authorization": "Bearer of-the-house"})
    assert response.status_code == 200


def test_only_reading_is_possible(api: Api) -> None:
    response = api.client.post("/healthz")
    assert_problem(response, 405, "method_not_allowed")
    assert response["Allow"] == "GET, HEAD"
