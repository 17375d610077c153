"""The guards stand: functions, triggers and constraints in the database are those that the migrations make, and each
role may do there what is listed.

What should be there is read from the code that runs, not from the database: whoever owns the tables can change a guard
and any row that would describe it. A CHECK that was made again under its old name and says less is not seen here, but
what it lets through is seen by the other checks. docs/database.md says who finds what.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django.apps import apps
from django.conf import settings
from django.db import connection, models
from django.db.migrations import RunSQL
from django.db.migrations.loader import MigrationLoader

from wallet_project.chain.grants import NOTARY_TABLES
from wallet_project.grants import listed, withheld
from wallet_project.utils.grants import columns_of, privileges_of
from wallet_project.utils.verification import Check, Result, rows

_FLAGS: Final = re.DOTALL | re.IGNORECASE
_FUNCTION: Final = re.compile(
    r"CREATE\s+(?:OR\s+REPLACE\s+)?FUNCTION\s+(?P<name>\w+)\s*\((?P<head>.*?)\bAS\s+(?P<quote>\$\w*\$)(?P<body>.*?)(?P=quote)",
    _FLAGS,
)
_SEARCH_PATH: Final = re.compile(r"SET\s+search_path\s*=\s*([\w, ]*\w)", _FLAGS)
_TRIGGER: Final = re.compile(
    r"CREATE\s+(?:OR\s+REPLACE\s+)?(?P<constraint>CONSTRAINT\s+)?TRIGGER\s+(?P<name>\w+)\s+(?P<time>BEFORE|AFTER)\s+"
    r"(?P<events>.*?)\s+ON\s+(?P<table>[\w.]+)\s(?P<how>.*?)EXECUTE\s+FUNCTION\s+(?P<calls>[\w.]+\(.*?\))\s*(?:;|$)",
    _FLAGS,
)
_TYPE: Final = r"(?:character varying|timestamp with(?:out)? time zone|double precision|\w+)"
_ADDED: Final = re.compile(r"\bADD\s+CONSTRAINT\s+(?P<name>\w+)", _FLAGS)
_DROPPED: Final = re.compile(
    r"\bDROP\s+(?P<what>TRIGGER|FUNCTION|CONSTRAINT)\s+(?:IF\s+EXISTS\s+)?(?P<name>\w+)(?:\s+ON\s+(?P<table>\w+))?",
    _FLAGS,
)


@dataclass(frozen=True, slots=True)
class Function:
    body: str
    #: Runs with its owner's rights.
    definer: bool
    search_path: str


@dataclass
class Guards:
    """Functions by name, triggers (as normalised SQL) by table and name, names of constraints, keys to other tables."""

    functions: dict[str, Function] = field(default_factory=dict)
    triggers: dict[tuple[str, str], str] = field(default_factory=dict)
    constraints: set[str] = field(default_factory=set)
    references: set[tuple[str, str]] = field(default_factory=set)

    def run(self, sql: str) -> None:
        """What this SQL would make and take away."""
        for match in _FUNCTION.finditer(sql):
            path = _SEARCH_PATH.search(match["head"])
            self.functions[match["name"]] = Function(
                match["body"], "security definer" in match["head"].lower(), path[1] if path else ""
            )
        # What stands in a function's body is not run now.
        outside = _FUNCTION.sub(lambda match: " " * len(match[0]), sql)
        steps = [match for pattern in (_TRIGGER, _ADDED, _DROPPED) for match in pattern.finditer(outside)]
        for match in sorted(steps, key=lambda match: match.start()):
            if match.re is _TRIGGER:
                self.triggers[match["table"], match["name"]] = normalised(match)
            elif match.re is _ADDED:
                self.constraints.add(match["name"])
            else:
                self._drop(match)

    def _drop(self, match: re.Match[str]) -> None:
        what, name = match["what"].upper(), match["name"]
        if what == "TRIGGER":
            self.triggers.pop((match["table"], name), None)
        elif what == "FUNCTION":
            self.functions.pop(name, None)
        else:
            self.constraints.discard(name)


def normalised(match: re.Match[str]) -> str:
    """A trigger's SQL so that ours and PostgreSQL's own rendering of it are the same text."""
    events = sorted(re.split(r"\s+OR\s+", match["events"].strip(), flags=re.IGNORECASE))
    how, _, when = re.sub(r"\s+", " ", match["how"]).strip().partition("WHEN")
    # PostgreSQL writes casts and brackets that nobody wrote.
    condition = re.sub(rf"::{_TYPE}(\[\])?|[()\s]", "", when.lower())
    parts = [match["constraint"] or "", match["time"], ",".join(events), how, condition, match["calls"]]
    return "|".join(re.sub(r"\s+", " ", part).strip().replace("public.", "") for part in parts)


def installed() -> Guards:
    """What all migrations of ours together make, and what our models declare."""
    ours = {config.label for config in apps.get_app_configs() if config.path.startswith(str(settings.BASE_DIR))}
    guards = Guards()
    for sql in _sql_of_migrations(ours):
        guards.run(sql)
    for model in (model for label in sorted(ours) for model in apps.get_app_config(label).get_models()):
        guards.constraints |= {constraint.name for constraint in model._meta.constraints}
        guards.references |= {
            (model._meta.db_table, each.column)
            for each in model._meta.local_fields
            if isinstance(each, models.ForeignKey) and each.db_constraint  # type: ignore[attr-defined]
        }
    return guards


def _sql_of_migrations(labels: set[str]) -> Iterator[str]:
    loader = MigrationLoader(None, ignore_no_migrations=True)
    done: set[tuple[str, str]] = set()
    for leaf in sorted(loader.graph.leaf_nodes()):
        for node in loader.graph.forwards_plan(leaf):
            if node in done:
                continue
            done.add(node)
            if node[0] in labels:
                for operation in loader.graph.nodes[node].operations:
                    if isinstance(operation, RunSQL):
                        yield from _texts(operation.sql)


def _texts(sql: Any) -> Iterator[str]:
    if isinstance(sql, str):
        yield sql
    else:
        for each in sql:
            yield each if isinstance(each, str) else each[0]


_FUNCTIONS: Final = """
    SELECT p.proname AS name, p.prosrc AS body, p.prosecdef AS definer,
           coalesce((SELECT substr(c, 13) FROM unnest(p.proconfig) c WHERE c LIKE 'search_path=%'), '') AS search_path
    FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')"""
