"""`make mutation`: judge mutants of the money core and say what came of it. docs/mutation.md has the options."""

import argparse
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from tests.mutation import report, results
from tests.mutation.selection import Selection
from tests.support.servers import ServersProcess

#: Not the stateful model's tests and those of large tables, each of which takes longer than most mutants: who survives
#: all others survives. Nor those of the rails' HTTP, which runs nothing that is mutated. What compliance alone asks the
#: ledger for, of payers and of levels, is tried by its tests.
TESTS = (
    "tests/ledger",
    "--ignore=tests/ledger/model",
    "--ignore=tests/ledger/test_plans.py",
    "--ignore=tests/ledger/test_plans_when_large.py",
    "--ignore=tests/ledger/test_rail_contract.py",
    "--ignore=tests/ledger/test_rails_client.py",
    "tests/compliance/test_levels.py",
    "tests/compliance/test_payers.py",
    "tests/accounts/test_beneficiaries.py",
    "tests/accounts/test_handles.py",
    "tests/accounts/test_states.py",
    "tests/accounts/test_create_account.py",
    "tests/test_state_machines.py",
    "tests/utils/test_money.py",
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make mutation", description=__doc__)
    parser.add_argument(
        "--only", action="append", default=[], help="part of a mutant's name: a file, function, operator"
    )
    parser.add_argument("--sample", type=int, default=0, help="so many, drawn at random")
    parser.add_argument("--seed", type=int, default=1, help="of the sample")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--retry", action="store_true", help="judge those that survived again")
    parser.add_argument(
        "--first", action="append", default=[], help="part of the name of a test that survivors are shown to first"
    )
    parser.add_argument(
        "--unmeasured",
        action="store_true",
        help="measure no tests first: what those run that are not measured yet is guessed from the rest of their file",
    )
    parser.add_argument("--slowest", type=float, default=15.0, help="leave out tests that take longer, in seconds")
    parser.add_argument("--patience", type=int, default=0, help="tests that a mutant is shown to; 0: all")
    parser.add_argument("--report", action="store_true", help="say what is known (of the sample), and run nothing")
    parser.add_argument("--folder", type=Path, default=results.KEPT_IN, help="where results are kept between runs")
    parser.add_argument("--tests", nargs="*", default=TESTS, help="what may notice")
    asked = parser.parse_args()
    folder: Path = asked.folder.absolute()
    if not asked.report:
        selection = Selection(
            kept_in=str(folder),
            only=tuple(asked.only),
            sample=asked.sample,
            seed=asked.seed,
            shares=asked.jobs,
            retry=asked.retry,
            slowest=asked.slowest,
            patience=asked.patience,
            first=tuple(asked.first),
        )
        failed = _work(selection, asked.tests, measure=not asked.unmeasured)
        if failed:
            return failed
    sys.stdout.write(f"{report.text(folder, sample=asked.sample, seed=asked.seed)}\n")
    return 0


def _work(selection: Selection, tests: list[str], *, measure: bool) -> int:
    """The baseline first, then the mutants, each worker its share of both. Returns how many of them broke."""
    servers = ServersProcess()
    try:
        home = servers.servers.home
        failed = _shared(replace(selection, only_baseline=True), tests, home) if measure else 0
        return failed or _shared(selection, tests, home)
    finally:
        servers.stop()


def _shared(selection: Selection, tests: list[str], servers: str) -> int:
    workers = [_start(replace(selection, share=share), tests, servers) for share in range(selection.shares)]
    return sum(bool(worker.wait()) for worker in workers)


def _start(selection: Selection, tests: list[str], servers: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "pytest", "-p", "tests.mutation.worker", "--capture=sys"]
    told = {"WALLET_TEST_SERVERS": servers, "PYTEST_XDIST_WORKER": selection.worker}
    return subprocess.Popen([*command, "--mutate", selection.text(), *tests], env={**os.environ, **told})


if __name__ == "__main__":
    sys.exit(main())
