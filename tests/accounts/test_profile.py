"""What a customer says about himself."""

from dataclasses import asdict, replace
from datetime import date
from typing import Any

import pytest
from django.db import DatabaseError, transaction

import accounts.steps
from accounts.models import ProfileVersion, StateChange
from accounts.profiles import ProfileInvalid, age_in_years, check_profile
from tests.support.factories import (
    PROFILE,
    actor_of,
    api_client,
    forget_nudges,
    make_account,
    make_customer,
    make_user,
    reject,
)
from wallet_project.utils.context import system_actor

BODY = {**asdict(PROFILE), "date_of_birth": "1985-12-10"}
TODAY = date(2026, 11, 22)


@pytest.mark.django_db
def test_a_profile_is_kept_and_shown() -> None:
    customer = make_customer(verified=False, profile=None)
    client = api_client(customer)
    assert client.get("/api/v1/me").json()["profile"] is None
    answer = client.put("/api/v1/me/profile", BODY)
    assert answer.status_code == 200
    assert answer.json()["profile"] == {**BODY, "version": 1}
    me = client.get("/api/v1/me").json()
    assert me == answer.json()
    assert me["id"] == str(customer.id)
    assert me["email"] == customer.user.email
    assert (me["kyc_status"], me["kyc_reason"]) == ("unverified", None)
    assert me["may"] == {"request_accounts": True, "new_accounts_open": "after_verification"}
    assert me["limits"] == {"accounts": 20, "beneficiaries": 50, "currencies": ["CHF", "EUR", "GBP", "JPY", "USD"]}
    assert set(me) == {
        "id", "email", "handle", "kyc_status", "kyc_reason", "level", "profile", "may", "notice", "limits",
        "created_at",
    }  # fmt: skip


@pytest.mark.django_db
def test_who_has_no_profile_is_told_to_send_it_before_requesting_accounts() -> None:
    client = api_client(make_customer(verified=False, profile=None))
    before = client.get("/api/v1/me").json()
    assert before["may"] == {"request_accounts": False, "new_accounts_open": "after_verification"}
    assert "PUT /api/v1/me/profile" in before["notice"]
    assert client.put("/api/v1/me/profile", BODY).json()["may"]["request_accounts"] is True
    assert client.get("/api/v1/me").json()["may"]["request_accounts"] is True


@pytest.mark.django_db
def test_a_profile_alone_starts_no_check(nudges: list[str]) -> None:
    customer = make_customer(verified=False)
    assert customer.kyc_status == "unverified"
    assert nudges == []


@pytest.mark.django_db
def test_the_same_profile_again_makes_no_version() -> None:
    customer = make_customer()
    client = api_client(customer)
    assert client.put("/api/v1/me/profile", BODY).json()["profile"]["version"] == 1
    customer.refresh_from_db()
    assert customer.kyc_status == "verified"
    assert ProfileVersion.objects.filter(customer=customer).count() == 1


@pytest.mark.django_db
def test_a_change_after_verification_starts_a_new_check_and_says_what_may_be_done(nudges: list[str]) -> None:
    customer = make_customer()
    account = make_account(customer)
    first = customer.profile_id
    forget_nudges(nudges)
    answer = api_client(customer).put("/api/v1/me/profile", {**BODY, "last_name": "King"})
    assert answer.status_code == 200
    body = answer.json()
    assert (body["kyc_status"], body["profile"]["version"]) == ("pending", 2)
    assert body["may"] == {"request_accounts": True, "new_accounts_open": "after_verification"}
    assert "Accounts that are open go on working" in body["notice"]
    assert nudges == ["compliance.run_checks"]
    account.refresh_from_db()
    assert account.status == "open"
    customer.refresh_from_db()
    assert customer.verified_profile_id == first != customer.profile_id
    change = StateChange.objects.filter(machine="customer", subject_id=customer.id).latest("id")
    assert (change.from_state, change.to_state, change.reason) == ("verified", "pending", "profile changed")
    assert change.actor_id == customer.user.principal.id
    assert make_account(customer).status == "requested"


@pytest.mark.django_db
def test_a_check_of_an_older_version_verifies_nobody(nudges: list[str]) -> None:
    customer = make_customer(verified=False)
    make_account(customer)
    checked = customer.profile_id
    forget_nudges(nudges)
    api_client(customer).put("/api/v1/me/profile", {**BODY, "first_name": "Augusta"})
    assert nudges == ["compliance.run_checks"], "the new version wants a check too"
    with transaction.atomic():
        common = {"customer_id": customer.id, "profile_id": checked, "actor": system_actor()}
        assert not accounts.steps.mark_verified(**common)
        assert not accounts.steps.mark_rejected(**common, customer_reason="no")
    customer.refresh_from_db()
    assert customer.kyc_status == "pending"


