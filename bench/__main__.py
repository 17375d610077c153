"""`python -m bench [--quick] [--only KEY,KEY [--record]] [--rounds N] [--strict]`: how much the wallet carries here.

Everything is measured beside pgbench's own TPC-B on the same server (docs/performance.md). Exit code 1 when a figure is
void: what was asked for was refused, or the books do not verify afterwards; with --strict also when one is below its
bound.
"""

import argparse
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

from bench import growth, report, servers, town
from bench.catalogue import BY_KEY
from bench.peer import Hordak, NoPeer
from bench.rounds import FULL, FULL_SCREENING, QUICK, Bench
from bench.stopwatch import Stopwatch

ROOT = Path(__file__).resolve().parent.parent
OVERLOAD = "overload"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench ARGS=…", description="How much the wallet carries here.")
    parser.add_argument("--quick", action="store_true", help="one short round instead of five")
    parser.add_argument("--only", default="", metavar="KEY,KEY", help="some figures, by their keys in results.json")
    parser.add_argument("--record", action="store_true", help="with --only: put them into results.json")
    parser.add_argument("--rounds", type=int, help="five unless said, one with --quick")
    parser.add_argument("--strict", action="store_true", help="fail on a figure below its bound")
    options = parser.parse_args()
    options.keys = [key for key in options.only.split(",") if key] or [*BY_KEY, OVERLOAD]
    if unknown := [key for key in options.keys if key not in (*BY_KEY, OVERLOAD)]:
        parser.error(f"there is no figure {', '.join(unknown)}; there are {', '.join([*BY_KEY, OVERLOAD])}")
    options.rounds = options.rounds or (1 if options.quick else 5)
    return options


def _run(options: argparse.Namespace, running: servers.Servers) -> Bench:
    watch = Stopwatch()
    with watch.timing("making all of it"):
        bench = _make(options, running, watch)
    for number in range(1, options.rounds + 1 if bench.in_rounds else 1):
        began = time.monotonic()
        sys.stdout.write(f"round {number} of {options.rounds}\n")
        bench.round()
        sys.stdout.write(f"  took {time.monotonic() - began:.0f} s\n")
    bench.verify_grown()
    if FULL_SCREENING in bench.wanted:
        sys.stdout.write("screening with more to look at\n")
        with watch.timing("screening with more to look at"):
            bench.full_screening(options.rounds)
    if OVERLOAD in options.keys:
        sys.stdout.write("overload\n")
        with watch.timing("overload"):
            bench.overload()
    bench.verify_all()
    return bench


def _make(options: argparse.Namespace, running: servers.Servers, watch: Stopwatch) -> Bench:
    running.prepare()
    os.environ.update(running.environment)
    import django

    django.setup()
    people = town.build()
    people_file = running.folder / "people"
    town.write(people, people_file)
    running.settle()
    wanted = [key for key in options.keys if key in BY_KEY]
    bench = Bench(running, people, people_file, QUICK if options.quick else FULL, wanted, watch=watch)
    _find_what_is_there(bench, options)
    return bench


def _find_what_is_there(bench: Bench, options: argparse.Namespace) -> None:
    """Make what some figures need, and take out those that can't be measured."""
    missing: dict[str, str] = {}
    if not options.only:
        missing["growth_5m"] = "it is run alone, --only growth_5m --record"
    if {"hordak_transfer", "hordak_clearing"} & set(bench.wanted):
        try:
            bench.peer = Hordak(bench.servers)
        except NoPeer as error:
            missing |= dict.fromkeys(("hordak_transfer", "hordak_clearing"), str(error))
    bench.missing = {key: why for key, why in missing.items() if key in bench.wanted}
    bench.wanted = [key for key in bench.wanted if key not in missing]
    if "growth_5m" in bench.wanted:
        bench.grown = growth.prepare(bench.servers)


def main() -> int:
    options = _options()
    # As Ctrl-C: whatever ends it, its servers end with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    (ROOT / ".local").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=ROOT / ".local") as folder:
        Path(folder).chmod(0o711)
        with servers.running(Path(folder)) as running:
            bench = _run(options, running)
            results = report.results(bench, version=running.version())
    report.show(results)
    if not options.only:
        report.write(results, ROOT / "bench" / "results.json")
    elif options.record:
        report.record(results, ROOT / "bench" / "results.json")
    below = any(row["verdict"] == "below" for row in results["figures"].values())
    below |= bool(results["overload"].get("complaints"))
    return 1 if bench.void or (options.strict and below) else 0


if __name__ == "__main__":
    sys.exit(main())
