"""The figures of `make bench`: what each is called, what is asked of it, and how rounds become one verdict."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

Unit = Literal["of TPC-B", "of HTTP", "of uniform", "of idle", "of hordak", "of 10k", "s", "MB"]


@dataclass(frozen=True, slots=True)
class Figure:
    """`bound` and `aim` are lower limits (`at_least`) where more is better, upper ones (`at_most`) where less is."""

    key: str
    title: str
    unit: Unit
    bound: float
    aim: float
    more_is_better: bool = True

    def verdict(self, value: float) -> str:
        """reached (the aim), enough (the bound), or below."""
        if self._reaches(value, self.aim):
            return "reached"
        return "enough" if self._reaches(value, self.bound) else "below"

    def _reaches(self, value: float, wanted: float) -> bool:
        return value >= wanted if self.more_is_better else value <= wanted


FIGURES: Final = (
    Figure("transfer_in_process", "transfer in process, uniform accounts", "of TPC-B", 0.8, 1.2),
    Figure("hot_receiver", "the same, everybody pays one", "of uniform", 0.9, 1.0),
    Figure("hot_sender", "the same, one pays everybody", "of uniform", 0.4, 0.8),
    Figure("transfer_http_c8", "transfer over HTTP, 8 connections", "of TPC-B", 0.3, 0.5),
    Figure("transfer_http_c128", "transfer over HTTP, 128 connections", "of TPC-B", 0.5, 1.0),
    Figure("http_hot_sender", "128 connections, one hot sender", "of TPC-B", 0.4, 0.9),
    Figure("http_hot_receiver", "128 connections, one hot receiver", "of TPC-B", 0.45, 1.0),
    Figure("bulk_http", "bulk of 1,000 over HTTP, per transfer", "of TPC-B", 2, 4),
    Figure("bulk_in_process", "bulk of 1,000 in process, per transfer", "of TPC-B", 4, 10),
    Figure("screening", "screening with the default rules", "of TPC-B", 2, 4),
    Figure("screening_30_rules", "the same with 30 rules, 20,000 names, payouts", "of HTTP", 1, 2),
    Figure("clearing_uniform", "clearing, uniform accounts", "of TPC-B", 4, 8),
    Figure("clearing_hot", "clearing, 80 % to one receiver", "of TPC-B", 4, 8),
    Figure("pipeline", "request to cleared, all processes, sustained", "of TPC-B", 0.25, 0.4),
    Figure("time_to_cleared_p50_s", "time to cleared at half of that load, p50", "s", 1, 0.3, more_is_better=False),
    Figure("time_to_cleared_p99_s", "the same, p99", "s", 3, 1, more_is_better=False),
    Figure("growth_5m", "in process with 5 million entries", "of 10k", 0.9, 1.0),
    Figure("read_p99", "reading a balance while others write, p99", "of idle", 3, 1.5, more_is_better=False),
    Figure("web_worker_mb", "memory of one web worker after the run", "MB", 250, 150, more_is_better=False),
    Figure("celery_worker_mb", "memory of one Celery worker after the run", "MB", 250, 150, more_is_better=False),
    Figure("hordak_transfer", "transfer in process, beside django-hordak's", "of hordak", 8, 8),
    Figure("hordak_clearing", "clearing, beside django-hordak's transfers", "of hordak", 40, 40),
)
BY_KEY: Final = {figure.key: figure for figure in FIGURES}


def summary(figure: Figure, rounds: Sequence[float]) -> dict[str, Any]:
    """A row of results.json. Raises ValueError without a round."""
    if not rounds:
        raise ValueError(f"{figure.key} was not measured")
    median = statistics.median(rounds)
    return {
        "median": round(median, 4),
        "min": round(min(rounds), 4),
        "max": round(max(rounds), 4),
        "rounds": len(rounds),
        "at_least" if figure.more_is_better else "at_most": figure.bound,
        "aim": figure.aim,
        "unit": figure.unit,
        "verdict": figure.verdict(median),
    }


def unmeasured(figure: Figure, why: str) -> dict[str, Any]:
    """Its row where there was nothing to measure."""
    return {
        "median": None,
        "min": None,
        "max": None,
        "rounds": 0,
        "at_least" if figure.more_is_better else "at_most": figure.bound,
        "aim": figure.aim,
        "unit": figure.unit,
        "verdict": f"not measured: {why}",
    }


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile: the smallest value that at least `share` (0 to 1) of all do not exceed."""
    if not values:
        raise ValueError("there is nothing to take a percentile of")
    ordered = sorted(values)
    rank = -(-share * len(ordered) // 1)  # rounded up
    return ordered[max(int(rank), 1) - 1]
