"""What was found out, one line of JSON a mutant: a run that was cut off goes on where it stopped."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from tests.mutation.mutants import Mutant

Verdict = Literal["killed", "survived", "not installable"]
KEPT_IN = Path(".local/mutation")


@dataclass(frozen=True, slots=True)
class Result:
    """`test` is the one that noticed, `error` what it said."""

    id: str
    name: str
    file: str
    place: str
    operator: str
    line: int
    verdict: Verdict
    test: str
    error: str
    seconds: float
    tests_run: int


def result(mutant: Mutant, verdict: Verdict, *, test: str, error: str, seconds: float, tests_run: int) -> Result:
    return Result(
        mutant.id,
        mutant.name,
        mutant.file,
        mutant.place,
        mutant.operator,
        mutant.line,
        verdict,
        test,
        error,
        round(seconds, 2),
        tests_run,
    )


def read(folder: Path) -> dict[str, Result]:
    """By the mutant's id; the last word counts."""
    found: dict[str, Result] = {}
    for path in sorted(folder.glob("results*.jsonl")):
        for line in path.read_text().splitlines():
            row = Result(**json.loads(line))
            found[row.id] = row
    return found


def append(path: Path, row: Result) -> None:
    """All workers write to one file, so that it is in the order in which they found out."""
    with path.open("a") as out:
        out.write(json.dumps(asdict(row), ensure_ascii=False) + "\n")


def write_list(path: Path, mutants: Iterable[Mutant]) -> None:
    """Every mutant there is, for the report's denominator."""
    path.write_text("".join(json.dumps([m.id, m.name, m.file, m.operator], ensure_ascii=False) + "\n" for m in mutants))


def read_list(path: Path) -> list[tuple[str, str, str, str]]:
    """(id, name, file, operator) of every mutant."""
    return [tuple(json.loads(line)) for line in path.read_text().splitlines()]
