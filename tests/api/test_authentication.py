"""Whose token it is: from the cache when that is right, from the database when in doubt, never from the past."""

import json
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Principal, User
from accounts.selectors import load_people
from tests.api.conftest import Api, assert_problem
from tests.support.cache import redis_is_away
from wallet_project.utils import identity, volatile
from wallet_project.utils.identity import Person

PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def _login_at_once(settings: Any) -> None:
    settings.ACCOUNT_EMAIL_VERIFICATION = "optional"
    settings.ACCOUNT_RATE_LIMITS = False


@pytest.fixture
def user(db: None, redis_url: str) -> User:
    return User.objects.create_user("ada@example.com", PASSWORD)


def allauth(method: str, path: str, body: dict[str, Any] | None = None, token: str = "") -> Any:
    """A call of the login API, over HTTP as an app makes it."""
    headers = {"X-Session-Token": token} if token else {}
    return Client().generic(
        method,
        f"/_allauth/app/v1/{path}",
        json.dumps(body) if body else b"",
        content_type="application/json",
        headers=headers,
    )


def log_in(password: str = PASSWORD) -> str:
    response = allauth("POST", "auth/login", {"email": "ada@example.com", "password": password})
    assert response.status_code == 200, response.content
    return str(response.json()["meta"]["session_token"])


@pytest.fixture
def token(api: Api, user: User) -> str:
    return log_in()


@pytest.fixture
def who(api: Api) -> Callable[[str], Any]:
    return lambda token: api.get("/api/t/who", x_session_token=token)


Who = Callable[[str], Any]


def test_a_token_names_its_principal(who: Who, user: User, token: str) -> None:
    principal = Principal.objects.get(user=user)
    assert who(token).json() == {
        "user": str(user.pk),
        "principal": str(principal.pk),
        "customer": None,
        "kind": "user",
    }


def test_the_second_request_asks_the_database_nothing(who: Who, token: str) -> None:
    first = who(token).json()
    with CaptureQueriesContext(connection) as queries:
        assert who(token).json() == first
    assert [query["sql"] for query in queries] == []


def test_without_a_token_one_is_asked_to_log_in(api: Api, db: None) -> None:
    response = api.get("/api/t/who")
    assert_problem(response, 401, "not_authenticated")
    assert response["WWW-Authenticate"]


@pytest.mark.parametrize("token", ["x", "a" * 32, "A" * 32, "a" * 4000, "ż" * 32, "a" * 31 + "'"])
def test_a_token_that_never_was_is_refused(who: Who, db: None, redis_url: str, token: str) -> None:
    response = who(token)
    assert_problem(response, 401, "session_invalid")
    assert response["WWW-Authenticate"]


def test_a_cookie_is_not_a_token(api: Api, user: User) -> None:
    api.client.force_login(user)
    assert_problem(api.get("/api/t/who"), 401, "not_authenticated")


def test_logout_ends_the_token_at_once(who: Who, token: str) -> None:
    assert who(token).status_code == 200
    assert allauth("DELETE", "auth/session", token=token).status_code == 401
    assert_problem(who(token), 401, "session_invalid")


def test_a_changed_password_ends_the_other_sessions_at_once(who: Who, user: User, token: str) -> None:
    other = log_in()
    assert who(token).status_code == who(other).status_code == 200
    body = {"current_password": PASSWORD, "new_password": "another horse battery"}
    response = allauth("POST", "account/password/change", body, token)
    assert response.status_code == 200, response.content
    assert_problem(who(other), 401, "session_invalid")
    assert_problem(who(token), 401, "session_invalid")
    assert who(response.json()["meta"]["session_token"]).status_code == 200


def test_a_deactivated_user_is_out_at_once(who: Who, user: User, token: str) -> None:
    assert who(token).status_code == 200
    user.is_active = False
    user.save()
    assert_problem(who(token), 401, "session_invalid")


def test_an_update_that_sends_no_signal_is_told_of(who: Who, user: User, token: str) -> None:
    assert who(token).status_code == 200
    User.objects.filter(pk=user.pk).update(is_active=False)
    identity.forget_user(user.pk)
    assert_problem(who(token), 401, "session_invalid")


def test_a_session_that_somebody_else_ends_is_over_at_once(who: Who, token: str) -> None:
    assert who(token).status_code == 200
    Session.objects.all().delete()
    assert_problem(who(token), 401, "session_invalid")


def test_a_change_that_is_rolled_back_changes_nothing(who: Who, user: User, token: str) -> None:
    with transaction.atomic():
        user.is_active = False
        user.save()
        transaction.set_rollback(True)
    assert who(token).status_code == 200


def test_a_reader_that_looked_before_the_logout_does_not_bring_the_session_back(
    who: Who, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def log_out_meanwhile(users: Collection[UUID]) -> Mapping[UUID, Person]:
        Session.objects.all().delete()
        return load_people(users)

    # The reader has seen the session, and writes what it saw after the logout.
    monkeypatch.setattr(identity, "_loader", lambda: log_out_meanwhile)
    assert who(token).status_code == 200
    monkeypatch.undo()
    assert_problem(who(token), 401, "session_invalid")


def test_a_reader_that_looked_before_the_deactivation_does_not_bring_the_user_back(
    who: Who, user: User, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deactivate_meanwhile(users: Collection[UUID]) -> Mapping[UUID, Person]:
        found = load_people(users)
        user.is_active = False
        user.save()
        return found

    monkeypatch.setattr(identity, "_loader", lambda: deactivate_meanwhile)
    assert who(token).status_code == 200
    monkeypatch.undo()
    assert_problem(who(token), 401, "session_invalid")


def test_an_expired_session_is_refused(who: Who, token: str) -> None:
    Session.objects.update(expire_date="2001-01-01T00:00:00Z")
    assert_problem(who(token), 401, "session_invalid")


def test_an_entry_lives_no_longer_than_its_session(who: Who, token: str) -> None:
    Session.objects.update(expire_date=timezone.now() + timedelta(seconds=5))
    assert who(token).status_code == 200
    assert 0 < cache.ttl(identity._token_key(token)) <= identity.ENTRY_SECONDS


def test_a_token_is_not_to_be_read_in_redis(who: Who, token: str) -> None:
    who(token)
    keys = [str(key) for key in cache.keys("*")]
    assert any("identity:token:" in key for key in keys)
    assert not any(token in key for key in keys)


def test_without_redis_the_database_answers(who: Who, token: str) -> None:
    with redis_is_away():
        assert who(token).status_code == 200
        assert who(token).status_code == 200


def test_a_logout_while_redis_is_away_is_made_up_for_when_it_is_back(who: Who, token: str) -> None:
    assert who(token).status_code == 200
    with redis_is_away():
        Session.objects.all().delete()
        assert_problem(who(token), 401, "session_invalid")
    volatile.reset_breaker()
    assert_problem(who(token), 401, "session_invalid")


def test_a_half_finished_login_is_no_login(who: Who, user: User, settings: Any) -> None:
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    response = allauth("POST", "auth/login", {"email": "ada@example.com", "password": PASSWORD})
    assert response.status_code == 401
    assert_problem(who(response.json()["meta"]["session_token"]), 401, "session_invalid")
