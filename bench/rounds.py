"""One round of the bench: each figure in its turn, with the reference beside it."""

import http.client
import random
import sys
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from bench import books, bulk, databases, desk, http_load, in_process, overload, raw_http
from bench.catalogue import percentile
from bench.peer import Hordak
from bench.servers import Servers, Wallet
from bench.stopwatch import Stopwatch
from bench.town import Person, one_cent
from wallet_project.utils.verification import Verified

#: Has rounds of its own, as it changes what is screened by.
FULL_SCREENING = "screening_30_rules"
_IN_PROCESS = (
    "transfer_in_process", "hot_receiver", "hot_sender", "bulk_in_process", "screening", "clearing_uniform",
    "clearing_hot", "hordak_transfer", "hordak_clearing",
)  # fmt: skip
_OVER_HTTP = (
    "transfer_http_c8", "transfer_http_c128", "http_hot_sender", "http_hot_receiver", "bulk_http", "read_p99",
)  # fmt: skip
_THROUGH_WORKERS = (
    "pipeline", "time_to_cleared_p50_s", "time_to_cleared_p99_s", "web_worker_mb", "celery_worker_mb",
)  # fmt: skip
_T = TypeVar("_T")
_UNVERIFIED = "a fork was not verified"
_WARM_SECONDS = 2.0
_WARM_CONNECTIONS = 128


@dataclass(frozen=True, slots=True)
class Lengths:
    """Seconds of a slice, of the reference beside it, of what needs longer to show itself, and of the overload."""

    slice: float
    reference: float
    sustained: float
    overload: float


FULL = Lengths(slice=1.5, reference=1.5, sustained=3, overload=60)
QUICK = Lengths(slice=1, reference=1, sustained=2, overload=5)


