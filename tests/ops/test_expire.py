"""What may go does when its time is over, and nothing else; what was under seal goes with its salt."""

from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.utils import timezone

from compliance.models import Backtest, KycCheck
from ledger.models import InboundEvent, RailTransfer
from tests.chain import chains
from tests.support import factories
from wallet_project import expiry
from wallet_project.chain.declarations import declared
from wallet_project.tasks import expire as nightly
from wallet_project.utils import retention
from wallet_project.utils.ids import uuid7

pytestmark = pytest.mark.django_db

NOW = timezone.now()
OLD = NOW - timedelta(days=100)
YOUNG = NOW - timedelta(days=20)


@pytest.fixture(autouse=True)
def thirty_days(settings: Any) -> None:
    settings.KEEP_DAYS = dict.fromkeys(settings.KEEP_DAYS, 30)


@pytest.fixture
def unguarded(admin_dsn: str) -> Iterator[psycopg.Connection]:
    """Writes rows as if they had come about long ago."""
    with psycopg.connect(admin_dsn, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        yield connection


def said(**options: Any) -> str:
    out = StringIO()
    call_command("expire", stdout=out, **options)
    return out.getvalue()


def bank_transfers(connection: psycopg.Connection) -> None:
    for key, ended in (("old", OLD), ("young", YOUNG), ("not ended", None)):
        connection.execute(
            "INSERT INTO ledger_railtransfer (id, transaction_id, direction, key, status, attempts, bank_reference,"
            " reason, answers, ended_at)"
            " VALUES (%s, %s, 'out', %s, 'confirmed', 1, 'B1', '', '[{\"iban\": \"DE1\"}]', %s)",
            [uuid7(), uuid4(), key, ended],
        )


def identity_checks(connection: psycopg.Connection, customer: Any) -> None:
    for reason, decided in (("first", OLD), ("newest", OLD + timedelta(days=1))):
        connection.execute(
            "INSERT INTO compliance_kyccheck (id, customer_id, profile_id, level, status, attempts, decided_by, reason,"
            " decided_at, provider_reference, answers)"
            " VALUES (%s, %s, %s, 'basic', 'approved', 1, 'provider', %s, %s, 'P1', '[{\"name\": \"Ada\"}]')",
            [uuid7(), customer.id, customer.profile_id, reason, decided],
        )


def test_what_has_been_kept_for_its_time_goes_and_nothing_else_does(
    unguarded: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "LOOKED_AT", 2)  # Several statements each.
    account = factories.make_account(funded=5_000)
    assert account.customer is not None
    bank_transfers(unguarded)
    identity_checks(unguarded, account.customer)
    for number, ended in enumerate((OLD, YOUNG)):
        unguarded.execute(
            "INSERT INTO compliance_backtest (id, version_id, since, until, status, asked_by_id, attempts, replayed,"
            " report, error, ended_at) VALUES (%s, %s, %s, %s, 'done', %s, 1, 7, '{\"hits\": 1}', %s, %s)",
            [uuid7(), uuid4(), OLD, NOW, uuid4(), str(number), ended],
        )
    for key, expires in (("old", OLD), ("open", NOW + timedelta(days=1))):
        Session.objects.create(session_key=key, session_data="", expire_date=expires)
        unguarded.execute(
            "INSERT INTO usersessions_usersession (user_id, created_at, ip, last_seen_at, session_key, user_agent,"
            " data) VALUES (%s, %s, '192.0.2.1', %s, %s, 'browser', '{}')",
            [account.customer.user_id, OLD, OLD, key],
        )
    due = {line.split()[0]: line.split()[1] for line in said(dry_run=True).splitlines()}
    assert due == {
        "sessions": "1", "devices": "0", "bank_answers": "1", "identity_answers": "1", "backtest_reports": "1",
        "bank_messages": "0", "identity_messages": "0",
    }  # fmt: skip
    assert Session.objects.count() == 2

    nightly()

    assert set(RailTransfer.objects.values_list("key", "answers__0__iban")) == {
        ("old", None), ("young", "DE1"), ("not ended", "DE1"),
    }  # fmt: skip
    assert set(KycCheck.objects.values_list("reason", "answers__0__name")) == {("first", None), ("newest", "Ada")}
    assert set(Backtest.objects.values_list("error", "report__hits", "replayed")) == {("0", None, 7), ("1", 1, 7)}
    assert list(Session.objects.values_list("session_key", flat=True)) == ["open"]
    assert list(UserSession.objects.values_list("session_key", flat=True)) == ["open"]
    account.refresh_from_db()
    assert account.cleared == 5_000
    assert all(line.split()[1] == "0" for line in said(dry_run=True).splitlines())


def test_what_a_bank_said_goes_with_its_salt_and_the_chain_still_verifies(owner_dsn: str, settings: Any) -> None:
    for event, processed, next_at in (("old", OLD, None), ("young", YOUNG, None), ("stuck", OLD, NOW)):
        InboundEvent.objects.create(
            event_id=event, kind="payment", payload={"iban": "DE1"}, processed_at=processed, next_at=next_at
        )
    chains.seal_all()
    payloads = InboundEvent.objects.order_by("id").values_list("payload", flat=True)

    settings.DATABASE_OWNER_URL = ""
    assert "the owner's" in said(), "the application has no right to a salt"
    nightly()
    assert list(payloads.all()) == [{"iban": "DE1"}] * 3

    settings.DATABASE_OWNER_URL = owner_dsn
    assert "1 blanked after 30 days: what the bank told us" in said()
    assert list(payloads.all()) == [{}, {"iban": "DE1"}, {"iban": "DE1"}]
    found = chains.result()
    assert found.holds
    assert found.figures["erased_texts"] == 1


def test_what_is_to_be_kept_for_good_is_kept_and_what_takes_too_long_goes_on_the_next_night(settings: Any) -> None:
    for number in range(3):
        Session.objects.create(session_key=str(number), session_data="", expire_date=OLD)
    settings.KEEP_DAYS = {**settings.KEEP_DAYS, "sessions": None}
    assert "sessions            kept for good" in said()
    assert Session.objects.count() == 3

    settings.KEEP_DAYS = {**settings.KEEP_DAYS, "sessions": 30}
    stopped = list(expiry.expire_as_application(now=NOW, go_on=lambda: False))
    assert not any(each.complete for each in stopped)
    assert Session.objects.count() == 3
    nightly()
    assert Session.objects.count() == 0


def test_each_kind_has_its_days_and_none_is_of_money_states_or_decisions(settings: Any) -> None:
    kinds = retention.declared(settings.RETENTION)
    assert {each.name for each in kinds} == settings.KEEP_DAYS.keys()
    under_seal = {table.table: table for table in declared()}
    for each in kinds:
        assert each.sealed == (each.table in under_seal), each.name
        if each.sealed:
            assert each.blank is not None
            assert each.blank[0] in under_seal[each.table].salted, "its digest stays"
    deleted = {each.table for each in kinds if each.blank is None}
    assert deleted == {"django_session", "usersessions_usersession"}
