"""Logins and roles: administrators manage staff, and nobody raises himself."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission
from django.test import Client

from accounts.models import Principal, User
from tests.admin.house import House

Login = Callable[[str], Client]
Staff = Callable[[str], User]
PASSWORD = "a long enough passphrase"


def form_of(user: User, **changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "email": user.email,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "is_active": "on",
        "is_staff": "on" if user.is_staff else "",
        "groups": [str(group.id) for group in user.groups.all()],
    }
    return values | changes


def change(client: Client, user: User, **changes: Any) -> int:
    return client.post(f"/admin/accounts/user/{user.pk}/change/", form_of(user, **changes)).status_code


def test_an_administrator_makes_a_member_of_staff_and_gives_a_role(db: None, login: Login) -> None:
    client = login("Administrator")
    made = {"email": "New@Wallet.Example", "password1": PASSWORD, "password2": PASSWORD, "usable_password": "true"}
    assert client.post("/admin/accounts/user/add/", {**made, "is_superuser": "on"}).status_code == 302
    user = User.objects.get(email="new@wallet.example")
    assert (user.is_staff, user.is_superuser) == (True, False)
    assert Principal.objects.filter(user=user).exists()
    assert change(client, user, groups=[Group.objects.get(name="Officer").id]) == 302
    assert User.objects.get(pk=user.pk).has_perm("compliance.work_case")
    assert client.post("/admin/accounts/user/add/", made).status_code == 200


def test_an_administrator_can_not_raise_himself_or_anybody_to_superuser(db: None, login: Login, staff: Staff) -> None:
    client = login("Administrator")
    everything = [str(identity) for identity in Permission.objects.values_list("id", flat=True)[:5]]
    for user in (staff("Administrator"), staff("Officer")):
        assert change(client, user, is_superuser="on", user_permissions=everything) == 302
        user.refresh_from_db()
        assert not user.is_superuser
        assert not user.user_permissions.exists()
    senior = str(Group.objects.get(name="Senior officer").id)
    change(client, staff("Administrator"), groups=[senior], is_staff="", is_active="")
    again = User.objects.get(pk=staff("Administrator").pk)
    assert [group.name for group in again.groups.all()] == ["Administrator"]
    assert again.is_staff
    assert again.is_active


def test_an_administrator_touches_neither_customers_nor_superusers(house: House, login: Login, staff: Staff) -> None:
    client = login("Administrator")
    for user in (house.ada.user, staff("Superuser")):
        assert change(client, user, first_name="Changed") == 403
        password = {"password1": PASSWORD, "password2": PASSWORD, "usable_password": "true"}
        assert client.post(f"/admin/accounts/user/{user.pk}/password/", password).status_code == 403
        assert not User.objects.get(pk=user.pk).check_password(PASSWORD)
        assert client.get(f"/admin/accounts/user/{user.pk}/change/").status_code == 200


def test_a_locked_out_member_of_staff_gets_a_new_password(db: None, login: Login, staff: Staff) -> None:
    user = staff("Officer")
    password = {"password1": PASSWORD, "password2": PASSWORD, "usable_password": "true"}
    assert login("Administrator").post(f"/admin/accounts/user/{user.pk}/password/", password).status_code == 302
    assert User.objects.get(pk=user.pk).check_password(PASSWORD)
    assert LogEntry.objects.get().get_change_message() == "Changed password."


def test_an_address_is_kept_as_the_login_reads_it(db: None, login: Login, staff: Staff) -> None:
    client, user = login("Administrator"), staff("Officer")
    assert change(client, user, email="OFFICER@wallet.example") == 302
    assert LogEntry.objects.latest("id").get_change_message() == "No fields changed."
    assert change(client, user, email="Olga@Wallet.Example") == 302
    assert User.objects.get(pk=user.pk).email == "olga@wallet.example"
    staff("Auditor")
    assert change(client, user, email="AUDITOR@wallet.example") == 200


def test_nobody_makes_a_customer_a_member_of_staff(house: House, login: Login) -> None:
    officers = [str(Group.objects.get(name="Officer").id)]
    for raised in ({"is_staff": "on"}, {"is_superuser": "on"}, {"groups": officers}):
        changed = form_of(house.ada.user, **raised)
        answer = login("Superuser").post(f"/admin/accounts/user/{house.ada.user.pk}/change/", changed)
        assert answer.status_code == 200
        assert "a customer" in answer.text
    user = User.objects.get(pk=house.ada.user.pk)
    assert (user.is_staff, user.is_superuser) == (False, False)
    assert not user.groups.exists()
    assert change(login("Superuser"), user, first_name="Ada") == 302


@pytest.mark.parametrize("role", ["Officer", "Senior officer", "Auditor"])
def test_others_change_no_login_and_no_role(house: House, login: Login, staff: Staff, role: str) -> None:
    client = login(role)
    made = {"email": "new@wallet.example", "password1": PASSWORD, "password2": PASSWORD, "usable_password": "true"}
    assert client.post("/admin/accounts/user/add/", made).status_code == 403
    for user in (staff(role), staff("Administrator"), house.ada.user):
        assert change(client, user, is_superuser="on") == 403
        assert client.post(f"/admin/accounts/user/{user.pk}/password/", {"password1": PASSWORD}).status_code == 403
    assert not User.objects.filter(is_superuser=True).exists()


@pytest.mark.parametrize("role", ["Officer", "Senior officer", "Auditor", "Administrator"])
def test_what_a_role_may_do_is_for_superusers_to_say(db: None, login: Login, role: str) -> None:
    client, group = login(role), Group.objects.get(name="Officer")
    page = f"/admin/auth/group/{group.pk}/"
    before = set(group.permissions.values_list("id", flat=True))
    everything = [str(identity) for identity in Permission.objects.values_list("id", flat=True)]
    assert client.post(f"{page}change/", {"name": "x", "permissions": everything}).status_code == 403
    assert client.post("/admin/auth/group/add/", {"name": "x", "permissions": everything}).status_code == 403
    assert client.post(f"{page}delete/", {"post": "yes"}).status_code == 403
    assert set(group.permissions.values_list("id", flat=True)) == before
    assert client.get(f"{page}change/").status_code == 200


def test_the_log_says_which_rights_were_given_and_taken(db: None, login: Login, staff: Staff) -> None:
    user, senior = staff("Officer"), Group.objects.get(name="Senior officer")
    change(login("Administrator"), user, groups=[str(senior.id)], email="olga@wallet.example", is_active="")
    html = login("Auditor").get("/admin/admin/logentry/").text
    for said in ("given Senior officer, taken Officer", "officer@wallet.example → olga@wallet.example", "yes → no"):
        assert said in html
    assert f"/admin/accounts/user/{user.pk}/change/" in html
    group = {"name": "Senior officer", "permissions": [str(Permission.objects.get(codename="work_case").id)]}
    assert login("Superuser").post(f"/admin/auth/group/{senior.id}/change/", group).status_code == 302
    assert "taken " in login("Auditor").get("/admin/admin/logentry/").text


def test_no_login_is_ever_deleted(house: House, login: Login, staff: Staff) -> None:
    for role in ("Superuser", "Administrator"):
        for user in (house.ada.user, staff("Officer")):
            assert login(role).post(f"/admin/accounts/user/{user.pk}/delete/", {"post": "yes"}).status_code == 403
        chosen = {"action": "delete_selected", "_selected_action": str(house.ada.user.pk), "post": "yes"}
        login(role).post("/admin/accounts/user/", chosen)
    assert User.objects.filter(pk=house.ada.user.pk).exists()


def test_no_page_shows_a_password_hash(house: House, login: Login, staff: Staff) -> None:
    hashed = house.ada.user.password
    for role in ("Officer", "Auditor", "Administrator", "Superuser"):
        html = login(role).get(f"/admin/accounts/user/{house.ada.user.pk}/change/").text
        assert hashed not in html
        assert hashed[-12:] not in html


def test_the_roles_may_what_they_should_and_no_more(db: None) -> None:
    def beyond_viewing(role: str) -> set[str]:
        rows = Group.objects.get(name=role).permissions.values_list("content_type__app_label", "codename")
        return {f"{app}.{code}" for app, code in rows if not code.startswith("view_")}

    work = {
        "compliance.work_case",
        "accounts.freeze_account",
        "accounts.restart_verification",
        "accounts.lower_level",
        "compliance.download_document",
        "compliance.reject_document",
        "compliance.edit_risk",
        "ledger.propose_adjustment",
        "ledger.set_limit",
        "compliance.edit_rule",
        "compliance.activate_list",
    }
    agree = {
        "compliance.approve_case",
        "ledger.approve_adjustment",
        "compliance.approve_rule",
        "compliance.approve_risk",
        "compliance.approve_list",
    }
    audit = {"compliance.ask_self_audit"}
    assert beyond_viewing("Officer") == work
    assert beyond_viewing("Senior officer") == work | audit | agree
    assert beyond_viewing("Auditor") == audit
    assert beyond_viewing("Administrator") == audit | {"accounts.add_user", "accounts.change_user"}
