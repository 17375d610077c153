"""Sign-up, login, second factors: allauth's app client, as our API sees it."""

import io
import json
import re
import socket
import threading
from typing import Any
from urllib.parse import unquote

import pytest
from allauth.account.models import EmailAddress
from allauth.core.internal import ratelimit
from allauth.mfa.totp.internal import auth as totp
from django.core import mail
from django.core.cache import caches
from django.test import Client
from django.utils.module_loading import import_string

from accounts.attempts import AttemptsCache
from accounts.models import Customer, Principal, StateChange, User
from tests.support.factories import PASSWORD, make_customer, make_user
from wallet_project.api.parsers import MAX_BODY_BYTES
from wallet_project.utils import volatile

pytestmark = pytest.mark.django_db

BASE = "/_allauth/app/v1"
NEW = {"email": "ada@example.com", "password": PASSWORD}


class App:
    """A mobile app: no cookies, and the token of the last answer that gave one."""

    def __init__(self, token: str | None = None) -> None:
        self.token = token

    def call(self, method: str, path: str, body: dict[str, Any] | None = None, **headers: str) -> Any:
        if self.token:
            headers["X-Session-Token"] = self.token
        client = Client(raise_request_exception=False)
        answer = client.generic(method, path, _json(body), content_type="application/json", headers=headers)
        if answer.headers.get("Content-Type") == "application/json":
            self.token = answer.json().get("meta", {}).get("session_token") or self.token
        return answer

    def sign_up(self, **changes: str) -> Any:
        return self.call("POST", f"{BASE}/auth/signup", {**NEW, **changes})

    def login(self, email: str = NEW["email"], password: str = PASSWORD, **headers: str) -> Any:
        return self.call("POST", f"{BASE}/auth/login", {"email": email, "password": password}, **headers)

    def me(self) -> Any:
        return self.call("GET", "/api/v1/me")


def _json(body: dict[str, Any] | None) -> bytes:
    import json

    return b"" if body is None else json.dumps(body).encode()


@pytest.fixture
def optional_verification(settings: Any) -> None:
    """As in demo and run mode."""
    settings.ACCOUNT_EMAIL_VERIFICATION = "optional"


@pytest.fixture
def mandatory_verification(settings: Any) -> None:
    """As in production."""
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"


@pytest.mark.usefixtures("optional_verification")
def test_who_signs_up_is_a_customer_and_goes_on_at_once() -> None:
    app = App()
    answer = app.sign_up(email="Ada@Example.com")
    assert answer.status_code == 200
    assert answer.json()["meta"]["is_authenticated"] is True
    assert answer.json()["data"]["user"]["email"] == "ada@example.com"
    user = User.objects.get(email="ada@example.com")
    customer = Customer.objects.get(user=user)
    assert Principal.objects.get(user=user).kind == "user"
    assert StateChange.objects.get(subject_id=customer.id).to_state == "unverified"
    me = app.me()
    assert (me.status_code, me.json()["id"]) == (200, str(customer.id))
    assert PASSWORD not in answer.content.decode()


@pytest.mark.usefixtures("mandatory_verification")
def test_with_mandatory_verification_the_mail_comes_first() -> None:
    app = App()
    answer = app.sign_up()
    assert answer.status_code == 401
    assert {"id": "verify_email", "is_pending": True} in answer.json()["data"]["flows"]
    assert app.me().status_code == 401
    assert app.login().status_code == 401, "a password alone does not help"
    key = re.search(r"/verify-email/(\S+)", str(mail.outbox[0].body))
    assert key is not None
    verified = app.call("POST", f"{BASE}/auth/email/verify", {"key": unquote(key[1])})
    assert verified.status_code in (200, 401)
    assert EmailAddress.objects.get(email=NEW["email"]).verified
    again = App()
    assert again.login().status_code == 200
    assert again.me().status_code == 200


