"""What the database writes into its log when it refuses something: what and when, and nothing of anybody."""

from pathlib import Path

import psycopg
import pytest

from tests.support.factories import PASSWORD, api_client, keyed, make_account
from tests.support.servers import TestServers

pytestmark = pytest.mark.django_db


def test_a_refused_request_leaves_no_personal_data_in_the_databases_log(servers: TestServers) -> None:
    account = make_account(funded=10_000)
    body = {
        "account": str(account.id),
        "amount": 100,
        "currency": "USD",
        "beneficiary": {"name": "Ada Unmistakable", "iban": "DE89370400440532013000"},
        "reference": "rent of flat 4711",
    }
    answer = api_client(account.customer).post("/api/v1/withdrawals", body, format="json", headers=keyed())
    assert answer.json()["code"] == "currency_mismatch"
    log = _log(servers)
    for personal in ("Unmistakable", "DE89370400440532013000", "flat 4711", PASSWORD):
        assert personal not in log


def test_a_violated_constraint_is_logged_by_its_name_alone(
    servers: TestServers, owner_connection: psycopg.Connection
) -> None:
    owner_connection.execute("CREATE TEMP TABLE person (email text CONSTRAINT one_person_an_email UNIQUE)")
    with pytest.raises(psycopg.errors.UniqueViolation, match="unmistakable"):
        owner_connection.execute("INSERT INTO person SELECT 'ada.unmistakable@example.com' FROM generate_series(1, 2)")
    log = _log(servers)
    assert "one_person_an_email" in log
    assert "ada.unmistakable" not in log


def _log(servers: TestServers) -> str:
    return Path(servers.home, "postgres", "postgres.log").read_text()
