"""The table that people read and the file that programs do."""

import json
import os
import platform
import subprocess
import sys
from importlib.metadata import version as version_of
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import http_load
from bench.catalogue import BY_KEY, summary, unmeasured

if TYPE_CHECKING:
    from bench.rounds import Bench

_PACKAGES = ("Django", "djangorestframework", "psycopg", "celery", "granian", "redis")


def results(bench: "Bench", *, version: str) -> dict[str, Any]:
    """`figures` by key, and beside them where and with what they were measured."""
    figures: dict[str, Any] = {}
    for key in [key for key in BY_KEY if key in bench.wanted or key in bench.missing]:
        if why := bench.missing.get(key):
            figures[key] = unmeasured(BY_KEY[key], why)
        elif found := bench.values.get(key):
            figures[key] = summary(BY_KEY[key], found)
        else:
            figures[key] = unmeasured(BY_KEY[key], "no round came to its end")
        if reason := bench.void.get(key):
            figures[key] |= {"verdict": "void", "void": reason}
    rates = sorted(bench.tpcb)
    overload = dict(bench.overloaded)
    if overload and (reason := bench.void.get("overload")):
        overload["void"] = reason
    return {
        "figures": figures,
        "overload": overload,
        "tpcb_per_second": {"min": round(rates[0]), "median": round(rates[len(rates) // 2]), "max": round(rates[-1])}
        if rates
        else {},
        "machine": {
            "processor": _processor(),
            "cores": os.cpu_count(),
            "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
            "system": platform.platform(),
        },
        "versions": {
            "PostgreSQL": version,
            "Python": platform.python_version(),
            **{name: version_of(name) for name in _PACKAGES},
            "load generator": "wrk" if http_load.is_installed() else "bench/raw_http.py",
        },
        "commit": _commit(),
        "seconds": bench.watch.seconds(),
    }


def show(results: dict[str, Any]) -> None:
    lines = [f"\n{'':<48}{'median':>9}{'min':>9}{'max':>9}{'bound':>8}{'aim':>7}  verdict"]
    for key, row in results["figures"].items():
        bound = row.get("at_least", row.get("at_most"))
        if row["median"] is None:
            lines.append(
                f"{BY_KEY[key].title:<48}{'':>27}{bound:>8g}{row['aim']:>7g}  {row.get('void', row['verdict'])}"
            )
            continue
        lines.append(
            f"{BY_KEY[key].title:<48}{row['median']:>9.3f}{row['min']:>9.3f}{row['max']:>9.3f}{bound:>8g}"
            f"{row['aim']:>7g}  {row['verdict']}, {row['unit']}"
        )
        if reason := row.get("void"):
            lines.append(f"    void: {reason}")
    if overload := results["overload"]:
        lines += ["", *_overload(overload), ""]
    lines.append(f"TPC-B transactions a second: {results['tpcb_per_second']}")
    spent = ", ".join(f"{what} {seconds}" for what, seconds in results["seconds"].items())
    lines.append(f"{sum(results['seconds'].values())} seconds: {spent}")
    sys.stdout.write("\n".join(lines) + "\n")


def write(results: dict[str, Any], path: Path) -> None:
    path.write_text(json.dumps(results, indent=2) + "\n")


def record(results: dict[str, Any], path: Path) -> None:
    """Put what was measured alone in the place of what `path` says of it; each says by `commit` when it is of another
    run than the rest."""
    if not path.exists():
        write(results, path)
        return
    kept = json.loads(path.read_text())
    for key, row in results["figures"].items():
        kept["figures"][key] = {**row, "commit": results["commit"], "tpcb_per_second": results["tpcb_per_second"]}
    kept["overload"] = results["overload"] or kept["overload"]
    write(kept, path)


def _overload(row: dict[str, Any]) -> list[str]:
    lines = [
        f"overload: {row['offered_per_second']} requests a second for {row['seconds']:g} s, where"
        f" {row['carried_per_second']} are carried: {'below' if row['complaints'] else 'reached'}",
        f"    {row['accepted']} accepted (p99 {row['accepted_p99_s']} s), {row['refused']} refused"
        f" (p99 {row['refused_p99_s']} s), {row['unanswered']} not answered, well again after {row['recovered_s']} s",
        *(f"    {complaint}" for complaint in row["complaints"]),
    ]
    return lines + ([f"    void: {row['void']}"] if "void" in row else [])


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _commit() -> str:
    """Of the checkout, with a + when there was more; empty where there is no git."""
    try:
        said = subprocess.run(
            ["git", "describe", "--always", "--dirty=+"],  # noqa: S607 - the caller's own
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return ""
    return said.strip()
