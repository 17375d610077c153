"""What a release does to payments that are under way: the web server ends when they have."""

import http.client
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from accounts.models import IdempotencyClaim
from tests.ledger.test_api import transfer_body
from tests.ledger.test_races import until_somebody_waits
from tests.support import factories
from tests.support.web import web_server
from wallet_project.embedded import ports


@pytest.mark.thorough
def test_payments_that_wait_for_each_other_are_answered_before_the_web_server_ends(
    db: None, app_dsn: str, owner_dsn: str, admin_dsn: str, tmp_path: Path
) -> None:
    source, destination = factories.make_account(funded=10_000), factories.make_account()
    assert source.customer is not None
    token = factories.session_token(source.customer.user)
    body = json.dumps(transfer_body(source, destination, 1))

    def pay(port: int, key: str) -> int:
        """The status; 0 when there was no answer."""
        connection = http.client.HTTPConnection(ports.LOOPBACK, port, timeout=20)
        headers = {"Content-Type": "application/json", "X-Session-Token": token, "Idempotency-Key": key}
        try:
            connection.request("POST", "/api/v1/transfers", body, headers)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()

    keys = [uuid4().hex for _ in range(12)]
    with web_server(app_dsn, tmp_path) as web, ThreadPoolExecutor(12) as threads:
        with psycopg.connect(owner_dsn) as owner:
            owner.execute("SELECT FROM accounts_account WHERE id = %s FOR UPDATE", [source.id])
            asked = [threads.submit(pay, web.port, key) for key in keys]
            until_somebody_waits(admin_dsn)
            web.process.terminate()
            owner.rollback()
        statuses = [each.result(timeout=30) for each in asked]
        assert web.process.wait(timeout=20) == 0
    made = set(IdempotencyClaim.objects.filter(key__in=keys).values_list("key", flat=True))
    assert {key for key, status in zip(keys, statuses, strict=True) if status == 202} == made
    assert made
