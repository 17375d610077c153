"""Each table that keeps its rows refuses to be emptied, by a guard of its own."""

from importlib import import_module

import psycopg
import pytest
from psycopg import sql
from psycopg.errors import CheckViolation

pytestmark = pytest.mark.django_db

_GUARDS = [import_module(f"{app}.migrations.0002_guards") for app in ("accounts", "ledger")]
PAYEES = {"accounts_beneficiary", "accounts_handle"}
KEPT = sorted({table for guards in _GUARDS for table in (*guards.LOGS, *guards.ROWS)} | PAYEES)


@pytest.mark.parametrize("table", KEPT)
def test_a_table_is_not_emptied(owner_connection: psycopg.Connection, table: str) -> None:
    with pytest.raises(CheckViolation) as refused:
        owner_connection.execute(sql.SQL("TRUNCATE {} CASCADE").format(sql.Identifier(table)))
    # Of a table and those that refer to it, its own guard is asked first.
    assert refused.value.diag.constraint_name == f"{table}_is_not_emptied"


def test_what_every_wallet_has_is_not_deleted_row_by_row_either(owner_connection: psycopg.Connection) -> None:
    for table in ("accounts_account", "accounts_principal"):
        with pytest.raises(CheckViolation) as refused:
            owner_connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
        assert refused.value.diag.constraint_name == f"{table}_keeps_its_rows"
