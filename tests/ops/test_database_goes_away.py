"""What a restart or fail-over of PostgreSQL does to connections that persist (docs/decisions/0006)."""

import psycopg
from django.db import close_old_connections, connection

from tests.support import factories


def test_the_first_request_after_a_restart_says_when_to_repeat_it_and_the_next_is_well(
    db: None, admin_dsn: str
) -> None:
    client = factories.api_client(factories.make_customer())
    assert client.get("/api/v1/accounts").status_code == 200
    with psycopg.connect(admin_dsn, autocommit=True) as admin, connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        admin.execute("SELECT pg_terminate_backend(%s, 5000)", cursor.fetchone())

    body = {"currency": "EUR", "label": "Main"}
    key = factories.keyed()
    refused = client.post("/api/v1/accounts", body, headers=key)
    assert (refused.status_code, refused.json()["code"]) == (503, "database_unavailable")
    assert refused.headers["Retry-After"] == "1"
    close_old_connections()  # What ends each request; the test's client leaves it out.

    assert client.post("/api/v1/accounts", body, headers=key).status_code == 202
    assert len(client.get("/api/v1/accounts").json()["results"]) == 1
