"""Each page of each model: it shows, it is cheap, nothing on it can be written to. New models are in by themselves."""

import re
from collections.abc import Callable, Iterator

import pytest
from django.contrib import admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import connection, models
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from tests.admin.house import House, build_house, come_in, furnish_with_a_list, furnish_with_a_rule, work_on

#: What people may write at all, and who: administrators make staff, superusers say what a role may do.
WRITABLE = {"accounts.User", "auth.Group"}


def registered() -> list[type[models.Model]]:
    return sorted(admin.site._registry, key=lambda model: model._meta.label)


def read_only() -> list[type[models.Model]]:
    return [model for model in registered() if model._meta.label not in WRITABLE]


def url(model: type[models.Model], page: str = "") -> str:
    return f"/admin/{model._meta.app_label}/{model._meta.model_name}/{page}"


def a_row(model: type[models.Model]) -> models.Model:
    row = model._default_manager.order_by("-pk").first()
    assert row is not None, f"the test's house has no {model._meta.label}: put one in"
    return row


@pytest.fixture
def full_house(house: House, staff: Callable[[str], User]) -> House:
    officer = staff("Officer")
    work_on(house, officer)
    furnish_with_a_list()
    furnish_with_a_rule()
    LogEntry.objects.create(
        user=officer,
        content_type=ContentType.objects.get_for_model(User),
        object_id=str(officer.id),
        object_repr=officer.email,
        action_flag=CHANGE,
        change_message="[]",
    )
    return house


@pytest.mark.thorough
def test_the_auditor_sees_every_list_and_every_row(full_house: House, login: Callable[[str], Client]) -> None:
    client = login("Auditor")
    for model in registered():
        listed = client.get(url(model))
        assert listed.status_code == 200, model
        row = a_row(model)
        shown = client.get(url(model, f"{row.pk}/change/"))
        assert shown.status_code == 200, model
        for page in (listed, shown):
            assert "'unsafe-eval'" in page.headers["Content-Security-Policy"]
            html = page.content.decode()
            assert not re.search(r"<script(?![^>]*\bsrc=)[^>]*>", html), f"{model}: an inline script, which CSP stops"
            assert not re.search(r"""(src|href)=["'](https?:)?//""", html), f"{model}: something from another host"


@pytest.mark.thorough
def test_pages_bear_the_names_of_the_menu(full_house: House, login: Callable[[str], Client]) -> None:
    client = login("Auditor")
    technical = ("Authentication and Authorization", "rail transfer", "kyc check", "work item", "inbound event")
    for model in registered():
        for path in (url(model), url(model, f"{a_row(model).pk}/change/")):
            html = client.get(path).text
            for name in technical:
                assert name not in html or model._meta.label == "auth.Group", (path, name)
    assert "Roles" in client.get("/admin/auth/group/").text.partition("<h1")[2].partition("</h1>")[0]


def test_every_role_sees_the_dashboard(full_house: House, login: Callable[[str], Client]) -> None:
    for role in ("Officer", "Senior officer", "Auditor", "Administrator", "Superuser"):
        page = login(role).get("/admin/")
        assert page.status_code == 200
        text = page.content.decode()
        assert "waiting" in text
        badges = re.findall(r"min-w-\[18px\][^>]*>([^<]*)<", text)
        assert all(badge.strip() for badge in badges), "where nothing waits there is no badge"
        assert (role == "Officer") <= bool(badges)


def queries(client: Client, path: str) -> int:
    with CaptureQueriesContext(connection) as captured:
        assert client.get(path).status_code == 200, path
    return len(captured)


@pytest.mark.thorough
def test_a_longer_list_asks_no_more_of_the_database(full_house: House, login: Callable[[str], Client]) -> None:
    client = login("Auditor")
    paths = ["/admin/", *(url(model) for model in registered())]
    for path in paths:
        client.get(path)
    before = {path: queries(client, path) for path in paths}
    build_house()
    furnish_with_a_list()
    furnish_with_a_rule()
    after = {path: queries(client, path) for path in paths}
    assert after == before
    assert max(after.values()) <= 16, after


@pytest.mark.thorough
def test_a_row_is_shown_with_a_bounded_number_of_questions(full_house: House, login: Callable[[str], Client]) -> None:
    client = login("Senior officer")
    counts = {}
    for model in registered():
        if model is LogEntry:
            continue
        path = url(model, f"{a_row(model).pk}/change/")
        client.get(path)
        counts[model._meta.label] = queries(client, path)
    assert max(counts.values()) <= 36, counts


@pytest.mark.thorough
@pytest.mark.parametrize(
    "term",
    ["ada@example.com", "a\x00b"]
    + [
        pytest.param(term, marks=pytest.mark.thorough)
        for term in ("0198f2c1-0000-7000-8000-000000000001", "what?", "%", "'")
    ],
)
def test_a_search_for_anything_is_answered(full_house: House, login: Callable[[str], Client], term: str) -> None:
    client = login("Auditor")
    for model in registered():
        assert client.get(url(model), {"q": term}).status_code == 200, model


