"""What `verify_ledger` looks at grows with what there is and no faster, also where the planner is mistaken about it."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.db import connection, transaction

from accounts.models import Account
from ledger.services import payments
from tests.ledger.test_plans import nodes
from tests.ledger.test_post_many import sending
from tests.support import money
from tests.support.function_plans import told_plan
from tests.support.pipeline import run_until_idle
from wallet_project.utils.verification import _SETTINGS, SqlCheck, checks_by_app

pytestmark = pytest.mark.django_db

#: Transactions that wait, when the planner has last seen none that did.
WAITING = 2_000
#: Rows that a step of a query may look at for each: a step that looked at all for each of all would have 2,000.
ROWS_OF_EACH = 100


def rows_seen(sql: str, parameters: Any) -> int:
    """By the step of the query that sees most, those among them that it passes over."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", parameters or None)
        return max(map(_rows_of, nodes(told_plan(cursor))))


def _rows_of(node: dict[str, Any]) -> int:
    kinds = ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Join Filter")
    return int(sum(node.get(kind, 0) for kind in kinds) * node["Actual Loops"])


def queries(of: str) -> Iterator[tuple[str, str, Any]]:
    for app, check in checks_by_app(settings.LEDGER_CHECKS):
        if isinstance(check, SqlCheck) and check.name.startswith(of):
            for what, sql in {"figures": check.figures, **check.offences}.items():
                yield f"{app} {check.name} {what}", sql, check.parameters
            for number, proof in enumerate(check.proofs):
                yield f"{app} {check.name} proof {number}", proof.sql, check.parameters


def post_many(payers: list[Account]) -> None:
    for _ in range(WAITING // 500):
        payments.post_together([sending(payers[number % 3 + 1], payers[0], 1) for number in range(500)])


def test_many_that_wait_where_none_did_are_each_looked_at_a_few_times(owner_connection: psycopg.Connection) -> None:
    payers = [money.new_account(2 * WAITING) for _ in range(4)]
    post_many(payers)
    run_until_idle()  # With half of them in review, of which each has a case.
    owner_connection.execute("ANALYZE")
    post_many(payers)
    # As the planner would join what comes and goes where it believes that there is none of it.
    at_worst = {**_SETTINGS, "enable_hashjoin": "off", "enable_mergejoin": "off"}
    for planned, of in ((_SETTINGS, ""), (at_worst, "I6")):
        with transaction.atomic(), connection.cursor() as cursor:
            for setting, value in planned.items():
                cursor.execute("SELECT set_config(%s, %s, true)", [setting, value])
            seen = {what: rows_seen(sql, parameters) for what, sql, parameters in queries(of)}
        assert {what: rows for what, rows in seen.items() if rows > ROWS_OF_EACH * WAITING} == {}
