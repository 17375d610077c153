"""What is read through Redis is never served once it is known to be old, and a dead Redis breaks nothing."""

import socket
import time
from typing import Any
from uuid import uuid4

import pytest
from django.core.cache import cache, caches
from django.db import connection, transaction

from accounts import selectors
from tests.accounts.test_profile import BODY
from tests.support.cache import redis_is_away
from tests.support.factories import actor_of, api_client, keyed, make_account, make_customer, reject, verify
from wallet_project.utils import volatile
from wallet_project.utils.remember import forget, remembered

pytestmark = pytest.mark.django_db


def test_me_is_read_from_redis(django_assert_num_queries: Any) -> None:
    client = api_client(make_customer())
    first = client.get("/api/v1/me").json()
    with django_assert_num_queries(0):
        assert client.get("/api/v1/me").json() == first


def test_writing_a_profile_costs_so_many_queries(django_assert_num_queries: Any) -> None:
    client = api_client(make_customer(verified=False))
    client.get("/api/v1/me")
    # Between BEGIN and COMMIT: the customer, his version, how many he made, the new one, that it is his; then `me`.
    with django_assert_num_queries(8):
        client.put("/api/v1/me/profile", {**BODY, "first_name": "Augusta"})


def test_a_change_is_seen_at_once_whoever_makes_it() -> None:
    customer = make_customer(verified=False)
    client = api_client(customer)

    def status() -> str:
        return str(client.get("/api/v1/me").json()["kyc_status"])

    assert status() == "unverified"
    make_account(customer)
    assert status() == "pending"
    verify(customer)
    assert status() == "verified"
    client.put("/api/v1/me/profile", {**BODY, "first_name": "Augusta"})
    assert status() == "pending"
    reject(customer)
    assert status() == "rejected"
    customer.user.email = f"{uuid4().hex}@example.org"
    customer.user.save()
    assert client.get("/api/v1/me").json()["email"] == customer.user.email


def test_what_was_rolled_back_is_not_seen() -> None:
    customer = make_customer(verified=False)
    client = api_client(customer)
    before = client.get("/api/v1/me").json()
    with transaction.atomic():
        customer.kyc_reason = "rolled back"
        customer.save(update_fields=["kyc_reason"])
        transaction.set_rollback(True)
    assert client.get("/api/v1/me").json() == before


def test_a_slow_reader_does_not_bring_back_what_is_old() -> None:
    """It read the row, then the row was changed, then it writes what it read."""
    subject, row = uuid4(), {"state": "old"}

    def slow_load() -> dict[str, Any]:
        read = dict(row)
        row["state"] = "new"
        forget("test", subject)
        return read

    assert remembered("test", subject, slow_load) == {"state": "old"}
    assert remembered("test", subject, lambda: dict(row)) == {"state": "new"}
    assert remembered("test", subject, lambda: {"state": "not asked"}) == {"state": "new"}


def test_forgetting_waits_for_the_commit() -> None:
    subject = uuid4()
    remembered("test", subject, lambda: {"n": 1})
    with transaction.atomic():
        forget("test", subject)
        assert remembered("test", subject, lambda: {"n": 2}) == {"n": 1}, "others still see the old row, too"
    assert remembered("test", subject, lambda: {"n": 2}) == {"n": 2}


@pytest.fixture
def dead_redis(settings: Any) -> Any:
    """The cache at a port where nobody listens."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
    location = {**settings.CACHES["default"], "LOCATION": f"redis://127.0.0.1:{port}/0"}
    alive = caches["default"]
    caches["default"] = _cache_at(location)
    volatile.reset_breaker()
    yield
    caches["default"] = alive
    volatile.reset_breaker()


def _cache_at(options: dict[str, Any]) -> Any:
    from django.utils.module_loading import import_string

    parameters = {name: value for name, value in options.items() if name not in ("BACKEND", "LOCATION")}
    return import_string(options["BACKEND"])(options["LOCATION"], parameters)


@pytest.mark.usefixtures("dead_redis")
def test_a_dead_redis_slows_but_never_breaks_a_request() -> None:
    customer = make_customer(verified=False)
    client = api_client(customer)
    with pytest.raises(volatile.REDIS_FAILURES):
        cache.get("anything")
    started = time.monotonic()
    assert client.get("/api/v1/me").json()["kyc_status"] == "unverified"
    assert client.put("/api/v1/me/profile", {**BODY, "first_name": "Augusta"}).status_code == 200
    made = client.post("/api/v1/accounts", {"currency": "EUR"}, headers=keyed())
    assert made.status_code == 202
    assert client.get("/api/v1/me").json()["kyc_status"] == "pending"
    assert client.get(f"/api/v1/accounts/{made.json()['id']}").status_code == 200
    assert client.get("/api/v1/accounts").json()["results"][0]["id"] == made.json()["id"]
    assert time.monotonic() - started < 5


def test_system_accounts_are_looked_up_once(django_assert_num_queries: Any) -> None:
    selectors.system_account_id.cache_clear()
    with django_assert_num_queries(1):
        assert selectors.system_account_id("settlement", "EUR") == selectors.system_account_id("settlement", "EUR")
    assert selectors.system_account_id("fees", "EUR") != selectors.system_account_id("fees", "JPY")
    with pytest.raises(ValueError):
        selectors.system_account_id("nonsense", "EUR")


def test_the_people_of_several_users_are_one_query(django_assert_num_queries: Any) -> None:
    customer = make_customer()
    principal = actor_of(customer).principal_id
    connection.ensure_connection()
    with django_assert_num_queries(1):
        [found] = selectors.load_people([customer.user_id]).values()
        assert (found.user, found.principal_id, found.customer_id) == (customer.user, principal, customer.id)


def test_a_change_while_redis_is_away_is_made_up_for_when_it_is_back() -> None:
    customer = make_customer(verified=False)
    client = api_client(customer)
    assert client.get("/api/v1/me").json()["kyc_status"] == "unverified"
    with redis_is_away():
        make_account(customer)
    assert client.get("/api/v1/me").json()["kyc_status"] == "pending"
