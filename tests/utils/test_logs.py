"""Logs say what happened and to which transaction, and not to whom."""

import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from wallet_project.utils.logs import MASK, LineHandler, lines_together, logging_config, mask_personal_data, scrub


def masked(**event: Any) -> dict[str, Any]:
    return dict(mask_personal_data(None, "info", event))


@pytest.mark.parametrize(
    "key", ["email", "first_name", "iban", "date_of_birth", "X-Session-Token", "Authorization", "password", "metadata"]
)
def test_a_personal_key_is_masked(key: str) -> None:
    assert masked(**{key: "Ada"}) == {key: MASK}


def test_a_personal_key_is_masked_at_any_depth() -> None:
    event = masked(profile_of="x", body={"beneficiary": {"iban": "DE89"}, "lines": [{"name": "Ada", "amount": 5}]})
    assert event == {"profile_of": "x", "body": {"beneficiary": MASK, "lines": [{"name": MASK, "amount": 5}]}}


def test_ids_and_amounts_stay() -> None:
    event = {"transaction_id": "0198", "amount": 2000, "currency": "EUR", "email_verified": True, "token_count": 1}
    assert masked(**event) == event


def test_depth_without_end_is_cut() -> None:
    deep: dict[str, Any] = {}
    deep["a"] = deep
    assert MASK in json.dumps(masked(body=deep))


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("no account of ada.l+x@example.co.uk here", f"no account of {MASK} here"),
        ("sent to DE89370400440532013000.", f"sent to {MASK}."),
        ("DETAIL:  Key (email)=(a) already exists.", f"DETAIL:  Key (email)=({MASK}) already exists."),
        ("DETAIL:  Failing row contains (1, Ada, 2001-02-03).", f"DETAIL:  Failing row contains ({MASK})."),
        ("01980000-0000-7000-8000-000000000001", "01980000-0000-7000-8000-000000000001"),
        ("cleared 5 units (2 failed)", "cleared 5 units (2 failed)"),
    ],
)
def test_free_text_is_scrubbed(text: str, clean: str) -> None:
    assert scrub(text) == clean


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(ValueError, match="json or console"):
        logging_config("xml")


_LOG = """
import logging, logging.config, structlog
from wallet_project.utils.logs import logging_config
logging.config.dictConfig(logging_config("FORMAT"))
with structlog.contextvars.bound_contextvars(request_id="r-1"):
    structlog.get_logger("a").info("cleared", transaction_id="t-1", email="a@b.example")
    logging.getLogger("b").warning("told %s", "a@b.example", extra={"secret_member": 1})
    try:
        raise ValueError("a@b.example is not known")
    except ValueError:
        structlog.get_logger("c").exception("failed")
    logging.getLogger("d").debug("nothing")
    structlog.get_logger("e").info("odd", large=2**70, half="\\ud800", members={1: {2}})
"""


def logged(log_format: str) -> str:
    """What a process writes: the set-up is a process's own."""
    return subprocess.run(
        [sys.executable, "-c", _LOG.replace("FORMAT", log_format)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    ).stderr


def test_json_logs_are_one_object_a_line() -> None:
    lines = [json.loads(line) for line in logged("json").splitlines()]
    assert [(line["event"], line["level"], line["logger"]) for line in lines] == [
        ("cleared", "info", "a"),
        (f"told {MASK}", "warning", "b"),
        ("failed", "error", "c"),
        ("odd", "info", "e"),
    ]
    assert {line["request_id"] for line in lines} == {"r-1"}
    assert lines[0]["transaction_id"] == "t-1"
    assert lines[0]["timestamp"].endswith("Z")
    assert "ValueError" in lines[2]["exception"]
    assert (lines[3]["large"], lines[3]["half"], lines[3]["members"]) == (2**70, "\ud800", {"1": "{2}"})
    assert "a@b.example" not in json.dumps(lines)


def test_console_logs_say_the_same() -> None:
    printed = logged("console")
    assert "cleared" in printed
    assert "a@b.example" not in printed


class Stream:
    """Standard error, which counts how often it is written to."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.full = False

    def write(self, text: str) -> None:
        if self.full:
            raise OSError("No space left on device")
        self.written.append(text)

    def flush(self) -> None:
        pass


@pytest.fixture
def stream() -> Stream:
    return Stream()


@pytest.fixture
def log(stream: Stream) -> Iterator[logging.Logger]:
    handler = LineHandler()
    handler.setStream(stream)
    made = logging.getLogger("lines")
    made.addHandler(handler)
    made.setLevel(logging.INFO)
    made.propagate = False
    yield made
    made.removeHandler(handler)


def test_lines_together_are_written_once_and_those_of_other_threads_at_once(
    log: logging.Logger, stream: Stream
) -> None:
    with lines_together():
        log.info("one")
        other = threading.Thread(target=log.info, args=("another's",))
        other.start()
        other.join()
        log.info("two")
        assert stream.written == ["another's\n"]
    log.info("three")
    assert stream.written == ["another's\n", "one\ntwo\n", "three\n"]


def test_lines_are_written_whatever_ends_what_they_are_of(log: logging.Logger, stream: Stream) -> None:
    def fail() -> None:
        with lines_together():
            log.info("one")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with lines_together():
        pass
    assert stream.written == ["one\n"]


def test_a_log_that_can_not_be_written_ends_nothing(
    log: logging.Logger, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    stream.full = True
    with lines_together():
        log.info("one")
    stream.full = False
    log.info("two")
    assert stream.written == ["two\n"]
