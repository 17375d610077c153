"""Each field takes one form of its value."""

import json
from typing import Any

import pytest

from tests.api.conftest import Api, assert_problem


def send(api: Api, **body: Any) -> Any:
    return api.send("/api/t/echo", json.dumps(body).encode())


@pytest.mark.parametrize("amount", [True, "5", "١٢٣", 5.0, 1e2, None, [5], {"a": 5}])
def test_an_amount_that_is_no_json_integer_is_refused(api: Api, amount: Any) -> None:
    body = assert_problem(send(api, amount=amount), 400, "invalid_input")
    [error] = body["errors"]
    assert (error["field"], error["pointer"]) == ("amount", "/amount")
    assert error["code"] in ("not_an_integer", "null")


@pytest.mark.parametrize("amount", [0, -1, 10**15 + 1, 2**63 - 1, -(2**63)])
def test_an_amount_out_of_range_is_refused(api: Api, amount: int) -> None:
    [error] = assert_problem(send(api, amount=amount), 400, "invalid_input")["errors"]
    assert error["code"] == "out_of_range"


@pytest.mark.parametrize("amount", [1, 10**15])
def test_the_least_and_the_largest_amount_are_taken(api: Api, amount: int) -> None:
    assert send(api, amount=amount).json() == {"amount": str(amount)}


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("currency", "eur", "unknown_currency"),
        ("currency", "XXX", "unknown_currency"),
        ("currency", 1, "unknown_currency"),
        ("currency", ["EUR"], "unknown_currency"),
        ("account", "0198", "not_an_id"),
        ("account", "{01980000-0000-7000-8000-000000000001}", "not_an_id"),
        ("account", "01980000000070008000000000000001", "not_an_id"),
        ("account", "urn:uuid:01980000-0000-7000-8000-000000000001", "not_an_id"),
        ("account", 5, "not_an_id"),
        ("label", 5, "not_a_string"),
        ("label", "", "blank"),
        ("label", " \u00a0 ", "blank"),
        ("label", "12345678901", "too_long"),
        ("label", "a\x07b", "control_character"),
        ("label", "a\nb", "control_character"),
        ("label", "a\u2028b", "control_character"),
        ("label", "ab\u202eba", "control_character"),
        ("metadata", {"k": "\u2067x"}, "control_character"),
        ("code", "A", "too_short"),
        ("code", "ab", "no_match"),
        ("born", "2001-02-29", "not_a_date"),
        ("born", "20010228", "not_a_date"),
        ("born", "2001-W01-1", "not_a_date"),
        ("born", "٢٠٠١-٠٢-٠٢", "not_a_date"),
        ("born", 20010228, "not_a_date"),
        ("agreed", "true", "not_a_boolean"),
        ("agreed", 1, "not_a_boolean"),
        ("seconds", 59, "out_of_range"),
        ("seconds", 3_601, "out_of_range"),
        ("seconds", True, "not_an_integer"),
        ("seconds", 60.0, "not_an_integer"),
        ("seconds", "60", "not_an_integer"),
        ("metadata", [], "not_an_object"),
        ("metadata", {"a": 1}, "not_a_string"),
        ("metadata", {"a": {"b": "c"}}, "not_a_string"),
        ("metadata", {"": "c"}, "bad_key"),
        ("metadata", {"a b": "c"}, "bad_key"),
        ("metadata", {"k" * 41: "c"}, "bad_key"),
        ("metadata", {"k": "c" * 501}, "too_long"),
        ("metadata", {"k": "\x1b[2J"}, "control_character"),
        ("metadata", {str(number): "c" for number in range(21)}, "too_many"),
    ],
)
def test_a_value_in_another_form_is_refused(api: Api, field: str, value: Any, code: str) -> None:
    [error] = assert_problem(send(api, **{field: value}), 400, "invalid_input")["errors"]
    assert (error["field"], error["code"]) == (field, code)


@pytest.mark.parametrize("seconds", [60, 3_600])
def test_both_bounds_of_a_whole_number_are_taken(api: Api, seconds: int) -> None:
    assert send(api, seconds=seconds).json() == {"seconds": str(seconds)}


def test_text_is_trimmed_and_composed(api: Api) -> None:
    assert send(api, label="  e\u0301  ").json() == {"label": "'é'"}
    assert send(api, note=" ").json() == {"note": "''"}


@pytest.mark.parametrize("label", ["👩\u200d👧", "می\u200cخواهم", "שלום\u200f!"])
def test_marks_that_belong_to_a_script_are_taken(api: Api, label: str) -> None:
    assert send(api, label=label).status_code == 200


def test_an_unknown_field_is_named_beside_the_other_errors(api: Api) -> None:
    body = assert_problem(send(api, amount=0, refrence="rent"), 400, "invalid_input")
    assert [(error["field"], error["code"]) for error in body["errors"]] == [
        ("refrence", "unknown_field"),
        ("amount", "out_of_range"),
    ]


def test_a_read_only_field_cannot_be_set(api: Api) -> None:
    [error] = assert_problem(send(api, status="cleared"), 400, "invalid_input")["errors"]
    assert (error["field"], error["code"]) == ("status", "unknown_field")


def test_an_error_further_down_is_pointed_at(api: Api) -> None:
    body = assert_problem(send(api, part={"name": "a", "x/y~z": 1}, parts=[{"name": "a"}, {}]), 400, "invalid_input")
    assert [(error["field"], error["pointer"], error["code"]) for error in body["errors"]] == [
        ("part.x/y~z", "/part/x~1y~0z", "unknown_field"),
        ("parts.1.name", "/parts/1/name", "required"),
    ]


def test_thousands_of_unknown_fields_get_a_short_answer(api: Api) -> None:
    response = api.send("/api/t/echo", json.dumps({f"{number:04d}": 0 for number in range(5000)}).encode())
    assert len(assert_problem(response, 400, "invalid_input")["errors"]) == 100
