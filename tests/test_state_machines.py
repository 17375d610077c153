"""The machines that the models declare and the triggers in the database are the same."""

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
        "RiskWeights",
        "Document",
        "RuleVersion",
        "Backtest",
    }


@pytest.mark.parametrize(("model", "field"), MACHINES, ids=lambda value: getattr(value, "__name__", value))
def test_the_trigger_knows_the_declared_transitions(
    model: type[models.Model], field: str, app_connection: psycopg.Connection
) -> None:
    arguments = app_connection.execute(
        "SELECT tgargs FROM pg_trigger WHERE tgname = %s", [f"{model._meta.db_table}_{field}_is_legal"]
    ).fetchone()
    assert arguments is not None
    column, *pairs = bytes(arguments[0]).decode().rstrip("\0").split("\0")
    assert column == field
    changes = {tuple(pair.split(">")) for pair in pairs if not pair.startswith(">")}
    assert changes == declared_pairs(model)
    assert {pair[1:] for pair in pairs if pair.startswith(">")} == births(model)
    states = {str(value) for value, _ in model._meta.get_field(field).choices or []}
    assert births(model) < states
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
