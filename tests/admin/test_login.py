"""Staff log in with e-mail and password; guessing is slowed down; demonstrations get their own staff."""

import io
import json
from collections.abc import Callable

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from accounts.models import User
from tests.support.factories import PASSWORD, make_customer
from wallet_project.backoffice.login import ATTEMPTS_OF_ADDRESS_ON_ACCOUNT, ATTEMPTS_ON_ACCOUNT
from wallet_project.backoffice.site import STAFF_SESSION_SECONDS

Staff = Callable[[str], User]
OFFICER = "officer@wallet.example"


def attempt(client: Client, email: str, password: str, *, address: str = "192.0.2.1") -> int:
    return client.post("/admin/login/", {"username": email, "password": password}, REMOTE_ADDR=address).status_code


def test_an_officer_logs_in_and_his_cookie_is_for_the_browser_alone(staff: Staff) -> None:
    staff("Officer")
    client = Client()
    page = client.get("/admin/login/")
    assert "'unsafe-eval'" in page.headers["Content-Security-Policy"]
    answer = client.post("/admin/login/", {"username": OFFICER.upper(), "password": PASSWORD})
    assert answer.headers["Location"] == "/admin/"
    assert client.get("/admin/").status_code == 200
    cookie = client.cookies["sessionid"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert cookie["max-age"] == STAFF_SESSION_SECONDS


def test_a_customer_does_not_get_in(db: None) -> None:
    customer = make_customer()
    client = Client()
    assert attempt(client, customer.user.email, PASSWORD) == 200
    assert client.get("/admin/").status_code == 302


def test_who_guesses_too_often_waits_even_with_the_right_password(staff: Staff) -> None:
    staff("Officer")
    for _ in range(ATTEMPTS_OF_ADDRESS_ON_ACCOUNT):
        assert attempt(Client(), OFFICER, "wrong") == 200
    assert attempt(Client(), OFFICER, PASSWORD) == 200
    # From where he always logs in, the officer still does.
    assert attempt(Client(), OFFICER, PASSWORD, address="198.51.100.7") == 302


def test_many_addresses_together_are_slowed_down_too(staff: Staff) -> None:
    staff("Officer")
    for number in range(ATTEMPTS_ON_ACCOUNT):
        attempt(Client(), OFFICER, "wrong", address=f"192.0.2.{number}")
    assert attempt(Client(), OFFICER, PASSWORD, address="198.51.100.7") == 200


def test_demo_staff_get_new_passwords_each_time(db: None) -> None:
    def run() -> list[dict[str, str]]:
        out = io.StringIO()
        call_command("create_demo_staff", "--force", "--json", stdout=out)
        made: list[dict[str, str]] = json.loads(out.getvalue())
        return made

    first, second = run(), run()
    assert [login["role"] for login in second] == ["Officer", "Senior officer", "Auditor", "Administrator"]
    for before, after in zip(first, second, strict=True):
        user = User.objects.get(email=after["email"])
        assert user.check_password(after["password"])
        assert not user.check_password(before["password"])
        assert [group.name for group in user.groups.all()] == [after["role"]]
        assert attempt(Client(), after["email"], after["password"]) == 302
    assert not User.objects.filter(is_superuser=True).exists()


def test_demo_staff_are_not_for_production(db: None) -> None:
    with pytest.raises(CommandError, match="DEBUG is off"):
        call_command("create_demo_staff")
    make_customer("auditor@wallet.example")
    with pytest.raises(CommandError, match="customer"):
        call_command("create_demo_staff", "--force")
    assert not User.objects.filter(is_staff=True).exists()


def test_a_session_from_the_customers_door_does_not_open_this_one(staff: Staff) -> None:
    staff("Senior officer")
    body = {"email": "senior@wallet.example", "password": PASSWORD}
    answer = Client().post("/_allauth/app/v1/auth/login", body, content_type="application/json")
    client = Client()
    client.cookies["sessionid"] = answer.json()["meta"]["session_token"]
    assert client.get("/admin/").status_code == 302
    assert attempt(client, body["email"], "wrong") == 200
    assert client.get("/admin/").status_code == 302
    assert attempt(client, body["email"], PASSWORD) == 302
    assert client.get("/admin/").status_code == 200


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:x()"])
def test_a_login_never_ends_elsewhere(staff: Staff, elsewhere: str) -> None:
    staff("Officer")
    answer = Client().post("/admin/login/", {"username": OFFICER, "password": PASSWORD, "next": elsewhere})
    assert answer.headers["Location"] == "/admin/"
    listed = "/admin/compliance/case/"
    answer = Client().post(f"/admin/login/?next={listed}", {"username": OFFICER, "password": PASSWORD})
    assert answer.headers["Location"] == listed