_TRIGGERS: Final = """
    SELECT c.relname AS table, t.tgname AS name, t.tgenabled AS enabled, t.tgisinternal AS internal,
           pg_get_triggerdef(t.oid) AS sql
    FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE c.relnamespace = 'public'::regnamespace"""
# `conenforced` is new in PostgreSQL 18.
_CONSTRAINTS: Final = """
    SELECT conname AS name FROM pg_constraint c
    WHERE connamespace = 'public'::regnamespace AND convalidated
        AND coalesce((to_jsonb(c) ->> 'conenforced')::boolean, true)
    UNION SELECT i.relname FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
    WHERE i.relnamespace = 'public'::regnamespace AND x.indisunique AND x.indisvalid"""
_REFERENCES: Final = """
    SELECT r.relname AS table, a.attname AS column FROM pg_constraint c
    JOIN pg_class r ON r.oid = c.conrelid
    JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey)
    WHERE c.contype = 'f' AND c.convalidated AND c.connamespace = 'public'::regnamespace
        AND coalesce((to_jsonb(c) ->> 'conenforced')::boolean, true)"""
# Tables and columns that somebody may write who does not own them, and functions that he may call.
_PRIVILEGES: Final = """
    SELECT g.grantee::regrole::text AS grantee, g.privilege_type AS privilege, g.object, g.column FROM (
        SELECT x.grantee, x.privilege_type, c.relname AS object, NULL AS column, c.relowner AS owner
        FROM pg_class c CROSS JOIN aclexplode(c.relacl) x
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'v', 'm', 'p')
        UNION ALL
        SELECT x.grantee, x.privilege_type, c.relname, a.attname, c.relowner
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND NOT a.attisdropped
        CROSS JOIN aclexplode(a.attacl) x
        WHERE c.relnamespace = 'public'::regnamespace
        UNION ALL
        SELECT x.grantee, x.privilege_type, p.proname, NULL, p.proowner
        FROM pg_proc p CROSS JOIN aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) x
        WHERE p.pronamespace = 'public'::regnamespace
            AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
    ) g WHERE g.grantee <> g.owner
        -- Others may be let read; the notary reads what it signs.
        AND (g.privilege_type <> 'SELECT'
             OR (g.grantee = to_regrole(%(notary)s) AND NOT g.object = ANY (%(signed)s)))"""
_ROLE: Final = """
    SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls AS powerful,
           (SELECT string_agg(m.roleid::regrole::text, ', ') FROM pg_auth_members m
            WHERE m.member = r.oid) AS member_of,
           (SELECT string_agg(c.relname, ', ') FROM pg_class c WHERE c.relowner = r.oid) AS owns
    FROM pg_roles r WHERE rolname = %(role)s"""
