"""What each test takes and which functions it runs, without a mutant. Kept; taken again where a file changed."""

import json
from collections.abc import Callable, Iterable, Mapping
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
from tests.support.database import Databases
from tests.support.servers import TestServers

_CODE = ("accounts", "compliance", "ledger", "tests", "wallet_project")
#: However slow the machine is just now, a test that takes longer than this without a mutant hangs.
_HANGS_SECONDS = 180.0


@dataclass(slots=True)
class Baseline:
    folder: Path
    items: Mapping[str, pytest.Item]
    errors: FirstError
    servers: TestServers
    admin: psycopg.Connection
    say: Callable[[str], None]

    def experience(self, everything: Iterable[Mutant], *, slowest: float) -> Experience:
        """Tests that fail are left out, and those that take longer than `slowest` seconds."""
        path = self.folder / f"baseline-{_digest_of_code()}.json"
        known: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        known = {test: row for test, row in known.items() if test in self.items and row["file"] == _digest_of(test)}
        missing = [test for test in self.items if test not in known]
        if missing:
            known |= self._measured(missing, list(everything))
            path.write_text(json.dumps(known))
        passing = {test: row for test, row in known.items() if not row["failed"] and row["seconds"] <= slowest}
        return Experience(
            {test: row["seconds"] for test, row in passing.items()},
            {test: frozenset(row["functions"]) for test, row in passing.items()},
        )

    def _measured(self, tests: list[str], everything: list[Mutant]) -> dict[str, Any]:
        coverage.count_calls(self.admin)
        sources = {m.file: (ROOT / m.file).read_text() for m in everything if m.area == "python"}

        def prepare() -> None:
            Databases.uses = 1
            coverage.watch_databases(self.servers)
            coverage.watch_functions(everything, sources)

        failures, ran, found = run_in_child(
            [self.items[test] for test in tests],
            seconds=lambda _: _HANGS_SECONDS,
            prepare=prepare,
            errors=self.errors,
            keep_going=True,
            after_each=lambda test: {"test": test, "functions": coverage.take()},
        )
        failed = {failure.test: failure.error for failure in failures}
        for test, error in failed.items():
            self.say(f"fails without a mutant, and is left out: {test}: {error}")
        functions = {each["test"]: each["functions"] for each in found}
        return {
            each.test: {
                "seconds": each.seconds,
                "functions": functions.get(each.test, []),
                "failed": each.test in failed,
                "file": _digest_of(each.test),
            }
            for each in ran
        }


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
