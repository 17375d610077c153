"""Plans as EXPLAIN tells them, and that of a query inside a function, which EXPLAIN of a call does not show."""

import json
import re
from collections.abc import Sequence
from typing import Any

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper


def told_plan(cursor: CursorWrapper) -> dict[str, Any]:
    """After an EXPLAIN (FORMAT JSON): its plan, which a cursor of the server's gives as text."""
    [plan] = cursor.fetchone() or []
    [parsed] = plan if isinstance(plan, list) else json.loads(plan)
    told: dict[str, Any] = parsed["Plan"]
    return told


def plan_inside(name: str, arguments: Sequence[Any], *, analyze: bool = False) -> dict[str, Any]:
    """Of a function in PL/pgSQL that consists of one RETURN QUERY: its plan, with the settings that it runs with."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT prosrc, proargnames[1:pronargs], proargtypes::regtype[]::text[], proconfig FROM pg_proc"
            " WHERE proname = %s",
            [name],
        )
        source, names, types, settings = cursor.fetchone() or ("", [], [], [])
        found = re.search(r"RETURN QUERY\b(.*);\s*END\s*$", source, re.DOTALL)
        assert found is not None, f"{name} is not one RETURN QUERY"
        query = found[1]
        for number, parameter in enumerate(names, start=1):
            query = re.sub(rf"\b{parameter}\b", f"${number}", query)
        for setting in settings:
            variable, _, value = setting.partition("=")
            cursor.execute("SELECT set_config(%s, %s, true)", [variable, value])
        cursor.execute(f"PREPARE inside ({', '.join(types)}) AS {query.replace('%', '%%')}", [])
        values = ", ".join(f"%s::{type_}" for type_ in types)
        options = "ANALYZE, BUFFERS, FORMAT JSON" if analyze else "FORMAT JSON"
        cursor.execute(f"EXPLAIN ({options}) EXECUTE inside ({values})", list(arguments))
        told = told_plan(cursor)
        cursor.execute("DEALLOCATE inside")
    return told
