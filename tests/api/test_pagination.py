"""Pages by key."""

from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from tests.api.conftest import Api, assert_problem
from wallet_project.api.pagination import BadCursor, decode_cursor, encode_cursor
from wallet_project.utils.ids import uuid7


@pytest.fixture
def users(db: None) -> list[str]:
    """Seven ids, newest first."""
    ids = [User.objects.create(email=f"user{number}@example.com").pk for number in range(7)]
    return [str(pk) for pk in reversed(ids)]


def pages(api: Api, url: str) -> list[list[str]]:
    found = []
    next_url: str | None = url
    while next_url:
        body = api.get(next_url).json()
        assert set(body) == {"results", "next"}
        found.append([row["id"] for row in body["results"]])
        next_url = body["next"]
    return found


@pytest.mark.parametrize("limit", [1, 3, 6, 7, 8, 100])
def test_pages_show_each_row_once_newest_first(api: Api, users: list[str], limit: int) -> None:
    read = pages(api, f"/api/t/users?limit={limit}")
    assert [row for page in read for row in page] == users
    assert all(len(page) == limit for page in read[:-1])
    assert read[-1]


def test_a_row_that_comes_meanwhile_moves_nothing(api: Api, users: list[str]) -> None:
    first = api.get("/api/t/users?limit=4").json()
    User.objects.create(email="late@example.com")
    second = api.get(first["next"]).json()
    assert [row["id"] for row in (*first["results"], *second["results"])] == users


def test_the_next_page_keeps_the_other_parameters(api: Api, users: list[str]) -> None:
    assert "limit=2" in api.get("/api/t/users?limit=2").json()["next"]


def test_a_parameter_that_nobody_reads_is_refused_by_its_name(api: Api, users: list[str]) -> None:
    problem = assert_problem(api.get("/api/t/users?limt=2&cursor=&%00%0a=1"), 400, "unknown_parameter")
    assert [fault["field"] for fault in problem["errors"]] == ["??", "limt"]
    problem = assert_problem(api.get("/api/t/users?limit=2&limit=3"), 400, "repeated_parameter")
    assert [fault["field"] for fault in problem["errors"]] == ["limit"]


def test_a_page_is_one_query_and_counts_nothing(api: Api, users: list[str]) -> None:
    with CaptureQueriesContext(connection) as queries:
        api.get("/api/t/users?limit=2")
    [query] = [query["sql"] for query in queries]
    assert "COUNT" not in query
    assert "OFFSET" not in query


def test_nothing_to_show_is_an_empty_page(api: Api, db: None) -> None:
    assert api.get("/api/t/users").json() == {"results": [], "next": None}


@pytest.mark.parametrize("limit", ["0", "101", "-1", "x", "١", "1e1", "", "0x10", "9" * 50])
def test_a_page_size_out_of_range_is_refused(api: Api, db: None, limit: str) -> None:
    assert_problem(api.get(f"/api/t/users?limit={limit}"), 400, "bad_page_size")


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "!!!!",
        "ż",
        "AAAA",
        "A" * 5000,
        "%00",
        encode_cursor(5),
        encode_cursor(UUID(int=5)) + "=",
        "AAAAAAAAAAAAAAAAAAAAAB",
    ],
)
def test_a_cursor_that_we_did_not_give_is_refused(api: Api, db: None, cursor: str) -> None:
    assert_problem(api.get(f"/api/t/users?cursor={cursor}"), 400, "bad_cursor")


def test_a_cursor_is_read_back() -> None:
    position = uuid7()
    assert decode_cursor(encode_cursor(position), uuid=True) == position
    assert decode_cursor(encode_cursor(2**63 - 1), uuid=False) == 2**63 - 1


def test_a_position_beyond_a_bigint_is_no_cursor() -> None:
    overflow: Any = 2**63
    with pytest.raises(BadCursor):
        decode_cursor(encode_cursor(overflow), uuid=False)
