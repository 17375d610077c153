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


@dataclass(frozen=True, slots=True)
class Ran:
    test: str
    seconds: float


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
    keep_going: bool = False,
    after_each: Callable[[str], dict[str, Any]] | None = None,
) -> tuple[list[Failure], list[Ran], list[dict[str, Any]]]:
    """Fork, `prepare`, run the tests in this order until one fails (or all of them).

    `seconds` says how long each may take; a test that takes longer is a failure, and ends it. Returns the failures,
    what ran, and what `after_each` found out in the child.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        os.setsid()
        _be_the_child(writer, items, prepare, errors, keep_going, after_each)
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
    keep_going: bool,
    after_each: Callable[[str], dict[str, Any]] | None,
) -> None:
    """Never returns: what pytest would do at its end belongs to the parent."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    with os.fdopen(writer, "w", buffering=1) as out:
        try:
            prepare()
            _run(out, items, errors, keep_going, after_each)
        except BaseException as error:
            _say(out, failed={"test": "", "error": f"the child broke: {error!r}", "sqlstate": ""})
        _say(out, ended=True)
    os._exit(0)


def _run(
    out: TextIO,
    items: Sequence[pytest.Item],
    errors: FirstError,
    keep_going: bool,
    after_each: Callable[[str], dict[str, Any]] | None,
) -> None:
    for number, item in enumerate(items):
        _say(out, starting=item.nodeid)
        errors.error = None
        began = time.monotonic()
        following = items[number + 1] if number + 1 < len(items) else None
        reports = runtestprotocol(item, log=False, nextitem=following)
        _say(out, ran={"test": item.nodeid, "seconds": round(time.monotonic() - began, 3)})
        if after_each is not None:
            _say(out, found=after_each(item.nodeid))
        bad = next((report for report in reports if report.failed), None)
        if bad is not None:
            text = f"{type(errors.error).__name__}: {errors.error}" if errors.error else str(bad.longrepr)
            _say(
                out,
                failed={
                    "test": item.nodeid,
                    "error": " ".join(text.split())[:200],
                    "sqlstate": _sqlstate(errors.error),
                },
            )
            if not keep_going:
                return


def _say(out: TextIO, **message: Any) -> None:
    out.write(json.dumps(message) + "\n")


def _sqlstate(error: BaseException | None) -> str:
    while error is not None:
        if isinstance(error, psycopg.Error) and error.sqlstate:
            return error.sqlstate
        error = error.__cause__ or error.__context__
    return ""


def _listen(
    pid: int, lines: TextIO, seconds: Callable[[str], float]
) -> tuple[list[Failure], list[Ran], list[dict[str, Any]]]:
    failures: list[Failure] = []
    ran: list[Ran] = []
    found: list[dict[str, Any]] = []
    running, deadline = "", time.monotonic() + 60
    pending = ""
    while True:
        ready, _, _ = select.select([lines], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            os.killpg(pid, signal.SIGKILL)
            failures.append(Failure(running, "took too long", timed_out=True))
            return failures, ran, found
        chunk = os.read(lines.fileno(), 65536).decode()
        if not chunk:
            if not any(failure.error for failure in failures):
                failures.append(Failure(running, "the process died"))
            return failures, ran, found
        pending += chunk
        *whole, pending = pending.split("\n")
        for line in whole:
            message = json.loads(line)
            if "starting" in message:
                running = message["starting"]
                deadline = time.monotonic() + seconds(running)
            elif "ran" in message:
                ran.append(Ran(**message["ran"]))
            elif "found" in message:
                found.append(message["found"])
            elif "failed" in message:
                failures.append(Failure(**message["failed"]))
            elif "ended" in message:
                return failures, ran, found
