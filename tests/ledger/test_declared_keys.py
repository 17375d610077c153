"""Every key that a model of accounts and ledger declares holds in the database, whatever migrations have dropped."""

from collections.abc import Iterator

import psycopg
import pytest
from django.apps import apps
from django.db import models

pytestmark = pytest.mark.django_db

_REFERENCES = """
    SELECT n.conrelid::regclass::text, n.confrelid::regclass::text, array_agg(a.attname::text ORDER BY a.attname)
    FROM pg_constraint n JOIN pg_attribute a ON a.attrelid = n.conrelid AND a.attnum = ANY (n.conkey)
    WHERE n.contype = 'f' AND n.convalidated GROUP BY n.oid, n.conrelid, n.confrelid"""
_UNIQUE = """
    SELECT i.indrelid::regclass::text, array_agg(a.attname::text ORDER BY a.attname)
    FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
    WHERE i.indisunique AND i.indisvalid AND i.indpred IS NULL GROUP BY i.indexrelid, i.indrelid"""
_POSITIVE = """
    SELECT n.conrelid::regclass::text || '.' || a.attname FROM pg_constraint n
    JOIN pg_attribute a ON a.attrelid = n.conrelid AND a.attnum = ANY (n.conkey)
    WHERE n.contype = 'c' AND pg_get_constraintdef(n.oid) = format('CHECK ((%I >= 0))', a.attname)"""


def columns() -> Iterator[tuple[str, models.Field]]:
    for app in ("accounts", "ledger"):
        for model in apps.get_app_config(app).get_models():
            for field in model._meta.concrete_fields:
                yield model._meta.db_table, field


def test_every_reference_is_a_foreign_key(owner_connection: psycopg.Connection) -> None:
    found = {
        (table, to, column) for table, to, names in owner_connection.execute(_REFERENCES).fetchall() for column in names
    }
    declared = {
        (table, field.related_model._meta.db_table, field.column)
        for table, field in columns()
        if isinstance(field, models.ForeignKey)
    }
    # Triggers stand in for these, a statement at a time: tests/ledger/test_wrong_rows.py.
    assert {(table, column) for table, _, column in declared - found} == {
        ("accounts_idempotencyclaim", "principal_id"),
        ("ledger_transaction", "debit_account_id"),
        ("ledger_transaction", "credit_account_id"),
        ("ledger_transaction", "initiator_id"),
        ("ledger_entry", "transaction_id"),
        ("ledger_entry", "account_id"),
    }
    assert len(declared) > 20


def test_every_unique_column_is_unique(owner_connection: psycopg.Connection) -> None:
    found = {(table, tuple(names)) for table, names in owner_connection.execute(_UNIQUE).fetchall()}
    assert {(table, (field.column,)) for table, field in columns() if field.unique} <= found


def test_every_count_is_never_negative(owner_connection: psycopg.Connection) -> None:
    found = {row[0] for row in owner_connection.execute(_POSITIVE).fetchall()}
    counts = models.PositiveIntegerField | models.PositiveSmallIntegerField | models.PositiveBigIntegerField
    assert {f"{table}.{field.column}" for table, field in columns() if isinstance(field, counts)} <= found
