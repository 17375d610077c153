"""Figures at the scrape."""

import subprocess
import sys
from pathlib import Path

import pytest
from django.db import OperationalError

from wallet_project.utils import metrics


@pytest.fixture(autouse=True)
def _no_gauges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_gauges", {})


def page() -> list[str]:
    return metrics.render().decode().splitlines()


def test_apps_share_a_gauge_each_with_its_own_labels() -> None:
    metrics.oldest_waiting(lambda: [(("screening",), 1.5)])
    metrics.oldest_waiting(lambda: [(("clearing",), 0.0)])
    metrics.open_escalations(lambda: [((), 2)])
    metrics.open_escalations(lambda: [((), 3)])
    lines = page()
    assert 'wallet_oldest_waiting_seconds{stage="screening"} 1.5' in lines
    assert 'wallet_oldest_waiting_seconds{stage="clearing"} 0.0' in lines
    assert "wallet_open_escalations 5.0" in lines


def test_scrapes_close_together_ask_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def reader() -> list[metrics.Sample]:
        asked.append(1)
        return [((), float(len(asked)))]

    metrics.open_escalations(reader)
    assert "wallet_open_escalations 1.0" in page()
    assert "wallet_open_escalations 1.0" in page()
    monkeypatch.setattr(metrics, "FRESH_SECONDS", 0.0)
    assert "wallet_open_escalations 2.0" in page()


def test_what_cannot_be_read_is_absent_and_the_rest_is_there() -> None:
    def fails() -> list[metrics.Sample]:
        raise OperationalError("the server is away")

    metrics.open_escalations(fails)
    metrics.oldest_waiting(lambda: [(("screening",), 1.0)])
    lines = page()
    assert not any(line.startswith("wallet_open_escalations ") for line in lines)
    assert 'wallet_oldest_waiting_seconds{stage="screening"} 1.0' in lines
    assert any('wallet_scrape_failures_total{metric="wallet_open_escalations"}' in line for line in page())


def test_other_labels_are_a_mistake() -> None:
    metrics.open_escalations(list)
    with pytest.raises(ValueError, match="has the labels"):
        metrics.add_gauge("wallet_open_escalations", "", list, labels=("kind",))


def test_registering_twice_counts_once() -> None:
    def reader() -> list[metrics.Sample]:
        return [((), 1.0)]

    metrics.open_escalations(reader)
    metrics.open_escalations(reader)
    assert "wallet_open_escalations 1.0" in page()


_COUNT = """
from wallet_project.utils import metrics
metrics.retried("rail")
metrics.task_ended("ledger.clear_due", "done", 0.2)
metrics.open_escalations(lambda: [((), 4)])
print(metrics.render().decode())
"""


def test_the_processes_of_web_and_workers_are_added_up(tmp_path: Path) -> None:
    printed = ""
    for _ in range(2):
        printed = subprocess.run(
            [sys.executable, "-c", _COUNT],
            env={"PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "PATH": ""},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    lines = printed.splitlines()
    assert 'wallet_retries_total{stage="rail"} 2.0' in lines
    assert 'wallet_tasks_total{outcome="done",task="ledger.clear_due"} 2.0' in lines
    # Asked of the database at the scrape, and not once for each process.
    assert "wallet_open_escalations 4.0" in lines
