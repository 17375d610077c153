"""Runs tests in a forked child against a mutant: Django is set up once, and each mutant costs its tests alone."""

import json
import os
import select
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

import psycopg
import pytest
from _pytest.runner import runtestprotocol


@dataclass(frozen=True, slots=True)
class Failure:
    """Which test noticed, and how. `sqlstate` is that of PostgreSQL's error, where there was one."""

    test: str
    error: str
    sqlstate: str = ""
    timed_out: bool = False


class FirstError:
    """A pytest plugin that keeps the exception of the last test that failed."""

    def __init__(self) -> None:
        self.error: BaseException | None = None

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
        if call.excinfo is not None:
            self.error = call.excinfo.value
        return (yield)


def run_in_child(
    items: Sequence[pytest.Item],
    *,
    seconds: Callable[[str], float],
    prepare: Callable[[], None],
    errors: FirstError,
    after_each: Callable[[str, float, str], None] | None = None,
) -> tuple[Failure | None, int]:
    """Fork, `prepare`, run the tests in this order until one fails; all of them if there is an `after_each`, which is
    called in the child with the test, its seconds and its error, if any.

    `seconds` says how long each may take; a test that takes longer is a failure, and ends it. Returns the failure that
    ended it, and how many ran.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        os.setsid()
        _be_the_child(writer, items, prepare, errors, after_each)
    os.close(writer)
    try:
        with os.fdopen(reader) as lines:
            return _listen(pid, lines, seconds)
    finally:
        os.waitpid(pid, 0)


def _be_the_child(
    writer: int,
    items: Sequence[pytest.Item],
    prepare: Callable[[], None],
    errors: FirstError,
    after_each: Callable[[str, float, str], None] | None,
) -> None:
    """Never returns: what pytest would do at its end belongs to the parent."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    with os.fdopen(writer, "w", buffering=1) as out:
        try:
            prepare()
            _run(out, items, errors, after_each)
        except BaseException as error:
            _say(out, failed={"test": "", "error": f"the child broke: {error!r}", "sqlstate": ""})
        _say(out, ended=True)
    os._exit(0)


def _run(
    out: TextIO,
    items: Sequence[pytest.Item],
    errors: FirstError,
    after_each: Callable[[str, float, str], None] | None,
) -> None:
    for number, item in enumerate(items):
        _say(out, starting=item.nodeid)
        errors.error = None
        began = time.monotonic()
        following = items[number + 1] if number + 1 < len(items) else None
        reports = runtestprotocol(item, log=False, nextitem=following)
        seconds = round(time.monotonic() - began, 3)
        _say(out, ran=item.nodeid)
        bad = next((report for report in reports if report.failed), None)
        error = _error(bad, errors) if bad is not None else ""
        if after_each is not None:
            after_each(item.nodeid, seconds, error)
        elif bad is not None:
            _say(out, failed={"test": item.nodeid, "error": error, "sqlstate": _sqlstate(errors.error)})
            return


def _error(bad: pytest.TestReport, errors: FirstError) -> str:
    text = f"{type(errors.error).__name__}: {errors.error}" if errors.error else str(bad.longrepr)
    return " ".join(text.split())[:200]


def _say(out: TextIO, **message: Any) -> None:
    out.write(json.dumps(message) + "\n")


def _sqlstate(error: BaseException | None) -> str:
    while error is not None:
        if isinstance(error, psycopg.Error) and error.sqlstate:
            return error.sqlstate
        error = error.__cause__ or error.__context__
    return ""


def _listen(pid: int, lines: TextIO, seconds: Callable[[str], float]) -> tuple[Failure | None, int]:
    failure: Failure | None = None
    ran = 0
    running, deadline = "", time.monotonic() + 60
    pending = ""
    while True:
        ready, _, _ = select.select([lines], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            os.killpg(pid, signal.SIGKILL)
            return Failure(running, "took too long", timed_out=True), ran
        chunk = os.read(lines.fileno(), 65536).decode()
        if not chunk:
            return failure or Failure(running, "the process died"), ran
        pending += chunk
        *whole, pending = pending.split("\n")
        for line in whole:
            message = json.loads(line)
            if "starting" in message:
                running = message["starting"]
                deadline = time.monotonic() + seconds(running)
            elif "ran" in message:
                ran += 1
            elif "failed" in message:
                failure = Failure(**message["failed"])
            elif "ended" in message:
                return failure, ran
