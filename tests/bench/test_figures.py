"""The bench's arithmetic: what could be wrong without anybody seeing it."""

import http.client
import json
import time
from pathlib import Path

import pytest

from bench import http_load, report
from bench.catalogue import BY_KEY, FIGURES, percentile, summary, unmeasured
from bench.stopwatch import Stopwatch
from tests.support.servers import ROOT

RATE = 200.0


def test_the_median_of_the_rounds_is_judged_by_bound_and_aim() -> None:
    figure = BY_KEY["transfer_in_process"]
    row = summary(figure, [0.7, 0.9, 1.5])
    assert (row["median"], row["min"], row["max"], row["rounds"]) == (0.9, 0.7, 1.5, 3)
    assert (row["at_least"], row["aim"], row["verdict"]) == (0.8, 1.2, "enough")
    assert summary(figure, [0.79])["verdict"] == "below"
    assert summary(figure, [1.2])["verdict"] == "reached"


def test_where_less_is_better_the_bound_is_an_upper_one() -> None:
    row = summary(BY_KEY["read_p99"], [1.6])
    assert (row["at_most"], row["verdict"]) == (3, "enough")
    assert summary(BY_KEY["read_p99"], [3.1])["verdict"] == "below"


def test_an_aim_is_never_easier_than_its_bound() -> None:
    for figure in FIGURES:
        assert (figure.aim >= figure.bound) if figure.more_is_better else (figure.aim <= figure.bound), figure.key


def test_the_record_has_every_figure_and_none_that_is_void() -> None:
    kept = json.loads((ROOT / "bench" / "results.json").read_text())
    assert kept["figures"].keys() == BY_KEY.keys()
    verdicts = {key: row["verdict"] for key, row in kept["figures"].items() if key != "growth_5m"}
    assert set(verdicts.values()) <= {"reached", "enough", "below"}, verdicts
    assert all(kept["figures"][key]["rounds"] >= 5 for key in verdicts)
    assert {"machine", "versions", "commit", "tpcb_per_second"} <= kept.keys()


def test_what_was_not_measured_is_no_figure() -> None:
    with pytest.raises(ValueError, match="pipeline was not measured"):
        summary(BY_KEY["pipeline"], [])


def test_a_figure_that_could_not_be_measured_says_why_and_keeps_its_bound() -> None:
    row = unmeasured(BY_KEY["growth_5m"], "no generate_load")
    assert (row["median"], row["rounds"], row["at_least"]) == (None, 0, 0.9)
    assert row["verdict"] == "not measured: no generate_load"
    assert row.keys() == summary(BY_KEY["growth_5m"], [1.0]).keys()


def test_a_figure_measured_alone_takes_its_place_among_the_others(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    rest = {"transfer_in_process": summary(BY_KEY["transfer_in_process"], [1.0])}
    report.write({"figures": {**rest, "growth_5m": unmeasured(BY_KEY["growth_5m"], "")}, "overload": {"sent": 1}}, path)
    alone = {"growth_5m": summary(BY_KEY["growth_5m"], [0.95])}
    report.record({"figures": alone, "overload": {}, "commit": "abc", "tpcb_per_second": {"median": 9}}, path)
    kept = json.loads(path.read_text())
    assert kept["figures"]["transfer_in_process"] == rest["transfer_in_process"]
    assert (kept["figures"]["growth_5m"]["median"], kept["figures"]["growth_5m"]["commit"]) == (0.95, "abc")
    assert kept["overload"] == {"sent": 1}


def test_what_is_measured_alone_before_anything_else_is_the_record(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    alone = {"figures": {"pipeline": summary(BY_KEY["pipeline"], [0.3])}, "overload": {}}
    report.record(alone, path)
    assert json.loads(path.read_text()) == alone


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [float(number) for number in range(100, 0, -1)]
    assert (percentile(values, 0.5), percentile(values, 0.99), percentile(values, 1)) == (50, 99, 100)
    assert percentile([7.0], 0.99) == 7


def test_what_the_generator_says_is_read_and_refusals_carry_nothing() -> None:
    load = http_load.read_figures("  Latency 1.2ms\nFIGURES 300 2000000 100 3\n")
    assert (load.per_second, load.refused, load.broken) == (100, 100, 3)
    with pytest.raises(RuntimeError, match="unable to connect"):
        http_load.read_figures("unable to connect")


def test_who_waits_behind_a_stall_has_waited_since_his_request_was_due() -> None:
    began = time.perf_counter()

    def stalls_once(_: http.client.HTTPConnection, number: int) -> None:
        while number == 0 and time.perf_counter() < began + 20 / RATE:
            """Until the first twenty are due."""

    found = http_load.latencies("http://nowhere", stalls_once, rate=RATE, seconds=20 / RATE, senders=1)
    assert len(found) == 20
    # The schedule begins a moment after `began`, so the last of them had just become due.
    assert sum(latency > 2 / RATE for latency in found) >= 5


def test_a_request_that_fails_is_not_a_latency() -> None:
    def refused(_: http.client.HTTPConnection, number: int) -> None:
        raise RuntimeError("answered 503 where 202 was expected")

    with pytest.raises(RuntimeError, match="503"):
        http_load.latencies("http://nowhere", refused, rate=RATE, seconds=2 / RATE)


def test_what_is_timed_within_something_else_counts_for_itself_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0, 0, 5, 8, 9, 9]).__next__
    monkeypatch.setattr(time, "perf_counter", clock)
    watch = Stopwatch()
    with watch.timing("a round"), watch.timing("the reference"):
        pass
    assert watch.seconds() == {"a round": 6, "the reference": 3}