def test_money_is_found_by_people_accounts_and_ids(full_house: House, login: Callable[[str], Client]) -> None:
    client = login("Officer")
    terms = [full_house.held.id, full_house.account.id, full_house.ada.id, full_house.ada.user.email]
    for term in terms:
        page = client.get("/admin/ledger/transaction/", {"q": str(term)})
        assert str(full_house.held.id) in page.content.decode(), term
    for term in [full_house.cleared.id, *terms[1:]]:
        page = client.get("/admin/ledger/entry/", {"q": str(term)})
        assert str(full_house.cleared.id) in page.content.decode(), term


def test_people_are_found_by_how_their_address_begins(full_house: House, login: Callable[[str], Client]) -> None:
    client, begins = login("Officer"), full_house.ada.user.email[:8]
    for path in ("/admin/accounts/customer/", "/admin/accounts/account/", "/admin/compliance/case/"):
        for term in (begins, begins.upper()):
            assert str(full_house.ada.id) in client.get(path, {"q": term}).text, path
        assert str(full_house.ada.id) not in client.get(path, {"q": f"x{begins}"}).text, path


def test_the_auditor_finds_what_somebody_of_staff_did(full_house: House, login: Callable[[str], Client]) -> None:
    client = login("Auditor")
    for path, shown in (("/admin/compliance/decision/", "booked by hand"), ("/admin/admin/logentry/", "No fields")):
        assert shown in client.get(path, {"q": "officer@wallet"}).text
        assert shown not in client.get(path, {"q": "senior@wallet"}).text


def test_no_search_scans_a_table_of_money(full_house: House, login: Callable[[str], Client]) -> None:
    client = login("Officer")
    for path in ("/admin/ledger/transaction/", "/admin/ledger/entry/", "/admin/accounts/customer/"):
        for term in ("ada@example.com", str(full_house.held.id)):
            with CaptureQueriesContext(connection) as captured:
                client.get(path, {"q": term})
            assert not [query for query in captured if "ILIKE" in query["sql"] or "UPPER(" in query["sql"]]


def writes(model: type[models.Model], row: models.Model) -> Iterator[tuple[str, dict[str, str]]]:
    """Everything that a browser could send to change rows of a model."""
    values = {field.name: str(getattr(row, field.attname)) for field in model._meta.concrete_fields}
    yield url(model, "add/"), values
    yield url(model, f"{row.pk}/change/"), {**values, "_save": "Save"}
    yield url(model, f"{row.pk}/delete/"), {"post": "yes"}


@pytest.mark.parametrize("role", ["Superuser", "Officer", "Senior officer", "Auditor", "Administrator"])
def test_nobody_adds_changes_or_deletes_what_is_on_record(
    full_house: House, login: Callable[[str], Client], role: str
) -> None:
    client = login(role)
    for model in read_only():
        row = a_row(model)
        before = list(model._default_manager.order_by("pk").values())
        for path, values in writes(model, row):
            assert client.post(path, values).status_code == 403, (path, role)
        assert list(model._default_manager.order_by("pk").values()) == before, (model, role)


@pytest.mark.thorough
def test_whoever_may_do_most_finds_no_form_and_no_action_that_writes(
    full_house: House, login: Callable[[str], Client]
) -> None:
    client = login("Superuser")
    for model in read_only():
        row = a_row(model)
        before = list(model._default_manager.order_by("pk").values())
        assert client.get(url(model, "add/")).status_code == 403
        assert client.get(url(model, f"{row.pk}/delete/")).status_code == 403
        client.post(
            url(model), {"action": "delete_selected", "_selected_action": str(row.pk), "post": "yes", "index": "0"}
        )
        client.post(url(model), {"form-TOTAL_FORMS": "1", "form-INITIAL_FORMS": "1", "_save": "Save"})
        assert list(model._default_manager.order_by("pk").values()) == before, model


def test_who_has_no_role_sees_nothing(full_house: House, login: Callable[[str], Client]) -> None:
    customer, nobody = come_in(Client(), full_house.ada.user), Client()
    for model in registered():
        for path in (url(model), url(model, f"{a_row(model).pk}/change/")):
            for client in (customer, nobody):
                answer = client.get(path)
                assert answer.status_code == 302, path
                assert answer.headers["Location"].startswith("/admin/login/"), path


def test_the_palette_finds_pages_by_their_names(db: None, login: Callable[[str], Client]) -> None:
    client = login("Officer")
    for _ in range(2):
        answer = client.get("/admin/search/", {"s": "cas", "extended": "1"})
        assert answer.status_code == 200
        assert "/admin/compliance/case/" in answer.text
    assert client.get("/admin/search/", {"s": "cas", "page": "x"}).status_code == 200