@pytest.mark.usefixtures("mandatory_verification")
def test_a_second_sign_up_with_an_address_is_answered_like_the_first(settings: Any) -> None:
    settings.ACCOUNT_RATE_LIMITS = {"confirm_email": "2/m/key"}
    first, second = App().sign_up(), App().sign_up(password="quite another password")
    assert (first.status_code, _shape(first)) == (second.status_code, _shape(second))
    assert User.objects.filter(email=NEW["email"]).count() == 1
    assert len(mail.outbox) == 2, "the owner of the address hears of it"
    assert App().login(password="quite another password").status_code == 400


def _shape(answer: Any) -> Any:
    body = answer.json()
    body.get("meta", {}).pop("session_token", None)
    return body


@pytest.mark.usefixtures("optional_verification")
def test_where_addresses_are_not_verified_a_taken_one_is_refused() -> None:
    App().sign_up()
    refused = App().sign_up()
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["code"] == "email_taken"
    assert User.objects.filter(email=NEW["email"]).count() == 1


@pytest.mark.parametrize("verification", ["optional", "mandatory"])
def test_two_sign_ups_with_one_address_at_the_same_moment_make_one_customer(
    settings: Any, verification: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both find the address free; the database lets one of them have it."""
    settings.ACCOUNT_EMAIL_VERIFICATION = verification
    barrier = threading.Barrier(2)
    original = User.save

    def save_together(user: User, *args: Any, **kwargs: Any) -> None:
        if user._state.adding:
            barrier.wait(timeout=10)
        original(user, *args, **kwargs)

    monkeypatch.setattr(User, "save", save_together)
    answers: list[Any] = []

    def sign_up() -> None:
        from django.db import connection

        try:
            answers.append(App().sign_up())
        finally:
            connection.close()

    threads = [threading.Thread(target=sign_up) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    expected = [200, 400] if verification == "optional" else [401, 401]
    assert sorted(answer.status_code for answer in answers) == expected
    assert Customer.objects.count() == User.objects.count() == 1


@pytest.mark.usefixtures("mandatory_verification")
def test_a_dead_mail_server_does_not_undo_a_sign_up(settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", _unused_port()
    assert App().sign_up().status_code == 401
    assert Customer.objects.count() == 1


@pytest.mark.usefixtures("optional_verification")
@pytest.mark.parametrize(
    "changes",
    [
        {"email": "not an address"},
        {"email": ""},
        {"password": "short"},
        {"password": "password1234"},
        {"password": ""},
        {"email": "a\x00b@example.com"},
    ],
)
def test_a_sign_up_that_cannot_be_is_refused(changes: dict[str, str]) -> None:
    answer = App().sign_up(**changes)
    assert answer.status_code == 400
    assert not User.objects.exists()


@pytest.mark.usefixtures("optional_verification")
def test_a_wrong_password_says_the_same_as_an_unknown_address() -> None:
    make_customer("known@example.com")
    wrong = App().login("known@example.com", "not the password")
    unknown = App().login("unknown@example.com", "not the password")
    assert (wrong.status_code, wrong.json()) == (unknown.status_code, unknown.json()) == (400, wrong.json())


@pytest.mark.usefixtures("optional_verification")
def test_logout_kills_the_token_at_once() -> None:
    app = App()
    app.sign_up()
    assert app.me().status_code == 200
    assert app.call("DELETE", f"{BASE}/auth/session").status_code == 401
    dead = app.me()
    assert (dead.status_code, dead.json()["code"]) == (401, "session_invalid")


@pytest.mark.usefixtures("optional_verification")
def test_a_new_password_ends_the_other_sessions() -> None:
    app, other = App(), App()
    app.sign_up()
    assert other.login().status_code == 200
    assert other.me().status_code == 200
    changed = app.call(
        "POST",
        f"{BASE}/account/password/change",
        {"current_password": PASSWORD, "new_password": "another fine password"},
    )
    assert changed.status_code == 200
    assert app.me().status_code == 200
    assert other.me().status_code == 401


@pytest.mark.usefixtures("optional_verification")
def test_a_deactivated_user_is_out_at_once() -> None:
    app = App()
    app.sign_up()
    assert app.me().status_code == 200
    user = User.objects.get()
    user.is_active = False
    user.save()
    assert app.me().status_code == 401
    assert App().login().status_code in (401, 403)


@pytest.mark.usefixtures("optional_verification")
def test_a_forgotten_password_is_reset_by_mail_and_unknown_addresses_are_not_told() -> None:
    App().sign_up()
    mail.outbox.clear()
    known = App().call("POST", f"{BASE}/auth/password/request", {"email": NEW["email"]})
    unknown = App().call("POST", f"{BASE}/auth/password/request", {"email": "nobody@example.com"})
    assert (known.status_code, known.json()) == (unknown.status_code, unknown.json())
    key = re.search(r"/reset-password/(\S+)", str(mail.outbox[0].body))
    assert key is not None
    body = {"key": key[1], "password": "a brand new password"}
    assert App().call("POST", f"{BASE}/auth/password/reset", body).status_code in (200, 401)
    assert App().login(password="a brand new password").status_code == 200


@pytest.mark.usefixtures("optional_verification")
def test_a_second_factor_is_asked_for_once_it_is_set_up() -> None:
    app = App()
    app.sign_up()
    # A second factor is set up for an address that is known to be one's own.
    EmailAddress.objects.update(verified=True)
    again = {"password": PASSWORD}
    assert app.call("POST", f"{BASE}/auth/reauthenticate", again).status_code == 200, "a change so grave asks once more"
    offered = app.call("GET", f"{BASE}/account/authenticators/totp")
    assert offered.status_code == 404
    secret = offered.json()["meta"]["secret"]
    made = app.call("POST", f"{BASE}/account/authenticators/totp", {"code": _code(secret)})
    assert made.status_code == 200, made.json()

    other = App()
    half = other.login()
    assert half.status_code == 401
    assert any(flow["id"] == "mfa_authenticate" and flow["is_pending"] for flow in half.json()["data"]["flows"])
    assert other.me().status_code == 401, "half a login opens nothing"
    assert other.call("POST", f"{BASE}/auth/2fa/authenticate", {"code": "000000"}).status_code == 400
    codes = app.call("GET", f"{BASE}/account/authenticators/recovery-codes").json()
    one = codes["data"]["unused_codes"][0]
    assert other.call("POST", f"{BASE}/auth/2fa/authenticate", {"code": one}).status_code == 200
    assert other.me().status_code == 200


def _code(secret: str) -> str:
    return next(
        totp.format_hotp_value(totp.hotp_value(secret, counter)) for counter in totp.yield_hotp_counters_from_time()
    )


@pytest.mark.usefixtures("optional_verification")
def test_guessing_a_password_is_limited_whatever_host_is_called() -> None:
    make_customer("known@example.com")
    for attempt in range(5):
        guess = App().login("known@example.com", f"guess number {attempt}", Host=f"localhost:{8000 + attempt}")
        assert guess.json()["errors"][0]["code"] == "email_password_mismatch"
    stopped = App().login("known@example.com", PASSWORD, Host="localhost:9000")
    assert stopped.status_code == 400
    assert stopped.json()["errors"][0]["code"] == "too_many_login_attempts"


@pytest.mark.usefixtures("optional_verification")
def test_sign_ups_from_one_address_are_limited(settings: Any) -> None:
    settings.ACCOUNT_RATE_LIMITS = {"signup": "2/m/ip"}
    statuses = [App().sign_up(email=f"number{number}@example.com").status_code for number in range(3)]
    assert statuses == [200, 200, 429]


def test_allauth_still_counts_in_the_cache_that_we_give_it() -> None:
    assert isinstance(ratelimit.cache, AttemptsCache)
    assert isinstance(totp.cache, AttemptsCache)


@pytest.fixture
def dead_redis(settings: Any) -> Any:
    options = settings.CACHES["default"]
    parameters = {name: value for name, value in options.items() if name not in ("BACKEND", "LOCATION")}
    alive = caches["default"]
    caches["default"] = import_string(options["BACKEND"])(f"redis://127.0.0.1:{_unused_port()}/0", parameters)
    volatile.reset_breaker()
    yield
    caches["default"] = alive
    volatile.reset_breaker()


@pytest.mark.usefixtures("optional_verification", "dead_redis")
def test_without_redis_people_sign_up_log_in_and_out_and_guessing_stays_limited() -> None:
    app = App()
    assert app.sign_up(email="without-redis@example.com").status_code == 200
    assert app.me().status_code == 200
    assert app.call("DELETE", f"{BASE}/auth/session").status_code == 401
    assert app.me().status_code == 401
    assert App().login("without-redis@example.com").status_code == 200
    for attempt in range(5):
        App().login("without-redis@example.com", f"guess number {attempt}")
    stopped = App().login("without-redis@example.com")
    assert stopped.json()["errors"][0]["code"] == "too_many_login_attempts"


def test_staff_log_in_with_their_address_too() -> None:
    make_user("officer@wallet.example", is_staff=True)
    client = Client()
    assert client.login(username="officer@wallet.example", password=PASSWORD)
    assert not client.login(username="officer@wallet.example", password="wrong")


def _unused_port() -> int:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        return int(nobody.getsockname()[1])


@pytest.mark.parametrize("path", ["auth/signup", "auth/login", "auth/password/request", "auth/email/verify"])
@pytest.mark.parametrize(
    "body",
    [
        b'{"email":"a@example.com","password":"\\ud800 correct horse"}',
        b'{"email":"a\\u0000@example.com","password":"correct horse"}',
        b'{"email":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
        b'{"email":' + b"9" * 5_000 + b"}",
        b'{"email":"a@example.com","email":"b@example.com"}',
        b"\xff\xfe",
        b"null",
        b"[]",
        b"x" * 70_000,
    ],
)
def test_a_body_that_no_two_readers_read_alike_is_refused(path: str, body: bytes) -> None:
    answer = Client(raise_request_exception=False).post(f"{BASE}/{path}", body, content_type="application/json")
    assert_problem(answer, 413 if len(body) > MAX_BODY_BYTES else 400)


def test_a_chunked_body_is_read_like_any_other() -> None:
    body = json.dumps({"email": NEW["email"], "password": "short"}).encode()
    answer = Client().post(
        f"{BASE}/auth/signup",
        content_type="application/json",
        CONTENT_LENGTH="",
        HTTP_TRANSFER_ENCODING="chunked",
        **{"wsgi.input": io.BytesIO(body), "wsgi.input_terminated": True},
    )
    assert [error["code"] for error in answer.json()["errors"]] == ["password_too_short"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "auth/nothing", 404), ("GET", "auth/login", 405), ("GET", "auth/provider/token", 404)],
)
@pytest.mark.parametrize("debug", [False, True])
def test_what_allauth_has_no_words_for_is_told_as_the_api_tells_it(
    method: str, path: str, status: int, debug: bool, settings: Any
) -> None:
    settings.DEBUG = debug
    answer = Client(raise_request_exception=False).generic(method, f"{BASE}/{path}")
    assert_problem(answer, status)
    assert ("Allow" in answer) == (status == 405)


def test_who_asks_too_often_is_told_when_to_ask_again() -> None:
    app = App()
    answers = [app.call("POST", f"{BASE}/auth/password/request", {"email": NEW["email"]}) for _ in range(7)]
    assert (answers[-1].status_code, answers[-1]["Retry-After"]) == (429, "60")


def assert_problem(answer: Any, status: int) -> None:
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")
    assert answer.json()["request_id"] == answer["X-Request-ID"]


@pytest.mark.parametrize("token", ["x" * 32, "\x00", "é", "a" * 5_000, "../x"])
def test_a_token_that_is_none_opens_nothing(token: str) -> None:
    client = Client(raise_request_exception=False)
    assert client.get(f"{BASE}/auth/session", headers={"X-Session-Token": token}).status_code == 410
    assert client.get("/api/v1/me", headers={"X-Session-Token": token}).status_code == 401
