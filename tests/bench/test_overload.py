"""What the bench says of too much load, against a small server that does what a test wants."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from bench import bulk, overload, raw_http
from bench.overload import Onslaught
from bench.peer import read_rate
from bench.raw_http import Answer, Request
from wallet_project.embedded import ports

ACCEPTED = b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}"
REFUSED = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 2\r\n\r\n{}"
RATE = 100.0


@contextmanager
def serving(answer: Callable[[int], bytes]) -> Iterator[str]:
    """A server that gives each request, counted from 1, what `answer` says; nothing hangs up."""
    started = threading.Event()
    where: list[str] = []
    loop = asyncio.new_event_loop()
    count = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        while True:
            try:
                await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                writer.close()
                return
            count += 1
            said = answer(count)
            if said:
                writer.write(said)

    async def serve() -> None:
        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        where.append(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        started.set()

    async def hang_up() -> None:
        talking = asyncio.all_tasks() - {asyncio.current_task()}
        for task in talking:
            task.cancel()
        await asyncio.gather(*talking, return_exceptions=True)

    def run() -> None:
        loop.run_until_complete(serve())
        loop.run_forever()
        loop.run_until_complete(hang_up())
        loop.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert started.wait(10)
    try:
        yield where[0]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


def numbered() -> Callable[[], Request]:
    made = 0

    def make() -> Request:
        nonlocal made
        made += 1
        return Request(str(made), b"POST / HTTP/1.1\r\nHost: x\r\n\r\n")

    return make


def onslaught(*answers: Answer, recovered: float | None = 0.0) -> Onslaught:
    return Onslaught(answers, rate=RATE, seconds=1, recovered=recovered)


def test_every_request_of_the_schedule_is_sent_and_counted_by_its_answer() -> None:
    with serving(lambda number: REFUSED if number <= 5 else ACCEPTED) as url:
        found = overload.attack(url, numbered(), rate=RATE, seconds=0.2)
    assert len(found.answers) == 20
    assert (len(found.keys(503)), len(found.keys(202))) == (5, 15)
    assert {answer.retry_after for answer in found.answers if answer.status == 503} == {True}
    assert found.recovered is not None


def test_a_connection_that_has_no_answer_holds_up_no_other_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw_http, "_TIMEOUT", 0.5)
    with serving(lambda number: b"" if number == 1 else ACCEPTED) as url:
        found = overload.attack(url, numbered(), rate=RATE, seconds=0.1)
    assert found.keys(0) == ["1"]
    assert len(found.keys(202)) == 9


def test_where_nobody_listens_all_are_unanswered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overload, "_GIVES_UP", 0.05)
    with ports.reserved() as port:
        found = overload.attack(f"http://127.0.0.1:{port}", numbered(), rate=RATE, seconds=0.1)
    assert found.recovered is None
    assert {answer.status for answer in found.answers} == {0}
    assert len(found.answers) >= 10


def test_a_wallet_that_goes_on_refusing_has_not_recovered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overload, "_GIVES_UP", 0.1)
    with serving(lambda _: REFUSED) as url:
        assert overload.attack(url, numbered(), rate=RATE, seconds=0.05).recovered is None


def test_a_wallet_that_bears_too_much_load_well_gives_no_reason_to_complain() -> None:
    found = onslaught(Answer("1", 202, 0.3, False), Answer("2", 503, 0.1, True))
    row = overload.report(found, half_done=0)
    assert (row["accepted"], row["refused"], row["complaints"]) == (1, 1, [])


@pytest.mark.parametrize(
    ("found", "half_done", "complaint"),
    [
        (onslaught(Answer("1", 202, 9.0, False)), 0, "what was accepted took 9.0 s"),
        (onslaught(Answer("1", 503, 0.1, True)), 0, "what was accepted took None s"),
        (onslaught(Answer("1", 202, 0.1, False), Answer("2", 503, 3.0, True)), 0, "learned it after 3.0 s"),
        (onslaught(Answer("1", 202, 0.1, False), Answer("2", 503, 0.1, False)), 0, "1 of the 503 had no Retry-After"),
        (onslaught(Answer("1", 202, 0.1, False), Answer("2", 0, 9.0, False)), 0, "1 requests had no answer, 0"),
        (onslaught(Answer("1", 202, 0.1, False), Answer("2", 500, 0.1, False)), 0, "0 requests had no answer, 1"),
        (onslaught(Answer("1", 202, 0.1, False), recovered=None), 0, "well again after None s"),
        (onslaught(Answer("1", 202, 0.1, False)), 2, "2 keys did not do what their answer said"),
    ],
)
def test_what_is_not_as_it_should_be_is_said(found: Onslaught, half_done: int, complaint: str) -> None:
    (said,) = overload.report(found, half_done=half_done)["complaints"]
    assert complaint in said


def test_without_wrk_every_answer_of_the_closed_loop_is_counted() -> None:
    answered: list[int] = []

    def every_second_is_refused(number: int) -> bytes:
        answered.append(number)
        return ACCEPTED if number % 2 else REFUSED

    with serving(every_second_is_refused) as url:
        requests, _, refused, broken = raw_http.closed_loop(url, numbered(), connections=4, seconds=0.2)
    assert (requests, refused, broken) == (len(answered), len(answered) // 2, 0)
    assert requests >= 4  # Each client has asked at least once.


def test_answers_in_chunks_are_read_to_their_end() -> None:
    chunked = b"HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{1234\r\n1\r\n}\r\n0\r\n\r\n"
    with serving(lambda number: chunked if number % 2 else REFUSED) as url:
        requests, _, refused, broken = raw_http.closed_loop(url, numbered(), connections=2, seconds=0.2)
    assert (refused, broken) == (requests // 2, 0)
    assert requests >= 2


def test_an_answer_whose_end_is_not_told_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overload, "_GIVES_UP", 0.1)
    with serving(lambda _: b"HTTP/1.1 202 Accepted\r\n\r\n") as url:
        found = overload.attack(url, numbered(), rate=RATE, seconds=0.05)
    assert {answer.status for answer in found.answers} == {0}


def test_a_bulk_of_which_one_was_not_accepted_is_no_figure() -> None:
    assert bulk.all_accepted(["accepted"] * bulk.ITEMS) == bulk.ITEMS
    for outcomes in (["accepted"] * (bulk.ITEMS - 1) + ["refused"], ["accepted"] * (bulk.ITEMS - 1)):
        with pytest.raises(RuntimeError, match="999 were accepted"):
            bulk.all_accepted(outcomes)


def test_a_peer_that_says_nothing_is_no_figure() -> None:
    assert read_rate("noise\nRATE 97.25\n") == 97.25
    with pytest.raises(RuntimeError, match="did not say how fast"):
        read_rate("Traceback")
