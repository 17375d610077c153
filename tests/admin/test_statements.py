"""Statements on an account's page: by month, for whoever may see entries."""

from collections.abc import Callable

import pytest
from django.test import Client
from django.utils import timezone

from ledger.serializers import statement_csv
from tests.admin.house import House, come_in
from tests.admin.test_cases import said
from tests.support.factories import fund, make_user

Login = Callable[[str], Client]


def url_of(house: House, year: int, month: int) -> str:
    return f"/admin/ledger/entry/statement/{house.account.id}/{year}/{month}/"


def test_the_page_of_an_account_leads_to_its_statements_by_month(house: House, login: Login) -> None:
    fund(house.account, 12_300)
    client, now = login("Auditor"), timezone.now()
    this_month = url_of(house, now.year, now.month)
    assert this_month in client.get(f"/admin/accounts/account/{house.account.pk}/change/").text
    answer = client.get(this_month)
    assert answer["Content-Type"].startswith("text/csv")
    text = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]
    assert ",credit,exchange,123.00,EUR," in text
    assert "closing balance" in text
    earlier = b"".join(client.get(url_of(house, 2020, 1)).streaming_content).decode()  # type: ignore[attr-defined]
    assert earlier.count("\n") == 3


def test_a_statement_is_for_who_may_see_entries(house: House, login: Login, client: Client) -> None:
    assert client.get(url_of(house, 2026, 1)).status_code == 302
    somebody = come_in(Client(), make_user(is_staff=True))
    assert somebody.get(url_of(house, 2026, 1)).status_code == 403


def test_a_month_that_is_none_or_has_too_much_is_said(
    house: House, login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = login("Officer")
    for year, month in ((2026, 13), (2026, 0), (0, 1), (99999, 1), (9999, 12)):
        assert "no such month" in said(client.get(url_of(house, year, month)))
    fund(house.account, 5)
    monkeypatch.setattr(statement_csv, "MAX_LINES", 0)
    now = timezone.now()
    assert "too many lines" in said(client.get(url_of(house, now.year, now.month)))
