"""The request's id, and the short way past the browser's middleware."""

import io
import json
from typing import Any

import pytest
from django.http import HttpRequest
from django.test import RequestFactory

from tests.api.conftest import Api, assert_problem
from wallet_project.api.bodies import take_unmeasured_body
from wallet_project.api.parsers import MAX_BODY_BYTES
from wallet_project.middleware import FastLaneMiddleware
from wallet_project.utils.context import request_id


@pytest.mark.parametrize("path", ["/api/t/raw", "/api/v1/nothing", "/nothing", "/healthz", "/api/t/fail/bug"])
def test_each_answer_carries_the_callers_request_id(api: Api, path: str) -> None:
    assert api.get(path, x_request_id="order-7.retry_2")["X-Request-ID"] == "order-7.retry_2"


@pytest.mark.parametrize("given", ["", "a b", "a" * 65, "ż", 'a"b', "a\tb", "<script>"])
def test_a_request_id_in_another_form_is_replaced(api: Api, given: str) -> None:
    answered = api.get("/healthz", x_request_id=given)["X-Request-ID"]
    assert answered != given
    assert len(answered) == 36


def test_the_request_id_ends_with_the_request(api: Api) -> None:
    api.get("/healthz", x_request_id="mine")
    assert request_id.get() == ""


def test_the_log_names_the_request_by_its_id(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    api.get("/healthz?email=a@b.example", x_request_id="mine")
    [line] = [record.msg for record in caplog.records if "request_finished" in str(record.msg)]
    assert isinstance(line, dict)
    assert (line["request_id"], line["code"]) == ("mine", 200)
    assert "ip" not in line
    assert line["request"] == "GET /healthz"


def test_the_api_sets_no_cookie_and_may_not_be_cached(api: Api) -> None:
    response = api.send("/api/t/echo", b"{}")
    assert not response.cookies
    assert response["Cache-Control"] == "no-store"
    assert response["X-Content-Type-Options"] == "nosniff"


def test_only_browsers_meet_sessions_and_csrf(settings: Any) -> None:
    seen: list[str] = []
    middleware = FastLaneMiddleware(lambda request: seen.append(request.path) or None)  # type: ignore[arg-type,func-returns-value]
    settings.ROOT_URLCONF = "tests.api.urls"
    for path in ("/admin/", "/_allauth/app/v1/config", "/apiary", "/"):
        middleware(RequestFactory().get(path))
    assert seen == ["/admin/", "/_allauth/app/v1/config", "/apiary", "/"]
    assert middleware(RequestFactory().get("/healthz")).status_code == 200
    assert len(seen) == 4


def chunked(body: bytes, *, terminated: bool = True) -> HttpRequest:
    """What a server hands over for a chunked transfer, which has no length."""
    request = RequestFactory().post("/api/t/raw", body, content_type="application/json")
    del request.META["CONTENT_LENGTH"]
    request.META["HTTP_TRANSFER_ENCODING"] = "chunked"
    request.META["wsgi.input"] = io.BytesIO(body)
    if terminated:
        request.META["wsgi.input_terminated"] = True
    return request


def answer(request: HttpRequest) -> Any:
    return FastLaneMiddleware(lambda _: pytest.fail("left the lane"))(request)


def test_a_chunked_body_is_read_like_any_other(settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.api.urls"
    response = answer(chunked(b'{"a": 1}'))
    assert (response.status_code, json.loads(response.content)) == (200, {"a": 1})


def test_a_chunked_body_that_is_too_large_is_refused(settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.api.urls"
    response = answer(chunked(b" " * (MAX_BODY_BYTES + 1)))
    assert response.status_code == 413
    assert json.loads(response.content)["code"] == "body_too_large"


def test_a_chunked_body_whose_end_the_server_does_not_mark_is_refused() -> None:
    response = take_unmeasured_body(chunked(b"{}", terminated=False))
    assert response is not None
    assert json.loads(response.content)["code"] == "length_required"


@pytest.mark.parametrize("length", ["ten", "-1", "+2", "1.5", "٢"])
def test_a_length_that_is_no_number_is_refused(api: Api, length: str) -> None:
    response = api.client.post("/api/t/echo", b"{}", content_type="application/json", CONTENT_LENGTH=length)
    assert_problem(response, 400, "bad_request")