@dataclass
class Bench:
    """`values` holds what each round found by figure, `void` why a figure does not count, `missing` why there is
    nothing to measure. `grown`: the people of the databases of `bench.growth`, by name."""

    servers: Servers
    people: list[Person]
    people_file: Path
    lengths: Lengths
    wanted: Collection[str]
    peer: Hordak | None = None
    grown: Mapping[str, list[Person]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    overloaded: dict[str, Any] = field(default_factory=dict)
    values: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    void: dict[str, str] = field(default_factory=dict)
    tpcb: list[float] = field(default_factory=list)
    watch: Stopwatch = field(default_factory=Stopwatch)
    #: What does not hold after this round.
    broken: list[str] = field(default_factory=list)
    verified: Verified | None = None

    @property
    def in_rounds(self) -> list[str]:
        return [key for key in self.wanted if key != FULL_SCREENING]

    def round(self) -> None:
        found: dict[str, float] = {}
        self.broken = []
        with self.watch.timing("clean tables"):
            self.servers.settle()
        broke_off = []
        for part in (self._in_process, self._served, self._growth):
            try:
                with self.watch.timing(part.__name__.strip("_")):
                    self._take(part(), found)
            except Exception as error:
                # Its figures are void; the minutes that the others have taken are not lost.
                broke_off.append(f"{part.__name__.strip('_')} broke off: {type(error).__name__}: {error}"[:500])
                sys.stdout.write(f"  {broke_off[-1]}\n")
        self._catch_up()
        self._verify()
        for key in self.in_rounds:
            if key not in found:
                self.void[key] = "; ".join(broke_off) or "not measured in each round"
                continue
            self.values[key].append(found[key])
            self._void_if_broken(key)

    def _take(self, part: Iterator[tuple[str, float]], found: dict[str, float]) -> None:
        for key, value in part:
            found[key] = value
            void = f"  void: {self.void[key]}" if key in self.void else ""
            sys.stdout.write(f"  {key:<24}{value:10.3f}{void}\n")
            sys.stdout.flush()

    def _in_process(self) -> Iterator[tuple[str, float]]:
        """Transfers that are posted with nothing waiting, as a round begins. The very same are screened and cleared,
        after those that nobody is to clear have been posted in a fork."""
        if not self._wants(*_IN_PROCESS):
            return
        self._catch_up()
        with self._fork():
            uniform = self._measure(in_process.uniform(self.people))
            with databases.inside(databases.FORK):
                yield from self._in_a_fork(uniform)
        peer = self._peer_rate() if self._wants("hordak_transfer", "hordak_clearing") else None
        if peer:
            yield "hordak_transfer", uniform / peer
        if self._wants("screening", "clearing_uniform", "clearing_hot", "hordak_clearing"):
            yield from self._background(peer)

    def _in_a_fork(self, uniform: float) -> Iterator[tuple[str, float]]:
        if self._wants("hot_receiver"):
            yield "hot_receiver", self._measure(in_process.to_one(self.people)) / uniform
        if self._wants("hot_sender"):
            yield "hot_sender", self._measure(in_process.from_one(self.people)) / uniform
        reference = self._reference()
        yield "transfer_in_process", uniform / reference
        if self._wants("bulk_in_process"):
            self.servers.checkpoint()
            yield "bulk_in_process", bulk.in_processes(self.people, seconds=self.lengths.slice) / reference

    def _background(self, peer: float | None) -> Iterator[tuple[str, float]]:
        screened = self._settled(in_process.screened)
        cleared = self._settled(in_process.cleared)
        if peer:
            yield "hordak_clearing", cleared / peer
        reference = self._reference()
        yield "screening", screened / reference
        yield "clearing_uniform", cleared / reference
        if self._wants("clearing_hot"):
            self._measure(in_process.to_one(self.people, share=0.8))
            in_process.screened()
            yield "clearing_hot", self._settled(in_process.cleared) / self._reference()

    def _served(self) -> Iterator[tuple[str, float]]:
        """What is asked over HTTP, of one web server, in a fork. The workers are there for the first part alone: what
        is posted afterwards need not be cleared by anybody."""
        if not self._wants(*_OVER_HTTP, *_THROUGH_WORKERS):
            return
        self._catch_up()
        with self._fork(), databases.inside(databases.FORK):
            wallet = Wallet(self.servers, databases.FORK)
            with self._web(wallet) as base_url:
                if self._wants(*_THROUGH_WORKERS):
                    yield from self._pipeline(wallet, base_url)
                    with self.watch.timing("clean tables"):
                        self.servers.sweep(databases.FORK)
                yield from self._http(base_url)
                yield "web_worker_mb", wallet.web_mb()

    def _http(self, base_url: str) -> Iterator[tuple[str, float]]:
        def transfers(key: str, connections: int, draw: str) -> float:
            load = self._load(base_url, connections, self.lengths.slice, draw)
            self._note_failures(key, load)
            return load.per_second

        slices = {
            key: partial(transfers, key, connections, draw)
            for key, connections, draw in (
                ("transfer_http_c8", 8, "uniform"),
                ("transfer_http_c128", 128, "uniform"),
                ("http_hot_sender", 128, "hot_sender"),
                ("http_hot_receiver", 128, "hot_receiver"),
            )
        }
        slices["bulk_http"] = partial(bulk.over_http, base_url, self.people, seconds=self.lengths.slice)
        wanted = [key for key in slices if self._wants(key)]
        for some in (wanted[:2], wanted[2:]):
            yield from self._beside_reference({key: slices[key] for key in some})
        if self._wants("read_p99"):
            make = raw_http.transfers(base_url, in_process.uniform(self.people))
            seconds = self.lengths.sustained
            yield "read_p99", http_load.reading(base_url, self.people, self.people_file, seconds=seconds, make=make)

    def _beside_reference(self, slices: Mapping[str, Callable[[], float]]) -> Iterator[tuple[str, float]]:
        """Two or three, with the reference in their middle."""
        rates: dict[str, float] = {}
        reference = 0.0
        for number, (key, measure) in enumerate(slices.items(), start=1):
            self.servers.checkpoint()
            rates[key] = measure()
            if number == (len(slices) + 1) // 2:
                reference = self._reference()
        yield from ((key, rate / reference) for key, rate in rates.items())

    def _pipeline(self, wallet: Wallet, base_url: str) -> Iterator[tuple[str, float]]:
        wallet.start_workers()
        self._load(base_url, 8, _WARM_SECONDS)
        books.wait_until_cleared()  # So the workers are up.
        began = books.database_time()
        load = self._load(base_url, 32, self.lengths.sustained)
        per_second = books.cleared_since(began) / load.seconds
        self._note_failures("pipeline", load)
        yield "pipeline", per_second / self._reference()
        books.wait_until_cleared()
        times = self._times_to_cleared(base_url, rate=per_second / 2)
        yield "time_to_cleared_p50_s", percentile(times, 0.5)
        yield "time_to_cleared_p99_s", percentile(times, 0.99)
        yield "celery_worker_mb", wallet.worker_mb()
        with self.watch.timing("starting and stopping"):
            wallet.end_workers()

    def _growth(self) -> Iterator[tuple[str, float]]:
        if not self._wants("growth_5m"):
            return
        rates = {}
        for database, people in self.grown.items():
            with databases.inside(database):
                rates[database] = self._measure(in_process.uniform(people))
        yield "growth_5m", rates["large"] / rates["small"]

    def verify_grown(self) -> None:
        """Once, after the last round: five million entries take a while to read."""
        for database in self.grown:
            with databases.inside(database):
                books.seal_all()
                with self.watch.timing("verifying"):
                    broken = books.verify_ledger()
                if broken:
                    self.void["growth_5m"] = f"verify_ledger in {database}: {broken}"

    def overload(self) -> None:
        """Twice what was just carried, once, after the rounds; the books are compared with the answers."""
        self._catch_up()
        self.broken = []
        with self._fork(), databases.inside(databases.FORK):
            wallet = Wallet(self.servers, databases.FORK)
            with self._web(wallet) as base_url:
                wallet.start_workers()
                books.wait_until_cleared()  # So the workers are up.
                carried = self._load(base_url, 128, self.lengths.slice).per_second
                make = raw_http.transfers(base_url, in_process.uniform(self.people))
                found = overload.attack(base_url, make, rate=2 * carried, seconds=self.lengths.overload)
            # Each key answered 202 has its claim, and none that was answered 503: what claims made, I4 compares.
            made = books.claimed(found.keys(202))
            half_done = len(found.keys(202)) - made + books.claimed(found.keys(503))
        self.overloaded = {"carried_per_second": round(carried), **overload.report(found, half_done=half_done)}
        self._void_if_broken("overload")

    def full_screening(self, rounds: int) -> None:
        """Screening with more rules and a list, beside the requests of 128 connections; after the rounds, whose
        screening goes by the rules that a new wallet has."""
        key = FULL_SCREENING
        self._catch_up()
        self.broken = []
        names = desk.furnish(self.servers.folder)
        with self._web(Wallet(self.servers)) as base_url:
            for _ in range(rounds):  # What they leave to be cleared is in nobody's way.
                self.servers.checkpoint()
                load = self._load(base_url, 128, self.lengths.slice)
                self._note_failures(key, load)
                payouts = desk.ask_payouts(self.people, names, load.requests // desk.ONE_PAYOUT_IN)
                screened = self._settled(in_process.screened)
                desk.call_off(payouts)
                self.values[key].append(screened / load.per_second)
                sys.stdout.write(f"  {key:<24}{self.values[key][-1]:10.3f}\n")
        self._catch_up()
        self._verify()
        self._void_if_broken(key)

    def _peer_rate(self) -> float:
        assert self.peer is not None
        with self.watch.timing("the peer"):
            self.servers.checkpoint()
            return self.peer.transfers(self.lengths.slice)

    def _measure(self, draw: in_process.Draw) -> float:
        self.servers.checkpoint()
        return in_process.transfers(draw, seconds=self.lengths.slice)

    def _settled(self, work: Callable[[], float]) -> float:
        with self.watch.timing("clean tables"):
            self.servers.sweep()
            self.servers.checkpoint()
        return work()

    def _reference(self) -> float:
        with self.watch.timing("the reference"):
            self.servers.checkpoint()
            rate = self.servers.tpcb(self.lengths.reference)
        self.tpcb.append(rate)
        return rate

    @contextmanager
    def _fork(self) -> Iterator[None]:
        """What was written in it has to verify, however its block ends, with what had been written in the wallet since
        that was verified."""
        with self._during(databases.forked(self.servers.postgres.admin_url), "making forks"):
            self.broken.append(_UNVERIFIED)
            try:
                yield
            finally:
                with databases.inside(databases.FORK):
                    self._seal()
                    self._holds()
                self.broken.remove(_UNVERIFIED)

    @contextmanager
    def _web(self, wallet: Wallet) -> Iterator[str]:
        """A web server as it is after a while: it knows who comes, and has at hand whatever it needs."""
        with self._during(wallet.web()) as base_url:
            self._load(base_url, _WARM_CONNECTIONS, _WARM_SECONDS)
            yield base_url

    @contextmanager
    def _during(self, context: AbstractContextManager[_T], what: str = "starting and stopping") -> Iterator[_T]:
        """Within `context`, whose beginning and end are timed apart from what is done in it."""
        with ExitStack() as stack:
            with self.watch.timing(what):
                entered = stack.enter_context(context)
            yield entered
            with self.watch.timing(what):
                stack.close()

    def _load(self, base_url: str, connections: int, seconds: float, draw: str = "uniform") -> http_load.Load:
        draws = {
            "uniform": in_process.uniform,
            "hot_sender": in_process.from_one,
            "hot_receiver": in_process.to_one,
        }
        make = raw_http.transfers(base_url, draws[draw](self.people))
        return http_load.transfers(
            base_url, self.people_file, connections=connections, seconds=seconds, draw=draw, make=make
        )

    def _note_failures(self, key: str, load: http_load.Load) -> None:
        if load.refused or load.broken:
            self.void[key] = f"{load.refused} of {load.requests} requests were refused, {load.broken} not answered"

    def _times_to_cleared(self, base_url: str, *, rate: float) -> list[float]:
        """Seconds from a transfer's record to its clearing, by the database's clock, of an even load."""
        rng = random.Random()  # noqa: S311 - whom to pay is no secret
        began = books.database_time()

        def send(connection: http.client.HTTPConnection, _: int) -> None:
            payer, payee = rng.sample(self.people, 2)
            http_load.post(connection, "/transfers", payer.token, one_cent(payer.accounts[0], payee.accounts[1]))

        http_load.latencies(base_url, send, rate=rate, seconds=self.lengths.sustained)
        books.wait_until_cleared()
        return books.times_since(began)

    def _catch_up(self) -> None:
        """Nothing waits from what came before, and its rows are sealed."""
        with self.watch.timing("catching up"):
            # Two pairs of processes take a second to find that there is nothing.
            if books.waiting_units():
                in_process.screened()
                in_process.cleared()
        self._seal()

    def _seal(self) -> None:
        with self.watch.timing("sealing"):
            books.seal_all()

    def _verify(self) -> None:
        """What came since the last time, when all that came before held; `verify_all` reads everything, once."""
        if self._holds():
            self.verified = books.sealed_so_far()

    def _holds(self) -> bool:
        with self.watch.timing("verifying"):
            broken = books.verify_new(self.verified) if self.verified else books.verify_ledger()
        if broken:
            self.broken.append(broken)
        return not broken

    def _void_if_broken(self, key: str) -> None:
        if self.broken:
            self.void[key] = f"verify_ledger: {'; '.join(self.broken)}"

    def verify_all(self) -> None:
        """At the very end: no figure counts unless all that any round has written verifies."""
        with self.watch.timing("verifying"):
            if broken := books.verify_ledger():
                for key in (*self.values, "overload"):
                    self.void.setdefault(key, f"verify_ledger: {broken}")

    def _wants(self, *keys: str) -> bool:
        return any(key in self.wanted for key in keys)
