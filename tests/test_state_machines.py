"""The machines that the models declare and the triggers in the database are the same."""

import re
from typing import Any

import psycopg
import pytest
from django.apps import apps
from django.db import models
from django_fsm import FSMFieldMixin

from wallet_project.utils.transitions import births, declared_pairs

MACHINES = [
    (model, field.name)
    for model in apps.get_models()
    for field in model._meta.concrete_fields
    if isinstance(field, FSMFieldMixin)
]


def test_every_machine_is_known_here() -> None:
    assert {model.__name__ for model, _ in MACHINES} == {
        "Customer",
        "CustomerLevel",
        "Account",
        "Beneficiary",
        "Handle",
        "Transaction",
        "RailTransfer",
        "Escalation",
        "Adjustment",
        "KycCheck",
        "Screening",
        "Case",
        "ListVersion",
        "NameScreening",
        "PayerScreening",
        "RiskWeights",
        "Document",
        "RuleVersion",
        "Backtest",
    }


@pytest.mark.parametrize(("model", "field"), MACHINES, ids=lambda value: getattr(value, "__name__", value))
def test_the_trigger_knows_the_declared_transitions(
    model: type[models.Model], field: str, app_connection: psycopg.Connection
) -> None:
    name = f"{model._meta.db_table}_{field}_is_legal"
    found = {
        name: (
            bytes(arguments).decode().rstrip("\0").split("\0"),
            set(re.findall("'([^']+)'", sql.split("EXECUTE")[0])),
        )
        for name, arguments, sql in app_connection.execute(
            "SELECT tgname::text, tgargs, pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname = ANY (%s)",
            [[name, f"{name}_at_birth"]],
        )
    }
    (column, *pairs), passed_over = found[name]
    assert column == field
    assert found[f"{name}_at_birth"] == ([column, *pairs], births(model))
    assert passed_over - {">"} == {pair for pair in pairs if not pair.startswith(">")}
    changes = {tuple(pair.split(">")) for pair in pairs if not pair.startswith(">")}
    assert changes == declared_pairs(model)
    assert {pair[1:] for pair in pairs if pair.startswith(">")} == births(model)
    states = {str(value) for value, _ in model._meta.get_field(field).choices or []}
    assert births(model) <= states
    assert {state for pair in changes for state in pair} <= states


def test_an_illegal_pair_is_refused_to_the_owner_too(owner_connection: psycopg.Connection, database: Any) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match='may not go from "open" to "requested"'):
        owner_connection.execute("UPDATE accounts_account SET status = 'requested'")


def test_an_illegal_birth_is_refused(owner_connection: psycopg.Connection) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match='from "" to "resolved"'):
        owner_connection.execute(
            "INSERT INTO ledger_escalation (id, kind, subject_type, subject_id, details, status) "
            "VALUES (gen_random_uuid(), 'x', 'x', 'x', '{}', 'resolved')"
        )