@pytest.mark.django_db
def test_a_rejected_customer_starts_no_check_by_a_change(nudges: list[str]) -> None:
    customer = make_customer(verified=False)
    reject(customer, "The document has expired.")
    forget_nudges(nudges)
    body = api_client(customer).put("/api/v1/me/profile", {**BODY, "document_number": "Y7654321"}).json()
    assert (body["kyc_status"], body["kyc_reason"]) == ("rejected", "The document has expired.")
    assert body["may"] == {"request_accounts": False, "new_accounts_open": "never"}
    assert nudges == []


@pytest.mark.django_db
def test_a_profile_may_not_change_without_end(settings: Any) -> None:
    settings.PROFILE_CHANGES_PER_DAY = 2
    client = api_client(make_customer(verified=False))
    assert client.put("/api/v1/me/profile", {**BODY, "first_name": "Two"}).status_code == 200
    refused = client.put("/api/v1/me/profile", {**BODY, "first_name": "Three"})
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_profile_changes")
    assert refused["Retry-After"]
    assert client.put("/api/v1/me/profile", {**BODY, "first_name": "Two"}).status_code == 200


@pytest.mark.django_db
def test_a_version_is_never_changed() -> None:
    customer = make_customer()
    with pytest.raises(DatabaseError), transaction.atomic():
        ProfileVersion.objects.filter(customer=customer).update(first_name="Eve")
    with pytest.raises(DatabaseError), transaction.atomic():
        ProfileVersion.objects.filter(customer=customer).delete()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("first_name", ""),
        ("first_name", "   "),
        ("first_name", "x" * 101),
        ("first_name", 7),
        ("first_name", None),
        ("first_name", "Ada\u0000"),
        ("first_name", "Ada\nEve"),
        ("last_name", "\u202eecalevoL"),
        ("date_of_birth", "2008-11-31"),
        ("date_of_birth", "10.12.1985"),
        ("date_of_birth", "2015-01-01"),
        ("date_of_birth", "1800-01-01"),
        ("date_of_birth", "2990-01-01"),
        ("date_of_birth", 19851210),
        ("country", "XX"),
        ("country", "gb"),
        ("country", "GBR"),
        ("country", "UK"),
        ("address", "y" * 301),
        ("document_type", "library_card"),
        ("document_number", ["X1"]),
    ],
)
def test_what_cannot_be_right_is_refused_by_field(field: str, value: object) -> None:
    customer = make_customer(verified=False, profile=None)
    answer = api_client(customer).put("/api/v1/me/profile", {**BODY, field: value})
    assert answer.status_code == 400, answer.json()
    if value != "Ada\u0000":
        assert [fault["field"] for fault in answer.json()["errors"]] == [field]
    assert not ProfileVersion.objects.exists()


@pytest.mark.django_db
def test_a_profile_is_whole_and_has_nothing_else() -> None:
    client = api_client(make_customer(verified=False, profile=None))
    without = {name: value for name, value in BODY.items() if name != "country"}
    assert client.put("/api/v1/me/profile", without).status_code == 400
    refused = client.put("/api/v1/me/profile", {**BODY, "kyc_status": "verified"})
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["code"] == "unknown_field"
    twice = '{"country": "DE", "country": "GB"}'
    assert client.put("/api/v1/me/profile", twice, content_type="application/json").status_code == 400


@pytest.mark.django_db
def test_staff_are_no_customers() -> None:
    client = api_client(make_user(is_staff=True))
    for answer in (client.get("/api/v1/me"), client.put("/api/v1/me/profile", BODY), client.get("/api/v1/accounts")):
        assert (answer.status_code, answer.json()["code"]) == (403, "not_a_customer")


@pytest.mark.parametrize(
    ("born", "today", "age"),
    [
        (date(2008, 11, 22), date(2026, 11, 22), 18),
        (date(2008, 11, 23), date(2026, 11, 22), 17),
        (date(2008, 2, 29), date(2026, 2, 28), 17),
        (date(2008, 2, 29), date(2026, 3, 1), 18),
    ],
)
def test_age_is_counted_in_whole_years(born: date, today: date, age: int) -> None:
    assert age_in_years(born, today=today) == age


def test_the_eighteenth_birthday_is_old_enough() -> None:
    check_profile(replace(PROFILE, date_of_birth=date(2008, 11, 22)), today=TODAY)
    with pytest.raises(ProfileInvalid):
        check_profile(replace(PROFILE, date_of_birth=date(2008, 11, 23)), today=TODAY)


@pytest.mark.parametrize(
    "name", ["Ödön", "Nguyễn Thị", "O'Neil-d'Arc", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "王小明"]
)
def test_names_of_the_world_are_names(name: str) -> None:
    check_profile(replace(PROFILE, first_name=name), today=TODAY)


@pytest.mark.django_db
def test_a_service_call_checks_too() -> None:
    from accounts.services.customers import update_profile
    from tests.support.factories import NOW

    with pytest.raises(ProfileInvalid) as refused:
        update_profile(
            actor=actor_of(make_customer(profile=None, verified=False)), profile=replace(PROFILE, country="ZZ"), now=NOW
        )
    assert list(refused.value.fields) == ["country"]
