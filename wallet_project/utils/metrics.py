"""Figures for operators. Requests and their latency come from django-prometheus; these are the wallet's own.

Counters and histograms are kept by each process and added up over all of them at the scrape when
PROMETHEUS_MULTIPROC_DIR names a folder that web and workers share. What the rows say (the age of the oldest waiting
unit, open escalations) is asked of the database at the scrape, by readers that each app registers.
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

import structlog
from django.db import Error as DatabaseError
from django.db import connection
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
    values,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.values import MultiProcessValue

logger = structlog.get_logger(__name__)

if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
    # Web and workers may be containers, in each of which the same process ids come again. Kept until the process forks:
    # a request moves a dozen figures, and each looks at this.
    _process = f"{socket.gethostname()}-{os.getpid()}"

    def _name_the_child() -> None:
        global _process
        _process = f"{socket.gethostname()}-{os.getpid()}"

    os.register_at_fork(after_in_child=_name_the_child)
    values.ValueClass = MultiProcessValue(process_identifier=lambda: _process)  # type: ignore[no-untyped-call]

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
#: Scrapes closer together than this see the same figures; several Prometheus servers cost no more than one.
FRESH_SECONDS: Final = 5.0

RETRIES = Counter("wallet_retries", "Tries after the first, by what was tried.", ["stage"])
TASKS = Counter("wallet_tasks", "Background tasks that ended, by outcome.", ["task", "outcome"])
TASK_SECONDS = Histogram("wallet_task_seconds", "How long a background task ran.", ["task"])
SCRAPE_FAILURES = Counter("wallet_scrape_failures", "Figures that could not be read at a scrape.", ["metric"])

#: One figure: the labels' values in the order of the gauge's labels, and the number.
Sample = tuple[tuple[str, ...], float]
Reader = Callable[[], Iterable[Sample]]


@dataclass
class _Gauge:
    name: str
    documentation: str
    labels: tuple[str, ...]
    readers: list[Reader] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    read_at: float = float("-inf")


_gauges: dict[str, _Gauge] = {}
_stages: set[str] = set()
_lock = threading.Lock()


def add_gauge(name: str, documentation: str, reader: Reader, *, labels: tuple[str, ...] = ()) -> None:
    """Have `reader` called at a scrape. Several apps may add readers to one gauge (each with other label values);
    samples with the same labels are added up. Raises ValueError when the labels differ from the first ones'."""
    gauge = _gauges.setdefault(name, _Gauge(name, documentation, labels))
    if gauge.labels != labels:
        raise ValueError(f"{name} has the labels {gauge.labels}, not {labels}")
    if reader not in gauge.readers:
        gauge.readers.append(reader)


def oldest_waiting(reader: Reader) -> None:
    """`reader` gives ((stage,), seconds since the oldest unit waiting there was due) for each stage, 0 when none is."""
    add_gauge("wallet_oldest_waiting_seconds", "Age of the oldest waiting unit in a stage.", reader, labels=("stage",))


def open_escalations(reader: Reader) -> None:
    """`reader` gives ((), how many escalations are open)."""
    add_gauge("wallet_open_escalations", "Escalations that wait for a human.", reader)


def expect_retries(*stages: str) -> None:
    """Show these at 0 from the start: Prometheus sees no increase in a figure that begins with its first one."""
    _stages.update(stages)


def retried(stage: str) -> None:
    RETRIES.labels(stage).inc()


def task_ended(task: str, outcome: str, seconds: float) -> None:
    TASKS.labels(task, outcome).inc()
    TASK_SECONDS.labels(task).observe(seconds)


def render() -> bytes:
    """The page that Prometheus reads."""
    # Made here rather than at start-up: not every process may write where the counters are kept.
    for stage in _stages:
        RETRIES.labels(stage)
    registry: CollectorRegistry = REGISTRY
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    asked = CollectorRegistry()
    asked.register(_AskedAtScrape())
    return generate_latest(registry) + generate_latest(asked)


class _AskedAtScrape:
    def collect(self) -> Iterator[Metric]:
        with _lock:
            for gauge in _gauges.values():
                family = GaugeMetricFamily(gauge.name, gauge.documentation, labels=gauge.labels)
                for labels, value in _samples(gauge):
                    family.add_metric(labels, value)
                yield family


def _samples(gauge: _Gauge) -> list[Sample]:
    if time.monotonic() - gauge.read_at < FRESH_SECONDS:
        return gauge.samples
    totals: dict[tuple[str, ...], float] = {}
    try:
        for reader in gauge.readers:
            for labels, value in reader():
                totals[labels] = totals.get(labels, 0.0) + value
    except DatabaseError as error:
        # No figure rather than an old one: an alert on absence is right when the database is away.
        logger.warning("metric_unreadable", metric=gauge.name, error=type(error).__name__)
        SCRAPE_FAILURES.labels(gauge.name).inc()
        connection.close_if_unusable_or_obsolete()
        return []
    gauge.samples, gauge.read_at = list(totals.items()), time.monotonic()
    return gauge.samples
