"""What each test takes and which functions it runs, without a mutant. Kept; taken again where a file changed."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.mutation import coverage
from tests.mutation.children import FirstError, run_in_child
from tests.mutation.mutants import Mutant
from tests.mutation.order import Experience
from tests.mutation.sql_files import ROOT
from tests.support.servers import TestServers

_CODE = ("accounts", "compliance", "ledger", "tests", "wallet_project")
#: However slow the machine is just now, a test that takes longer than this without a mutant hangs.
_HANGS_SECONDS = 180.0
_UNKNOWN_SECONDS = 0.5


@dataclass(slots=True)
class Baseline:
    """Each worker measures its share of the tests, and keeps what it found at once, a line a test."""

    folder: Path
    items: Mapping[str, pytest.Item]
    errors: FirstError
    servers: TestServers
    admin: psycopg.Connection
    say: Callable[[str], None]

    def experience(self, *, slowest: float) -> Experience:
        """Tests that fail are left out, and those that take longer than `slowest` seconds. One that is not measured, or
        whose file has changed since, is taken to run what it ran or else what the other tests of its file run."""
        rows = {test: row for test, row in self._rows().items() if test in self.items}
        functions: dict[str, set[str]] = {}
        for test, row in rows.items():
            functions.setdefault(test.partition("::")[0], set()).update(row["functions"])
            if row["failed"]:
                self.say(f"fails without a mutant, and is left out: {test}: {row['failed']}")
        passing = {test: row for test, row in rows.items() if not row["failed"] and row["seconds"] <= slowest}
        for test in self.items:
            if test not in rows:
                ran = functions.get(test.partition("::")[0], set())
                passing[test] = {"seconds": _UNKNOWN_SECONDS, "functions": ran}
        return Experience(
            {test: row["seconds"] for test, row in passing.items()},
            {test: frozenset(row["functions"]) for test, row in passing.items()},
        )

    def measure(self, everything: Sequence[Mutant], *, share: int, shares: int) -> None:
        """What is not known yet of this share of the tests. What failed may have failed for want of a quiet machine."""
        mine = list(self.items)[share::shares]
        known = self._known()
        missing = [test for test in mine if test not in known or known[test]["failed"]]
        while missing:
            self.say(f"{len(missing)} tests to be measured without a mutant")
            self._measure(missing, everything, share)
            known = self._known()
            missing = [test for test in mine if test not in known]

    def _known(self) -> dict[str, Any]:
        return {t: row for t, row in self._rows().items() if t in self.items and row["file"] == _digest_of(t)}

    def _rows(self) -> dict[str, Any]:
        lines = [line for path in self._files("*") for line in path.read_text().splitlines()]
        return {row["test"]: row for row in map(json.loads, lines)}

    def _files(self, share: str) -> list[Path]:
        return sorted(self.folder.glob(f"baseline-{_digest_of_code()}-{share}.jsonl"))

    def _measure(self, tests: list[str], everything: Sequence[Mutant], share: int) -> None:
        coverage.count_calls(self.admin)
        sources = {m.file: (ROOT / m.file).read_text() for m in everything if m.area == "python"}
        path = self.folder / f"baseline-{_digest_of_code()}-{share}.jsonl"

        def keep(test: str, seconds: float, error: str) -> None:
            row = {"test": test, "seconds": seconds, "functions": coverage.take(), "failed": error}
            with path.open("a") as out:
                out.write(json.dumps({**row, "file": _digest_of(test)}) + "\n")

        def prepare() -> None:
            coverage.watch_databases(self.servers)
            coverage.watch_functions(everything, sources)

        failure, _ = run_in_child(
            [self.items[test] for test in tests],
            seconds=lambda _: _HANGS_SECONDS,
            prepare=prepare,
            errors=self.errors,
            after_each=keep,
        )
        if failure is not None:
            # The test that was running ended the child; the others go on in the next one.
            if not failure.test:
                raise RuntimeError(failure.error)
            keep(failure.test, _HANGS_SECONDS, failure.error)


@cache
def _digest_of_code() -> str:
    """Of all that is not itself a file of tests."""
    files = [path for top in _CODE for path in sorted((ROOT / top).rglob("*")) if path.suffix in (".py", ".sql")]
    kept = [p for p in files if not p.name.startswith("test_") and "tests/mutation" not in str(p)]
    return sha256(b"".join(path.read_bytes() for path in kept)).hexdigest()[:12]


def _digest_of(test: str) -> str:
    return _digest_of_file(test.partition("::")[0])


@cache
def _digest_of_file(name: str) -> str:
    return sha256((ROOT / name).read_bytes()).hexdigest()[:12]
