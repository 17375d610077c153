"""The first rules, the facts that they speak of, what keeps them and the decisions on them, and who may do what with
them."""

from pathlib import Path
from typing import Any

from django.db import migrations

from compliance.rules.defaults import DEFAULT_RULES
from wallet_project.utils.context import SYSTEM_PRINCIPAL_ID
from wallet_project.utils.roles import give_to_roles
from wallet_project.utils.sql_files import install, keep_rows, release_rows
from wallet_project.utils.transitions import drop_state_trigger_sql, state_trigger_sql

LOGS = ("compliance_rule", "compliance_ruledecision", "compliance_rulesrevision")
ROWS = ("compliance_ruleversion", "compliance_backtest")

# A copy of what the models declare; tests/test_state_machines.py compares them with the triggers in the database.
VERSION = [
    ("draft", "shadow"), ("shadow", "active"), ("draft", "retired"), ("shadow", "retired"), ("active", "retired"),
]  # fmt: skip
BACKTEST = [("queued", "running"), ("running", "done"), ("queued", "failed"), ("running", "failed")]

VIEW = ["view_rule", "view_ruleversion", "view_ruledecision", "view_rulesrevision", "view_backtest"]
ROLES = {
    "Officer": [*VIEW, "edit_rule"],
    "Senior officer": [*VIEW, "edit_rule", "approve_rule"],
    "Auditor": VIEW,
    "Administrator": VIEW,
}


def install_default_rules(apps: Any, schema_editor: Any) -> None:
    """Before the triggers are there: nobody has agreed to what a new wallet starts with."""
    using = schema_editor.connection.alias

    def rows(model: str) -> Any:
        return apps.get_model("compliance", model).objects.using(using)

    ids = []
    for default in DEFAULT_RULES:
        rule = rows("Rule").create(
            name=default.name, description=default.description, created_by_id=SYSTEM_PRINCIPAL_ID
        )
        version = rows("RuleVersion").create(
            rule=rule,
            number=1,
            expression=default.expression,
            explanation=default.explanation,
            action=default.action,
            serious=default.serious,
            status="active",
            author_id=SYSTEM_PRINCIPAL_ID,
        )
        ids.append(str(version.id))
        for before, after in (("", "draft"), ("draft", "shadow"), ("shadow", "active")):
            rows("StateChange").create(
                machine="ruleversion",
                subject_id=version.id,
                from_state=before,
                to_state=after,
                actor_id=SYSTEM_PRINCIPAL_ID,
                reason="a rule that a new wallet starts with",
            )
    rows("RulesRevision").create(number=1, active=ids, shadow=[], made_by_id=SYSTEM_PRINCIPAL_ID)


class Migration(migrations.Migration):
    dependencies = [("compliance", "0007_rules")]
    operations = [
        migrations.RunPython(install_default_rules, migrations.RunPython.noop),
        migrations.RunSQL("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED", migrations.RunSQL.noop),
        install(
            Path(__file__).resolve().parent.parent,
            "rules.sql",
            "screening_facts.sql",
            undo="""
                DROP TRIGGER rule_version_is_as_agreed ON compliance_ruleversion;
                DROP TRIGGER rule_answer_is_to_its_proposal ON compliance_ruledecision;
                DROP FUNCTION rule_version_is_as_agreed(); DROP FUNCTION rule_answer_is_to_its_proposal();
                DROP FUNCTION compliance_facts(uuid[], text[], bigint[], text[], bigint[], bigint[]);
            """,
        ),
        migrations.RunSQL(
            state_trigger_sql("compliance_ruleversion", "status", ["draft"], VERSION),
            drop_state_trigger_sql("compliance_ruleversion", "status"),
        ),
        migrations.RunSQL(
            state_trigger_sql("compliance_backtest", "status", ["queued"], BACKTEST),
            drop_state_trigger_sql("compliance_backtest", "status"),
        ),
        migrations.RunSQL(
            [keep_rows(table, also_updates=True) for table in LOGS]
            + [keep_rows(table, also_updates=False) for table in ROWS],
            [release_rows(table) for table in LOGS + ROWS],
        ),
        give_to_roles("compliance", ROLES),
    ]
