"""The figures: by file and by operator, and what nobody noticed."""

import tomllib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.mutation import results
from tests.mutation.selection import place_in_sample

_EQUIVALENT = Path(__file__).with_name("equivalent.toml")
_COLUMNS = ("mutants", "judged", "not installable", "equivalent", "killed", "survived", "noticed")


@dataclass(frozen=True, slots=True)
class Judged:
    """A mutant of the present sources, with its result if it has one."""

    name: str
    file: str
    operator: str
    result: results.Result | None
    equivalent: str

    @property
    def area(self) -> str:
        if self.file == "catalogue":
            return "catalogue"
        return "SQL functions and triggers" if self.file.endswith(".sql") else "Python"

    @property
    def verdict(self) -> str:
        if self.result is None:
            return "not judged"
        return "equivalent" if self.equivalent and self.result.verdict == "survived" else self.result.verdict


def read(folder: Path, *, sample: int = 0, seed: int = 1) -> list[Judged]:
    """Every mutant there is; of a sample, those that were not drawn count as not judged."""
    listed = results.read_list(folder / "mutants.jsonl")
    drawn = sorted((id_ for id_, *_ in listed), key=lambda id_: place_in_sample(id_, seed))[: sample or None]
    results_of = results.read(folder)
    known = {id_: results_of[id_] for id_ in drawn if id_ in results_of}
    reasons = {each["name"]: each["why"] for each in tomllib.loads(_EQUIVALENT.read_text()).get("mutant", [])}
    return [Judged(name, file, operator, known.get(id_), reasons.get(name, "")) for id_, name, file, operator in listed]


def table(judged: Iterable[Judged], title: str, attribute: str) -> str:
    """In Markdown. `noticed`: killed, of those that were judged, could be installed and are not equivalent."""
    groups: dict[str, Counter[str]] = {}
    for each in judged:
        groups.setdefault(getattr(each, attribute), Counter())[each.verdict] += 1
    total = sum(groups.values(), Counter())
    lines = [_row(title, *_COLUMNS), _row("---", *["---:"] * len(_COLUMNS))]
    lines += [_row(name, *_figures(groups[name])) for name in sorted(groups)]
    return "\n".join([*lines, _row("all", *_figures(total))])


def _figures(counts: Counter[str]) -> list[str]:
    mutants = counts.total()
    judged = mutants - counts["not judged"]
    counted = counts["killed"] + counts["survived"]
    noticed = f"{100 * counts['killed'] / counted:.1f} %" if counted else "-"
    return [
        str(number)
        for number in (
            mutants,
            judged,
            counts["not installable"],
            counts["equivalent"],
            counts["killed"],
            counts["survived"],
            noticed,
        )
    ]


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def text(folder: Path, *, sample: int = 0, seed: int = 1) -> str:
    judged = read(folder, sample=sample, seed=seed)
    survivors = sorted(each.name for each in judged if each.verdict == "survived")
    equivalents = sorted(f"{each.name}\n    {each.equivalent}" for each in judged if each.verdict == "equivalent")
    return "\n\n".join(
        [
            table(judged, "area", "area"),
            table(judged, "file", "file"),
            table(judged, "operator", "operator"),
            "Survived:\n" + "\n".join(f"- {name}" for name in survivors),
            "Equivalent:\n" + "\n".join(f"- {name}" for name in equivalents),
        ]
    )
