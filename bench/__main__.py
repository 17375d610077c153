"""`python -m bench [--quick] [--only KEY,KEY] [--rounds N] [--strict]`: how much the wallet carries on this machine.

Everything is measured beside pgbench's own TPC-B on the same server (docs/performance.md). Exit code 1 when a figure is
void: what was asked for was refused, or the books do not verify afterwards; with --strict also when one is below its
bound.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from bench import report, servers, town
from bench.catalogue import BY_KEY, FIGURES
from bench.rounds import FULL, QUICK, Bench

ROOT = Path(__file__).resolve().parent.parent


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench ARGS=…", description="How much the wallet carries here.")
    parser.add_argument("--quick", action="store_true", help="two short rounds instead of five")
    parser.add_argument("--only", default="", metavar="KEY,KEY", help="some figures, by their keys in results.json")
    parser.add_argument("--rounds", type=int, help="five unless said, two with --quick")
    parser.add_argument("--strict", action="store_true", help="fail on a figure below its bound")
    options = parser.parse_args()
    options.keys = [key for key in options.only.split(",") if key] or [figure.key for figure in FIGURES]
    if unknown := [key for key in options.keys if key not in BY_KEY]:
        parser.error(f"there is no figure {', '.join(unknown)}; there are {', '.join(BY_KEY)}")
    options.rounds = options.rounds or (2 if options.quick else 5)
    return options


def _run(options: argparse.Namespace, running: servers.Servers) -> Bench:
    running.prepare()
    os.environ.update(running.environment)
    import django

    django.setup()
    people = town.build()
    people_file = running.folder / "people"
    town.write(people, people_file)
    running.settle()
    lengths = QUICK if options.quick else FULL
    bench = Bench(running, people, people_file, lengths, options.keys)
    for number in range(1, options.rounds + 1):
        began = time.monotonic()
        sys.stdout.write(f"round {number} of {options.rounds}\n")
        bench.round()
        sys.stdout.write(f"  took {time.monotonic() - began:.0f} s\n")
    return bench


def main() -> int:
    options = _options()
    (ROOT / ".local").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=ROOT / ".local") as folder:
        Path(folder).chmod(0o711)
        with servers.running(Path(folder)) as running:
            bench = _run(options, running)
            results = report.results(bench, version=running.version())
    report.show(results)
    if not options.only:
        report.write(results, ROOT / "bench" / "results.json")
    below = any(row.get("verdict") == "below" for row in results["figures"].values())
    return 1 if bench.void or (options.strict and below) else 0


if __name__ == "__main__":
    sys.exit(main())
