"""Hostile and careless bodies, through a real view."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.conftest import Api, assert_problem
from wallet_project.api.parsers import MAX_BODY_BYTES, MAX_DEPTH, MalformedBody, parse_object


def nested(depth: int) -> bytes:
    """An object that is `depth` levels deep, itself included."""
    return b'{"a":' * (depth - 1) + b"{}" + b"}" * (depth - 1)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"   ", id="blank"),
        pytest.param(b"{", id="cut off"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b'"text"', id="a string"),
        pytest.param(b"1", id="a number"),
        pytest.param(b"null", id="null"),
        pytest.param(b'{"a":1,"a":1}', id="a member twice"),
        pytest.param(b'{"a":{"b":1,"b":2}}', id="a member twice, further down"),
        pytest.param(b'{"a":1,"\\u0061":2}', id="a member twice, once escaped"),
        pytest.param(b'{"a":NaN}', id="NaN"),
        pytest.param(b'{"a":Infinity}', id="Infinity"),
        pytest.param(b'{"a":-Infinity}', id="-Infinity"),
        pytest.param(b'{"a":1e999}', id="a float beyond floats"),
        pytest.param(b'{"a":' + b"9" * 20 + b"}", id="an integer beyond a bigint"),
        pytest.param(b'{"a":' + b"9" * 5000 + b"}", id="an integer beyond Python"),
        pytest.param(b'{"a":"\x00"}', id="a raw NUL"),
        pytest.param(b'{"a":"\\u0000"}', id="an escaped NUL"),
        pytest.param(b'{"\\u0000":1}', id="an escaped NUL in a name"),
        pytest.param(b'{"a":["\\ud800"]}', id="half a surrogate pair"),
        pytest.param(b'{"a":"\xff"}', id="not UTF-8"),
        pytest.param(b'{"a":"\xed\xa0\x80"}', id="a surrogate in UTF-8"),
        pytest.param(b"\xef\xbb\xbf{}", id="a byte order mark"),
        pytest.param('{"a":1}'.encode("utf-16"), id="UTF-16"),
        pytest.param(b"{'a':1}", id="single quotes"),
        pytest.param(b'{"a":1,}', id="a trailing comma"),
        pytest.param(b'{"a":01}', id="a leading zero"),
        pytest.param(b'{"a":1}{"b":2}', id="two objects"),
        pytest.param(nested(MAX_DEPTH + 1), id="one level too deep"),
        pytest.param(b'{"a":' + b"[" * 3000 + b"]" * 3000 + b"}", id="three thousand levels"),
        pytest.param(b'{"a":"\\"}' + b"[" * 50, id="brackets after an escape"),
    ],
)
def test_a_body_that_parsers_read_differently_is_refused(api: Api, body: bytes) -> None:
    assert_problem(api.send("/api/t/raw", body), 400, "malformed_body")


@pytest.mark.parametrize(
    ("body", "read"),
    [
        (b"{}", {}),
        (nested(MAX_DEPTH), json.loads(nested(MAX_DEPTH))),
        (b'{"a":"' + b"[{" * 40 + b'"}', {"a": "[{" * 40}),
        (b'{"a":"\\"[[[[[[[[[[[[[[[[[[[[[[[[[["}', {"a": '"' + "[" * 26}),
        (b'{"a":"\\ud83d\\ude00"}', {"a": "\N{GRINNING FACE}"}),
        ('{"a":"żółw"}'.encode(), {"a": "żółw"}),
        (b' \n{"a": -9223372036854775808}', {"a": -(2**63)}),
    ],
)
def test_a_sound_body_is_read_as_it_is(api: Api, body: bytes, read: Any) -> None:
    response = api.send("/api/t/raw", body)
    assert (response.status_code, response.json()) == (200, read)


def test_the_largest_body_is_taken_and_one_byte_more_is_not(api: Api) -> None:
    largest = b'{"a":"' + b"x" * (MAX_BODY_BYTES - 8) + b'"}'
    assert len(largest) == MAX_BODY_BYTES
    assert api.send("/api/t/raw", largest).status_code == 200
    body = assert_problem(api.send("/api/t/raw", largest + b" "), 413, "body_too_large")
    assert body["limit_bytes"] == MAX_BODY_BYTES


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=latin-1",
    ],
)
def test_another_content_type_is_refused(api: Api, content_type: str) -> None:
    assert_problem(api.send("/api/t/raw", b"{}", content_type), 415, "unsupported_media_type")


def test_no_body_at_all_is_an_empty_object(api: Api) -> None:
    assert api.send("/api/t/echo", b"").json() == {}


@given(st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_an_object_or_malformed(body: bytes) -> None:
    with suppress(MalformedBody):
        assert isinstance(parse_object(body), dict)


_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)
_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | _text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(_text, _json, max_size=5), st.booleans())
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_what_any_encoder_writes_is_read_back(value: dict[str, Any], ascii_only: bool) -> None:
    assert parse_object(json.dumps(value, ensure_ascii=ascii_only).encode()) == value
