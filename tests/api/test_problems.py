"""Every refusal is a problem, and none says more than it should."""

from typing import Any

import pytest

from tests.api.conftest import Api, assert_problem
from wallet_project.api.problems import STATUSES, status_of
from wallet_project.utils import errors


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("conflict", 409, "conflict"),
        ("fields", 400, "invalid_input"),
        ("forbidden", 403, "not_allowed"),
        ("drf-forbidden", 403, "not_allowed"),
        ("gone", 404, "not_found"),
        ("drf-gone", 404, "not_found"),
        ("suspicious", 400, "bad_request"),
        ("too-big", 413, "body_too_large"),
        ("bug", 500, "internal_error"),
        ("familyless", 500, "domain_error"),
        ("constraint", 500, "internal_error"),
        ("refused-connection", 503, "database_unavailable"),
        ("lock", 503, "database_busy"),
        ("statement", 503, "database_busy"),
        ("deadlock", 503, "database_busy"),
    ],
)
def test_an_exception_becomes_its_problem_and_nothing_leaks(api: Api, kind: str, status: int, code: str) -> None:
    response = api.get(f"/api/t/fail/{kind}")
    assert_problem(response, status, code)
    for secret in (b"secret", b"10.0.0.1", b"Traceback", b"RuntimeError"):
        assert secret not in response.content


def test_a_domain_error_brings_its_facts_but_never_replaces_the_format(api: Api) -> None:
    body = assert_problem(api.get("/api/t/fail/domain"), 422, "insufficient_funds")
    assert (body["transaction"], body["available"]) == ("0198", 3)
    assert body["detail"] == "The account does not have that much available."


def test_a_domain_error_can_point_at_fields(api: Api) -> None:
    body = assert_problem(api.get("/api/t/fail/fields"), 400, "invalid_input")
    assert body["errors"] == [
        {"field": "iban", "pointer": "/iban", "code": "invalid_input", "detail": "This is not an IBAN."}
    ]


@pytest.mark.parametrize(("kind", "seconds"), [("many", "7"), ("away", "3"), ("lock", "1")])
def test_who_may_try_again_is_told_when(api: Api, kind: str, seconds: str) -> None:
    assert api.get(f"/api/t/fail/{kind}")["Retry-After"] == seconds


def test_an_unknown_address_is_a_problem_below_the_api_and_a_page_elsewhere(api: Api) -> None:
    assert_problem(api.get("/api/v1/nothing-here"), 404, "not_found")
    assert_problem(api.get("/webhooks/nothing-here"), 404, "not_found")
    assert api.get("/nothing-here")["Content-Type"].startswith("text/html")


@pytest.mark.parametrize("path", ["/api/v1/nothing-here", "/api/t/plain/bug", "/api/t/fail/bug", "/api/t/plain/gone"])
def test_debugging_does_not_change_what_the_api_answers(api: Api, settings: Any, path: str) -> None:
    settings.DEBUG = True
    response = api.get(path)
    assert response["Content-Type"] == "application/problem+json"
    assert b"secret" not in response.content


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("bug", 500, "internal_error"),
        ("suspicious", 400, "bad_request"),
        ("forbidden", 403, "not_allowed"),
        ("gone", 404, "not_found"),
        ("domain", 422, "insufficient_funds"),
        ("lock", 503, "database_busy"),
    ],
)
def test_a_plain_view_below_the_api_answers_with_problems_too(api: Api, kind: str, status: int, code: str) -> None:
    response = api.get(f"/api/t/plain/{kind}")
    assert_problem(response, status, code)
    assert b"secret" not in response.content


@pytest.mark.parametrize(("kind", "status"), [("bug", 500), ("suspicious", 400), ("forbidden", 403), ("gone", 404)])
def test_elsewhere_django_answers_with_its_pages(api: Api, kind: str, status: int) -> None:
    response = api.get(f"/elsewhere/{kind}")
    assert (response.status_code, response["Content-Type"].split(";")[0]) == (status, "text/html")
    assert b"secret" not in response.content


def test_another_method_is_refused_with_the_methods_that_are_taken(api: Api) -> None:
    response = api.get("/api/t/echo")
    assert_problem(response, 405, "method_not_allowed")
    assert "POST" in response["Allow"]


def test_a_caller_who_takes_no_json_is_told_so_in_json(api: Api) -> None:
    assert_problem(api.send("/api/t/echo", b"{}", accept="text/html"), 406, "not_acceptable")


@pytest.mark.parametrize("accept", ["*/*", "application/json", "text/html, application/json;q=0.9", "application/*"])
def test_a_caller_who_takes_json_gets_it(api: Api, accept: str) -> None:
    response = api.send("/api/t/echo", b"{}", accept=accept)
    assert (response.status_code, response["Content-Type"]) == (200, "application/json")


def test_a_host_that_is_not_ours_is_a_problem(api: Api, settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["wallet.example"]
    assert_problem(api.get("/api/t/users"), 400, "bad_request")


def test_each_family_has_a_status() -> None:
    families = {family for family in errors.DomainError.__subclasses__() if family.__module__ == errors.__name__}
    assert families == set(STATUSES)


def test_a_class_takes_the_status_of_its_nearest_family() -> None:
    assert status_of(errors.DatabaseBusy) == 503
    assert status_of(errors.DomainError) == 500
