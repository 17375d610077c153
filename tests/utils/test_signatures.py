import base64
from datetime import UTC, datetime, timedelta, timezone

import pytest

from wallet_project.utils.errors import Unauthenticated
from wallet_project.utils.signatures import BadSignature, configured_secrets, new_secret, sign, verify

BODY = '{"type":"payment.settled","data":{"reference":"Zoë"}}'.encode()
SECRET = new_secret()


def signed(*, secret: str = SECRET, body: bytes = BODY, age: timedelta = timedelta()) -> dict[str, str]:
    return sign(secret=secret, message_id="msg_1", body=body, at=datetime.now(UTC) - age)


def test_a_message_signed_with_our_secret_is_believed() -> None:
    assert verify(secrets=[SECRET], headers=signed(), body=BODY) == "msg_1"


def test_the_signature_is_that_of_the_specification() -> None:
    # The example of the Standard Webhooks specification's reference implementations.
    headers = sign(
        secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        body=b'{"test": 2432232314}',
        at=datetime.fromtimestamp(1614265330, UTC),
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_headers_are_found_in_any_case() -> None:
    shouted = {name.upper(): value for name, value in signed().items()}
    assert verify(secrets=[SECRET], headers=shouted, body=BODY) == "msg_1"


def test_while_a_secret_is_replaced_the_old_and_the_new_are_believed() -> None:
    old, new = new_secret(), new_secret()
    both = configured_secrets(f"{new}, {old}")
    assert both == [new, old]
    for secret in (old, new):
        assert verify(secrets=both, headers=signed(secret=secret), body=BODY) == "msg_1"
    with pytest.raises(BadSignature):
        verify(secrets=[new], headers=signed(secret=old), body=BODY)


def test_a_changed_body_id_or_time_is_not_believed() -> None:
    headers = signed()
    for changed, body in (
        (headers, BODY + b" "),
        (headers | {"webhook-id": "msg_2"}, BODY),
        (headers | {"webhook-timestamp": str(int(headers["webhook-timestamp"]) + 1)}, BODY),
    ):
        with pytest.raises(BadSignature):
            verify(secrets=[SECRET], headers=changed, body=body)


@pytest.mark.parametrize("age", [timedelta(minutes=5, seconds=5), -timedelta(minutes=5, seconds=5)])
def test_a_message_that_is_five_minutes_off_is_not_believed(age: timedelta) -> None:
    with pytest.raises(BadSignature):
        verify(secrets=[SECRET], headers=signed(age=age), body=BODY)


@pytest.mark.parametrize("age", [timedelta(minutes=4, seconds=50), -timedelta(minutes=4, seconds=50)])
def test_a_message_that_is_a_little_off_is_believed(age: timedelta) -> None:
    assert verify(secrets=[SECRET], headers=signed(age=age), body=BODY) == "msg_1"


def test_the_time_is_signed_as_utc_whatever_the_zone_it_came_in() -> None:
    here = datetime.now(timezone(timedelta(hours=9)))
    headers = sign(secret=SECRET, message_id="msg_1", body=BODY, at=here)
    assert verify(secrets=[SECRET], headers=headers, body=BODY) == "msg_1"


@pytest.mark.parametrize(
    "broken",
    [
        {"webhook-signature": ""},
        {"webhook-signature": "v1"},
        {"webhook-signature": "v1,not base64,and too many commas"},
        {"webhook-signature": "v1a,AAAA"},
        {"webhook-signature": "v1,é"},
        {"webhook-timestamp": "soon"},
        {"webhook-timestamp": "nan"},
        {"webhook-timestamp": "9" * 400},
        {"webhook-id": ""},
        {"webhook-id": "m" * 256},
        {"webhook-id": "line\nbreak"},
    ],
)
def test_malformed_headers_are_a_bad_signature(broken: dict[str, str]) -> None:
    with pytest.raises(BadSignature):
        verify(secrets=[SECRET], headers=signed() | broken, body=BODY)


def test_missing_headers_are_a_bad_signature() -> None:
    with pytest.raises(BadSignature) as caught:
        verify(secrets=[SECRET], headers={}, body=BODY)
    assert isinstance(caught.value, Unauthenticated)


def test_a_body_that_is_not_text_is_a_bad_signature() -> None:
    with pytest.raises(BadSignature):
        verify(secrets=[SECRET], headers=signed(), body=b"\xff\xfe")


def test_one_good_signature_among_several_is_enough() -> None:
    headers = signed()
    headers["webhook-signature"] = f"v1a,AAAA v1,AAAA {headers['webhook-signature']}"
    assert verify(secrets=[SECRET], headers=headers, body=BODY) == "msg_1"


@pytest.mark.parametrize("secret", ["", "whsec_", "hunter2!", "whsec_" + base64.b64encode(b"short").decode()])
def test_a_weak_or_malformed_secret_is_our_own_mistake(secret: str) -> None:
    with pytest.raises(ValueError, match="webhook secret"):
        verify(secrets=[secret], headers=signed(), body=BODY)


def test_without_a_secret_nothing_is_believed() -> None:
    with pytest.raises(ValueError, match="no webhook secret"):
        verify(secrets=configured_secrets(""), headers=signed(), body=BODY)
