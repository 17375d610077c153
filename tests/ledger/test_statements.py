"""Statements: opening and lines add up to closing, in pages and as a file, whatever is posted meanwhile."""

import csv
import io
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import pairwise
from typing import Any

import psycopg
import pytest
from django.db import OperationalError
from rest_framework.test import APIClient

from accounts.models import Account
from ledger.selectors import entries
from ledger.serializers import statement_csv
from ledger.serializers.statement_csv import decimal, harmless
from tests.ledger import flows, history
from tests.support import money
from tests.support.factories import api_client, make_account, make_user
from tests.support.pipeline import run_until_idle

pytestmark = pytest.mark.django_db

ALWAYS = "from=2020-01-01&to=2999-01-01"


@pytest.fixture
def account() -> Account:
    """After seven payments out of it."""
    mine, other = make_account(funded=100_000), make_account()
    for number in range(1, 8):
        money.post_now("transfer", mine, other, number * 100)
    mine.refresh_from_db()
    return mine


def client_of(account: Account) -> APIClient:
    return api_client(account.customer)


def signed(line: dict[str, Any]) -> int:
    amount: int = line["amount"]
    return -amount if line["type"] == "debit" else amount


def pages(client: APIClient, url: str) -> Iterator[dict[str, Any]]:
    while url:
        page = client.get(url).json()
        yield page
        url = page["next"]


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def body(answer: Any) -> str:
    return b"".join(answer.streaming_content).decode("utf-8")


def test_a_statement_adds_up_page_by_page_whatever_is_posted_meanwhile(account: Account) -> None:
    other = make_account()
    lines, sums = [], set()
    for page in pages(client_of(account), f"/api/v1/accounts/{account.id}/statement?{ALWAYS}&limit=3"):
        lines += page["lines"]
        sums.add((page["opening"], page["closing"], page["count"], page["final"]))
        money.post_now("transfer", account, other, 1)
    assert sums == {(0, 97_200, 8, False)}
    assert [line["sequence"] for line in lines] == list(range(1, 9))
    assert sum(map(signed, lines)) == 97_200
    assert lines[-1]["balance_after"] == 97_200


def test_a_period_begins_with_its_first_instant_and_ends_before_its_last(
    account: Account,
) -> None:
    client = client_of(account)
    path = f"/api/v1/accounts/{account.id}/statement"
    lines = client.get(f"{path}?{ALWAYS}").json()["lines"]
    since, until = lines[2]["created_at"], lines[5]["created_at"]
    statement = client.get(f"{path}?from={since}&to={until}").json()
    assert statement["lines"] == lines[2:5]
    assert (statement["opening"], statement["closing"]) == (lines[1]["balance_after"], lines[4]["balance_after"])
    assert (statement["from"], statement["to"], statement["count"]) == (since, until, 3)
    nothing = client.get(f"{path}?from=2019-01-01&to=2019-02-01").json()
    assert (nothing["opening"], nothing["closing"], nothing["lines"], nothing["next"]) == (0, 0, [], None)


def test_the_closing_balance_of_a_month_is_the_opening_balance_of_the_next(
    account: Account, owner_connection: psycopg.Connection
) -> None:
    history.draw_out(owner_connection, [account], [timedelta(days=3)], [])
    client, balance, count = client_of(account), 0, 0
    months = [f"2024-{month:02}-01" for month in range(1, 7)]
    for since, until in pairwise(months):
        month = client.get(f"/api/v1/accounts/{account.id}/statement?from={since}&to={until}").json()
        assert (month["opening"], month["final"]) == (balance, True)
        assert balance + sum(map(signed, month["lines"])) == month["closing"]
        balance, count = month["closing"], count + month["count"]
    assert (balance, count) == (97_200, 8)


def test_a_cursor_of_another_place_shows_no_lines_of_another_period(account: Account) -> None:
    client = client_of(account)
    path = f"/api/v1/accounts/{account.id}/statement"
    lines = client.get(f"{path}?{ALWAYS}").json()["lines"]
    period = f"from={lines[2]['created_at']}&to={lines[5]['created_at']}"
    cursor = client.get(f"{path}?{ALWAYS}&limit=1").json()["next"].split("cursor=")[1].split("&")[0]
    statement = client.get(f"{path}?{period}&cursor={cursor}").json()
    assert statement["lines"] == lines[2:5]
    assert client.get(f"{path}?{period}&cursor=AAAA").json()["code"] == "bad_cursor"


def test_a_file_begins_with_the_opening_and_ends_with_the_closing_balance(account: Account) -> None:
    client = client_of(account)
    answer = client.get(f"/api/v1/accounts/{account.id}/statement?{ALWAYS}", headers={"Accept": "text/csv"})
    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/csv; charset=utf-8; header=present"
    assert answer["Content-Disposition"] == (f'attachment; filename="statement-{account.id}-2020-01-01-2999-01-01.csv"')
    text = body(answer)
    assert text.count("\r\n") == text.count("\n") == 11
    opening, *lines, closing = rows_of(text)
    assert list(opening) == [
        "time", "line", "type", "kind", "amount", "currency", "balance", "counterparty", "reference", "transaction",
    ]  # fmt: skip
    assert (opening["type"], opening["balance"]) == ("opening balance", "0.00")
    assert (closing["type"], closing["balance"]) == ("closing balance", "972.00")
    assert [line["amount"] for line in lines] == ["1000.00", *(f"-{number}.00" for number in range(1, 8))]
    assert lines[-1]["balance"] == "972.00"
    assert {line["currency"] for line in lines} == {"EUR"}
    by_parameter = client.get(f"/api/v1/accounts/{account.id}/statement?{ALWAYS}&format=csv")
    assert body(by_parameter) == text
    as_json = client.get(
        f"/api/v1/accounts/{account.id}/statement?{ALWAYS}&format=json", headers={"Accept": "text/csv, */*"}
    )
    assert as_json.json()["closing"] == 97_200


