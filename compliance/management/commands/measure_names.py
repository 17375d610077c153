"""How well and how fast names are matched: recall for each kind of variation, false flags, time for a query.

Reads the labelled names that come with the code, among a background of 20,000, and no database.
"""

import gc
import time
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from compliance.names.evaluation import BACKGROUND, PARTS, Measured, Tally, index_for, labelled, measure


class Command(BaseCommand):
    help = __doc__
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--part", choices=PARTS, help="one part of the labelled names; both without it")
        parser.add_argument("--background", type=int, default=BACKGROUND, help="names in the index")
        parser.add_argument("--missed", action="store_true", help="also list what the tuning part got wrong")

    def handle(self, *args: Any, **options: Any) -> None:
        for part in [options["part"]] if options["part"] else PARTS:
            rows = labelled(part)
            before = time.perf_counter()
            index, numbers = index_for(rows, background=options["background"])
            built = time.perf_counter() - before
            packed = index.to_bytes()
            before = time.perf_counter()
            index = type(index).from_bytes(packed)
            loaded = time.perf_counter() - before
            gc.freeze()
            measured = measure(index, numbers, rows, time.perf_counter)
            self.stdout.write(f"\n{part.replace('_', ' ')}: {len(rows)} queries, {options['background']} names listed")
            for line in table(measured):
                self.stdout.write(line)
            self.stdout.write(f"index: {len(packed):,} bytes, built in {built:.1f} s, loaded in {loaded:.2f} s")
            # What the held-out part got wrong is not shown: nobody is to be tempted to fit to it.
            if options["missed"] and part == "tuning":
                for row, best in measured.missed:
                    self.stdout.write(f"  {row.label}, {row.kind}: {row.query} | {row.listed} | {best}")


def table(measured: Measured) -> Iterator[str]:
    """The lines of one part's table."""
    heads = {"positive": "recall", "other": "found, of aliases that are other names", "negative": "false flags"}
    for label, head in heads.items():
        kinds = {kind: tally for (each, kind), tally in sorted(measured.kinds.items()) if each == label}
        if not kinds:
            continue
        yield f"  {head}"
        for kind, tally in kinds.items():
            yield _line(kind, tally)
        for what, total in _totals(label, kinds).items():
            yield _line(what, total)
    times = measured.milliseconds
    yield (
        f"  time per query: median {times[len(times) // 2]:.2f} ms, p99 {times[len(times) * 99 // 100]:.1f} ms, "
        f"longest {times[-1]:.1f} ms"
    )


def _totals(label: str, kinds: dict[str, Tally]) -> dict[str, Tally]:
    """All of a label, and for what is made of several sources (OFAC's aliases, near misses) each of those as well."""
    groups = {"ALL": list(kinds.values())}
    for name, start in (
        ("ALL of OFAC's aliases", "OFAC alias"),
        ("ALL near misses", "near miss"),
        ("ALL clean", "clean"),
    ):
        members = [tally for kind, tally in kinds.items() if kind.startswith(start)]
        if members and len(members) < len(kinds):
            groups[name] = members
    return {
        name: Tally(sum(each.asked for each in members), sum(each.found for each in members))
        for name, members in groups.items()
    }


def _line(what: str, tally: Tally) -> str:
    return f"    {what:<34}{tally.found:>6} of {tally.asked:<6}{100 * tally.found / tally.asked:>6.1f} %"