# From PostgreSQL 16 on whoever made a role may give it to others and to himself; that is the administrator's, and once
# he has, it is seen here.
_MEMBERS: Final = """
    SELECT m.member::regrole::text AS member, m.roleid::regrole::text AS of FROM pg_auth_members m
    WHERE m.roleid IN (SELECT relowner FROM pg_class WHERE relnamespace = 'public'::regnamespace
                       UNION SELECT oid FROM pg_roles WHERE rolname = ANY (%(roles)s))
        AND (coalesce((to_jsonb(m) ->> 'set_option')::boolean, true)
             OR coalesce((to_jsonb(m) ->> 'inherit_option')::boolean, true))"""


@dataclass
class GuardsCheck:
    name: str = "Guards"
    title: str = "Functions, triggers and constraints are the migrations' own; the roles may do what is listed"
    _found: Result | None = None

    def before(self) -> None:
        """Nothing to ask of others."""

    def read(self) -> None:
        should = installed()
        role = str(settings.WALLET_APP_ROLE)
        offending = [
            *_functions(should),
            *_triggers(should),
            *_constraints(should),
            *_privileges(role),
            *_roles([role, str(settings.WALLET_NOTARY_ROLE)]),
        ]
        figures = {
            "functions": len(should.functions),
            "triggers": len(should.triggers),
            "constraints": len(should.constraints) + len(should.references),
        }
        self._found = Result(self.name, self.title, figures, offending)

    def result(self) -> Result:
        assert self._found is not None, "read() comes first"
        return self._found


def _functions(should: Guards) -> Iterator[Mapping[str, Any]]:
    found: dict[str, list[Function]] = {}
    for row in rows(_FUNCTIONS):
        found.setdefault(row["name"], []).append(Function(row["body"], row["definer"], row["search_path"]))
    for name, function in should.functions.items():
        if name not in found:
            yield {"problem": "a function is missing", "function": name}
        elif function not in found[name]:
            yield {"problem": "a function is not as its migration made it", "function": name}
    for name, several in found.items():
        if name not in should.functions or len(several) > 1:
            yield {"problem": "a function that no migration made", "function": name}


def _triggers(should: Guards) -> Iterator[Mapping[str, Any]]:
    found: dict[tuple[str, str], str] = {}
    for row in rows(_TRIGGERS):
        # O: fires in every ordinary session; A: in every session.
        if row["enabled"] not in ("O", "A"):
            yield {"problem": "a trigger is switched off", "table": row["table"], "trigger": row["name"]}
        if not row["internal"]:
            match = _TRIGGER.match(row["sql"])
            found[row["table"], row["name"]] = normalised(match) if match else row["sql"]
    for (table, name), sql in should.triggers.items():
        if found.get((table, name)) != sql:
            problem = "a trigger is not as its migration made it" if (table, name) in found else "a trigger is missing"
            yield {"problem": problem, "table": table, "trigger": name}
    for table, name in found.keys() - should.triggers.keys():
        yield {"problem": "a trigger that no migration made", "table": table, "trigger": name}


def _constraints(should: Guards) -> Iterator[Mapping[str, Any]]:
    for name in should.constraints - {row["name"] for row in rows(_CONSTRAINTS)}:
        yield {"problem": "a constraint is missing, or not enforced", "constraint": name}
    for table, column in should.references - {(row["table"], row["column"]) for row in rows(_REFERENCES)}:
        yield {"problem": "a foreign key is missing, or not enforced", "table": table, "column": column}


def _privileges(role: str) -> Iterator[Mapping[str, Any]]:
    tables, functions = listed()
    may: set[tuple[str, str, str | None]] = {("EXECUTE", name, None) for name in functions}
    for privileges_by_table in tables:
        for table, privileges in privileges_by_table.items():
            may |= {(privilege, table, column) for privilege, column in privileges_of(privileges)}
    for table, never in withheld().items():
        if ("INSERT", table, None) in may:
            may.remove(("INSERT", table, None))
            with connection.cursor() as cursor:
                may |= {("INSERT", table, column) for column in columns_of(cursor, table) if column not in never}
    for row in rows(_PRIVILEGES, {"notary": str(settings.WALLET_NOTARY_ROLE), "signed": list(NOTARY_TABLES)}):
        if row["grantee"] != role or (row["privilege"], row["object"], row["column"]) not in may:
            yield {"problem": "somebody may do what is not listed", **row}


def _roles(roles: list[str]) -> Iterator[Mapping[str, Any]]:
    for role in roles:
        for row in rows(_ROLE, {"role": role}):
            if row["powerful"] or row["member_of"] or row["owns"]:
                yield {"problem": "a role of the wallet's is more than that", "role": role, **row}
    for row in rows(_MEMBERS, {"roles": roles}):
        yield {"problem": "somebody can become one of the wallet's roles", **row}


def checks() -> Iterable[Check]:
    return [GuardsCheck()]


def checks_since(since: int, moment: datetime) -> Iterable[Check]:
    """They stand now, or they do not: all of them are looked at each time."""
    return checks()