@pytest.mark.parametrize(
    ("reference", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+49 30", "'+49 30"),
        ("-5", "'-5"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("＝cmd", "'＝cmd"),
        ('=HYPERLINK("http://x","y")', '\'=HYPERLINK("http://x","y")'),
        ('said "no", twice', 'said "no", twice'),
        ("a; b = c", "a; b = c"),
        ("Miete für März ☂", "Miete für März ☂"),
    ],
)
def test_a_reference_reaches_a_spreadsheet_as_text(reference: str, cell: str) -> None:
    source, destination = make_account(funded=1_000), make_account()
    flows.transfer(source, destination, 10, reference=reference)
    run_until_idle()
    text = body(client_of(destination).get(f"/api/v1/accounts/{destination.id}/statement?{ALWAYS}&format=csv"))
    [line] = rows_of(text)[1:-1]
    assert (line["reference"], line["amount"]) == (cell, "0.10")


def test_what_begins_like_a_formula_is_text_and_numbers_are_numbers() -> None:
    assert [harmless(text) for text in ("\tx", "\rx", "\nx", "－1", "x=1", "")] == [
        "'\tx", "'\rx", "'\nx", "'－1", "x=1", "",
    ]  # fmt: skip
    assert [decimal(amount, 2) for amount in (0, 5, -5, -1234, 10**15)] == [
        "0.00", "0.05", "-0.05", "-12.34", "10000000000000.00",
    ]  # fmt: skip
    assert [decimal(amount, 0) for amount in (0, -7)] == ["0", "-7"]


def test_a_file_is_read_in_chunks_and_is_of_one_moment(
    account: Account, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Callable[..., Any]
) -> None:
    monkeypatch.setattr(entries, "CHUNK", 3)
    monkeypatch.setattr(statement_csv, "_PIECE", 1)
    client, other = client_of(account), make_account()
    url = f"/api/v1/accounts/{account.id}/statement?{ALWAYS}&format=csv"
    client.get(url)
    with django_assert_num_queries(5):
        body(client.get(url))
    text = ""
    for number, piece in enumerate(client.get(url).streaming_content):
        text += piece.decode()
        money.post_now("transfer", account, other, 1 + number)
    _, *lines, closing = rows_of(text)
    assert (len(lines), lines[-1]["balance"], closing["balance"]) == (8, "972.00", "972.00")


def test_a_file_that_is_cut_off_says_so_and_has_no_closing_balance(
    account: Account, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(entries, "CHUNK", 3)
    monkeypatch.setattr(statement_csv, "_PIECE", 1)
    read, calls = entries.lines_of, []

    def fails_once_on_the_way(*arguments: Any, **more: Any) -> Any:
        calls.append(more)
        if len(calls) == 2:
            raise OperationalError("the server went away")
        return read(*arguments, **more)

    monkeypatch.setattr(entries, "lines_of", fails_once_on_the_way)
    answer = client_of(account).get(f"/api/v1/accounts/{account.id}/statement?{ALWAYS}&format=csv")
    assert answer.status_code == 200
    text = body(answer)
    told = [row["type"] for row in rows_of(text)]
    assert told == ["opening balance", "credit", "debit", "debit", "incomplete, ask again"]
    assert "closing balance" not in text
    assert "statement_cut_off" in caplog.text


def test_a_file_that_nobody_would_read_is_refused(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statement_csv, "MAX_LINES", 7)
    url = f"/api/v1/accounts/{account.id}/statement?{ALWAYS}"
    answer = client_of(account).get(url, headers={"Accept": "text/csv"})
    assert (answer.status_code, answer["Content-Type"]) == (422, "application/problem+json")
    problem = answer.json()
    assert (problem["code"], problem["lines"], problem["most"]) == ("statement_too_long", 8, 7)
    assert client_of(account).get(url).status_code == 200


def test_a_statement_is_for_its_owner_and_of_a_period(account: Account) -> None:
    client, other = client_of(account), client_of(make_account())
    path = f"/api/v1/accounts/{account.id}/statement"
    for accept in ("application/json", "text/csv"):
        headers = {"Accept": accept}
        for who, query, status, code in (
            (other, ALWAYS, 404, "account_not_found"),
            (api_client(make_user(is_staff=True)), ALWAYS, 403, "not_a_customer"),
            (api_client(), ALWAYS, 401, "not_authenticated"),
            (client, "", 400, "invalid_input"),
            (client, "from=2026-01-01", 400, "invalid_input"),
            (client, "from=2026-01-02&to=2026-01-01", 400, "invalid_input"),
            (client, f"{ALWAYS}&format=pdf", 400, "invalid_input"),
            (client, f"{ALWAYS}&month=5", 400, "unknown_parameter"),
        ):
            answer = who.get(f"{path}?{query}", headers=headers)
            assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")
            assert answer.json()["code"] == code
    assert client.get(f"{path}?{ALWAYS}", headers={"Accept": "application/pdf"}).status_code == 406
