"""What the application's role may do, said by each app in its `grants.py` and applied by the owner after `migrate`.

The role can SELECT everything and is granted the rest by table and column (docs/database.md). It owns nothing, so it
can't switch off a trigger, empty a table or change a function; what is not listed is refused.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping

from django.db import connections, transaction
from django.db.backends.utils import CursorWrapper
from psycopg import sql

#: A table's privileges, as they stand in a GRANT: "INSERT", "INSERT, UPDATE (status)", ….
Tables = Mapping[str, str]


class RolesNotSeparate(Exception):
    """The application would own the tables: set DATABASE_URL and DATABASE_OWNER_URL to two different roles."""


def privileges_of(text: str) -> Iterator[tuple[str, str | None]]:
    """(privilege, column) of what stands in a GRANT, such as "INSERT, UPDATE (status)"; no column: the whole table."""
    for privilege, columns in re.findall(r"(\w+)(?:\s*\(([^)]*)\))?", text):
        if columns:
            yield from ((privilege, column.strip()) for column in columns.split(","))
        else:
            yield privilege, None


def apply(
    *,
    using: str,
    role: str,
    tables: Iterable[Tables],
    functions: Iterable[str],
    withheld: Mapping[str, Collection[str]] | None = None,
) -> None:
    """Take everything from `role` and give it what is listed, in one transaction. Safe to run again.

    `withheld`: columns of tables that it may not fill in by itself; INSERT is granted for the others."""
    connection = connections[using]
    with transaction.atomic(using=using), connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        if cursor.fetchone() == (role,):
            raise RolesNotSeparate(RolesNotSeparate.__doc__)
        name = sql.Identifier(role).as_string()
        cursor.execute(f"GRANT USAGE ON SCHEMA public TO {name}")
        cursor.execute(f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {name}")
        cursor.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {name}")
        cursor.execute(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {name}")
        cursor.execute(f"REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC, {name}")
        # Databases older than PostgreSQL 15 let everybody make functions here, where the owner's functions look.
        cursor.execute(f"REVOKE CREATE ON SCHEMA public FROM PUBLIC, {name}")
        # After `migrate ledger zero` some of them are not there.
        present = set(connection.introspection.table_names(cursor))
        for privileges_by_table in tables:
            for table, privileges in privileges_by_table.items():
                if table in present:
                    if withheld and table in withheld:
                        privileges = _without(privileges, columns_of(cursor, table), withheld[table])
                    cursor.execute(f"GRANT {privileges} ON {sql.Identifier(table).as_string()} TO {name}")
        cursor.execute("SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace")
        present = {row[0] for row in cursor.fetchall()}
        for function in sorted(present.intersection(functions)):
            cursor.execute(f"GRANT EXECUTE ON FUNCTION {sql.Identifier(function).as_string()} TO {name}")


def allow_reading(*, using: str, role: str, tables: Iterable[str]) -> None:
    """Give a role that is there SELECT on these tables, and on nothing else."""
    connection = connections[using]
    with transaction.atomic(using=using), connection.cursor() as cursor:
        cursor.execute("SELECT FROM pg_roles WHERE rolname = %s", [role])
        if cursor.fetchone() is None:
            return
        name = sql.Identifier(role).as_string()
        cursor.execute(f"GRANT USAGE ON SCHEMA public TO {name}")
        cursor.execute(f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {name}")
        for table in sorted(set(tables).intersection(connection.introspection.table_names(cursor))):
            cursor.execute(f"GRANT SELECT ON {sql.Identifier(table).as_string()} TO {name}")


def columns_of(cursor: CursorWrapper, table: str) -> list[str]:
    cursor.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(format('public.%%I', %s::text))"
        " AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        [table],
    )
    return [row[0] for row in cursor.fetchall()]


def _without(privileges: str, columns: Iterable[str], withheld: Collection[str]) -> str:
    """The privileges with INSERT on all columns but these."""
    others = ", ".join(sql.Identifier(column).as_string() for column in columns if column not in withheld)
    return re.sub(r"\bINSERT\b(?! *\()", f"INSERT ({others})", privileges)
