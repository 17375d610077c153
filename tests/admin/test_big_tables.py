"""Lists of millions of rows stay cheap, and what people typed comes back as text."""

from collections.abc import Callable
from uuid import uuid4

import psycopg
import pytest
from django.contrib import admin
from django.db import OperationalError
from django.db.models import QuerySet
from django.test import Client

from accounts.models import Account
from compliance.services import screening
from ledger.models import Entry
from ledger.services import payments
from tests.admin.house import House
from tests.admin.test_pages import a_row, registered, url
from tests.support.factories import NOW, actor_of
from wallet_project.utils.admin import BigTableAdmin, paging
from wallet_project.utils.money import Money

pytestmark = pytest.mark.thorough

Login = Callable[[str], Client]
HOSTILE = "<script>alert(1)</script>"


def test_a_list_is_counted_up_to_a_bound_and_says_so(
    house: House, login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "BOUND", 3)
    assert Entry.objects.count() > 3
    html = login("Auditor").get("/admin/ledger/entry/").text
    assert "There are more than" in html
    assert paging.BoundedPaginator(Entry.objects.all(), 50).count == 3


def test_a_list_that_takes_too_long_asks_for_less(house: House, login: Login, monkeypatch: pytest.MonkeyPatch) -> None:
    def cancelled(*args: object) -> None:
        raise OperationalError("canceling statement") from psycopg.errors.QueryCanceled()

    client = login("Auditor")
    monkeypatch.setattr(QuerySet, "count", cancelled)
    answer = client.get("/admin/ledger/transaction/", {"kind__exact": "fee"})
    assert answer.status_code == 302
    assert answer.headers["Location"] == "/admin/ledger/transaction/"


def test_every_list_of_ours_is_bounded() -> None:
    unbounded = [model for model, page in admin.site._registry.items() if not isinstance(page, BigTableAdmin)]
    assert {model._meta.label for model in unbounded} == {"accounts.User", "auth.Group"}


def test_what_people_typed_is_shown_as_text(house: House, login: Login) -> None:
    Account.objects.filter(id=house.account.id).update(label=HOSTILE)
    payments.withdraw(
        actor=actor_of(house.ada),
        account=house.account.id,
        amount=Money(1_300_000, "EUR"),
        beneficiary={"name": HOSTILE, "iban": "DE89370400440532013000"},
        reference=HOSTILE,
        key=uuid4().hex,
        request_hash=bytes(32),
    )
    screening.screen_due(now=NOW)
    client, seen = login("Senior officer"), 0
    for model in registered():
        if model._meta.label == "admin.LogEntry":
            continue
        pages = [client.get(url(model)).text]
        if model._default_manager.exists():
            pages.append(client.get(url(model, f"{a_row(model).pk}/change/")).text)
        for html in pages:
            assert HOSTILE not in html, model
            seen += "&lt;script&gt;alert(1)" in html
    assert seen >= 3
