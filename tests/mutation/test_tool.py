"""The tool tells what is noticed from what is not, on functions of a few lines."""

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import psycopg
import pytest
from _pytest.runner import SetupState

from tests.mutation import baseline, catalogue, python_files, python_patch, report, results, sql_files
from tests.mutation.children import FirstError, run_in_child
from tests.mutation.order import Experience
from tests.mutation.selection import Selection

pytestmark = pytest.mark.thorough

SQL = """
CREATE OR REPLACE FUNCTION fee(p_amount int, p_kind text) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    IF p_kind = 'card' AND p_amount > 100 THEN
        RETURN p_amount - 98;
    END IF;
    RETURN 0;
END $$;
"""
PYTHON = '''
def fee(amount: int) -> int:
    """In cents."""
    return amount + 2 if amount > 100 else 0
'''


def verdicts(connection: psycopg.Connection) -> dict[str, set[str]]:
    """What a test that asks only for 50 and 200 by card makes of each mutant."""
    found: dict[str, set[str]] = {"killed": set(), "survived": set()}
    for mutant in sql_files.mutants_of(SQL, "fee.sql"):
        connection.execute(mutant.sql.encode())
        try:
            asked = connection.execute("SELECT fee(50, 'card'), fee(200, 'card')").fetchone()
        except psycopg.Error:
            asked = None
        found["survived" if asked == (0, 102) else "killed"].add(f"{mutant.operator}: {mutant.after}")
    return found


def test_sql_mutants_are_noticed_or_not(empty_database: Any) -> None:
    with empty_database() as database, psycopg.connect(database.owner_dsn, autocommit=True) as connection:
        found = verdicts(connection)
    assert found["survived"] == {
        "term dropped: IF true AND p_amount > 100 THEN",
        "comparison turned: IF p_kind = 'card' AND p_amount >= 100 THEN",
        "constant changed: IF p_kind = 'card' AND p_amount > 101 THEN",
    }
    assert found["killed"] >= {
        "comparison turned: IF p_kind <> 'card' AND p_amount > 100 THEN",
        "term dropped: IF p_kind = 'card' AND true THEN",
        "condition dropped: IF false THEN",
        "sign turned: RETURN p_amount + 98;",
        "operand dropped: RETURN p_amount ;",
        "constant changed: RETURN 1;",
    }


def test_a_lock_loses_its_order_its_strength_and_itself() -> None:
    source = "CREATE FUNCTION f() AS $$ BEGIN PERFORM FROM t ORDER BY t.id FOR NO KEY UPDATE SKIP LOCKED; END $$;"
    made = {mutant.operator for mutant in sql_files.mutants_of(source, "f.sql")}
    assert made == {
        "lock dropped",
        "lock weakened",
        "SKIP LOCKED dropped",
        "lock order dropped",
        "lock order reversed",
        "statement removed",
    }


def test_every_function_and_trigger_condition_of_the_core_is_read() -> None:
    mutants = sql_files.mutants_of_files()
    assert {m.place for m in mutants} >= {"ledger_post_pending", "ledger_clear", "ledger_fail", "ledger_claim"}
    assert len({m.id for m in mutants}) == len(mutants)


def test_each_constraint_and_trigger_of_the_tables_of_money_is_dropped_once(admin_dsn: str) -> None:
    with psycopg.connect(admin_dsn, autocommit=True) as connection:
        mutants = catalogue.mutants_of_catalogue(connection)
        dropped = [m.before for m in mutants if m.operator in ("CHECK dropped", "TRIGGER dropped")]
        assert any("account_available_not_negative" in name for name in dropped)
        assert any("transaction_is_immutable" in name for name in dropped)
        assert len(dropped) == len(set(dropped))
        for mutant in mutants:
            connection.execute("BEGIN")
            try:
                connection.execute(mutant.sql.encode())
            except psycopg.errors.DependentObjectsStillExist:
                assert "KEY" in mutant.operator or "UNIQUE" in mutant.operator, mutant.name
            except psycopg.errors.InvalidTextRepresentation:
                assert "mutant" in mutant.after, "a number can't be that"
            finally:
                connection.execute("ROLLBACK")


