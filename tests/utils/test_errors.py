"""What the database refuses becomes a domain error, by name, in one place. Against the real database."""

import psycopg
import pytest
from django.db import IntegrityError, OperationalError, connection

from wallet_project.utils import errors

_INSERT = "INSERT INTO auth_group (name) VALUES ('Ada Lovelace')"


class LabelTaken(errors.Conflict):
    code = "label_taken"
    message = "There is such a label."


class TooPoor(errors.Refused):
    code = "too_poor"
    message = "Not enough."


@pytest.fixture(autouse=True)
def _empty_registries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errors, "_by_constraint", {})
    monkeypatch.setattr(errors, "_by_sqlstate", {})


@pytest.fixture
def taken(db: None) -> str:
    """An SQL statement that a named constraint refuses."""
    with connection.cursor() as cursor:
        cursor.execute(_INSERT)
    return _INSERT


def run(statement: str) -> None:
    with errors.database_refusals(), connection.cursor() as cursor:
        cursor.execute(statement)


def test_a_named_constraint_is_a_domain_error(taken: str) -> None:
    errors.on_constraint("auth_group_name_key", LabelTaken)
    with pytest.raises(LabelTaken) as raised:
        run(taken)
    assert raised.value.facts == {}
    assert isinstance(raised.value.__cause__, IntegrityError)


def test_a_constraint_without_a_meaning_stays_what_it_is(taken: str) -> None:
    with pytest.raises(IntegrityError):
        run(taken)


def test_our_own_sqlstate_brings_its_facts(db: None) -> None:
    errors.on_sqlstate("WL042", TooPoor)
    with pytest.raises(TooPoor) as raised:
        run("""DO $$ BEGIN RAISE 'no' USING ERRCODE = 'WL042', DETAIL = '{"available": 3}'; END $$""")
    assert raised.value.facts == {"available": 3}


@pytest.mark.parametrize("detail", ["plain", "{cut", "[1]"])
def test_a_detail_that_is_no_object_is_left_out(db: None, detail: str) -> None:
    errors.on_sqlstate("WL042", TooPoor)
    with pytest.raises(TooPoor) as raised:
        run(f"DO $$ BEGIN RAISE 'no' USING ERRCODE = 'WL042', DETAIL = '{detail}'; END $$")
    assert raised.value.facts == {}


def test_the_drivers_own_errors_are_translated_too(app_dsn: str) -> None:
    errors.on_sqlstate("WL042", TooPoor)
    with psycopg.connect(app_dsn) as direct, pytest.raises(TooPoor), errors.database_refusals():
        direct.execute("DO $$ BEGIN RAISE 'no' USING ERRCODE = 'WL042'; END $$")


def test_a_statement_that_takes_too_long_is_busy(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = '20ms'")
    with pytest.raises(errors.DatabaseBusy):
        run("SELECT pg_sleep(5)")


def test_a_lock_that_is_not_given_is_busy(db: None, app_dsn: str) -> None:
    with psycopg.connect(app_dsn) as other:
        other.execute("SELECT pg_advisory_xact_lock(42)")
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '20ms'")
        with pytest.raises(errors.DatabaseBusy) as raised:
            run("SELECT pg_advisory_lock(42)")
    assert raised.value.retry_after == 1


def test_a_server_that_does_not_answer_is_unavailable() -> None:
    with pytest.raises(errors.DatabaseUnavailable), errors.database_refusals():
        psycopg.connect("postgresql://nobody@127.0.0.1:1/nothing", connect_timeout=1)


def test_a_session_that_was_ended_is_unavailable(db: None, admin_dsn: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        [pid] = cursor.fetchone()
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        admin.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    with pytest.raises(errors.DatabaseUnavailable):
        run("SELECT 1")


def test_a_fault_of_ours_stays_what_it_is(db: None) -> None:
    with pytest.raises(Exception, match="does not exist") as raised:
        run("SELECT nothing FROM nowhere")
    assert not isinstance(raised.value, errors.DomainError)
    assert errors.translate_database_error(ValueError()) is None


def test_a_name_has_one_meaning() -> None:
    errors.on_constraint("auth_group_name_key", LabelTaken)
    errors.on_constraint("auth_group_name_key", LabelTaken)
    with pytest.raises(ValueError, match="already means"):
        errors.on_constraint("auth_group_name_key", TooPoor)


@pytest.mark.parametrize("sqlstate", ["23505", "WL1", "wl001", ""])
def test_only_our_own_sqlstates_can_be_given_a_meaning(sqlstate: str) -> None:
    with pytest.raises(ValueError, match="not one of our own"):
        errors.on_sqlstate(sqlstate, TooPoor)


def test_an_operational_error_without_a_cause_is_unavailable() -> None:
    assert isinstance(errors.translate_database_error(OperationalError()), errors.DatabaseUnavailable)