def test_a_mutant_of_python_is_in_force_for_who_imported_the_function_before(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("fee")
    module.__file__ = "fee.py"
    exec(PYTHON, module.__dict__)
    monkeypatch.setitem(__import__("sys").modules, "fee", module)
    imported = module.fee
    outcomes = {}
    for mutant in python_files.mutants_of(PYTHON, "fee.py"):
        python_patch.install(mutant)
        outcomes[mutant.after] = (imported(50), imported(200)) != (0, 202)
    assert outcomes == {
        "return None": True,
        "return amount + 2 if False else 0": True,
        "return amount + 2 if True else 0": True,
        "return ((amount) - (2)) if amount > 100 else 0": True,
        "return amount + 3 if amount > 100 else 0": True,
        "return amount + 2 if (amount >= 100) else 0": False,
        "return amount + 2 if amount > 101 else 0": False,
        "return amount + 2 if amount > 100 else 1": True,
    }


def run(request: pytest.FixtureRequest, *checks: Any, seconds: float = 20) -> tuple[str, int]:
    """Which of the functions ends a child that runs them as tests, and how many have run."""
    session = request.session
    errors = FirstError()
    request.config.pluginmanager.register(errors)
    try:
        items = [pytest.Function.from_parent(request.node.parent, name=c.__name__, callobj=c) for c in checks]
        failure, ran = run_in_child(
            items,
            seconds=lambda _: seconds,
            prepare=lambda: setattr(session, "_setupstate", SetupState()),
            errors=errors,
        )
    finally:
        request.config.pluginmanager.unregister(errors)
    assert failure is not None
    return failure.test.rpartition("::")[2] + (" too late" if failure.timed_out else ""), ran


def test_a_child_says_which_tests_fail_and_hang(request: pytest.FixtureRequest) -> None:
    def passes() -> None:
        assert True

    def fails() -> None:
        raise ValueError

    def hangs() -> None:
        __import__("threading").Event().wait()

    assert run(request, passes, fails, passes) == ("fails", 2)
    assert run(request, passes, hangs, seconds=1) == ("hangs too late", 1)


def test_who_noticed_before_is_asked_first_and_who_runs_it_before_who_does_not() -> None:
    mutant = next(m for m in sql_files.mutants_of(SQL, "fee.sql") if m.operator == "sign turned")
    experience = Experience(
        {"quick": 0.1, "slow": 1.0, "other": 0.1}, {"quick": frozenset({"fee"}), "slow": frozenset({"fee"})}
    )
    assert experience.tests_for(mutant, patience=0) == ["quick", "slow", "other"]
    for _ in range(10):
        experience.killed("fee.sql", "fee", "slow")
    assert experience.tests_for(mutant, patience=0) == ["slow", "quick", "other"]
    assert experience.tests_for(mutant, patience=1) == ["slow"]
    assert experience.tests_for(mutant, patience=0, first=["oth"]) == ["other", "slow", "quick"]


def test_what_is_not_measured_is_taken_to_run_what_the_rest_of_its_file_runs(tmp_path: Path) -> None:
    ran = {"seconds": 0.1, "functions": ["fee"], "failed": "", "file": "as it was"}
    rows = [{**ran, "test": "a.py::measured"}, {**ran, "test": "a.py::fails", "functions": ["hold"], "failed": "why"}]
    path = tmp_path / f"baseline-{baseline._digest_of_code()}-0.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    items: Any = dict.fromkeys(["a.py::measured", "a.py::fails", "a.py::new", "b.py::new"])
    said: list[str] = []
    nobody: Any = None
    found = baseline.Baseline(tmp_path, items, FirstError(), nobody, nobody, said.append).experience(slowest=15)
    assert found.functions == {
        "a.py::measured": {"fee"},
        "a.py::new": {"fee", "hold"},
        "b.py::new": set(),
    }
    assert said == ["fails without a mutant, and is left out: a.py::fails: why"]


def test_a_sample_depends_on_its_seed_and_the_shares_make_up_the_whole() -> None:
    mutants = sql_files.mutants_of(SQL, "fee.sql")
    drawn = Selection("", sample=5, seed=3).drawn(mutants)
    assert drawn == Selection("", sample=5, seed=3).drawn(list(reversed(mutants)))
    assert drawn != Selection("", sample=5, seed=4).drawn(mutants)
    halves = [Selection("", share=share, shares=2).share_of(drawn) for share in range(2)]
    assert sorted(m.id for half in halves for m in half) == sorted(m.id for m in drawn)
    assert {m.operator for m in Selection("", only=("sign",)).drawn(mutants)} == {"sign turned"}


def test_the_report_counts_what_was_judged(tmp_path: Path) -> None:
    mutants = sql_files.mutants_of(SQL, "fee.sql")
    results.write_list(tmp_path / "mutants.jsonl", mutants)
    for mutant, verdict in zip(mutants, ("killed", "killed", "killed", "survived", "not installable"), strict=False):
        results.append(
            tmp_path / "results-0.jsonl",
            results.result(mutant, verdict, test="t", error="", seconds=1.0, tests_run=1),  # type: ignore[arg-type]
        )
    judged = report.read(tmp_path)
    row = report.table(judged, "file", "file").splitlines()[-1]
    assert row == f"| all | {len(mutants)} | 5 | 1 | 0 | 3 | 1 | 75.0 % |"
    drawn = Selection("", sample=3, seed=5).drawn(mutants)
    sampled = report.read(tmp_path, sample=3, seed=5)
    assert len(sampled) == len(mutants)
    assert {each.name for each in sampled if each.result} == {m.name for m in drawn} & {
        each.name for each in judged if each.result
    }
