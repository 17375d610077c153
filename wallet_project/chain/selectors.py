"""What operators ask of the chain."""

from django.db import connection
from psycopg import sql

_SOURCES = (
    "SELECT DISTINCT ON (table_name) table_name, moment_column FROM chain_source ORDER BY table_name, version DESC"
)


def oldest_unsealed_seconds() -> list[tuple[tuple[str, ...], float]]:
    """(("seal",), seconds since the oldest row that no block holds yet was written), 0 when there is none."""
    with connection.cursor() as cursor:
        cursor.execute(_SOURCES)
        each = [
            # By a value, and not by a join, which would read the index from its beginning.
            sql.SQL("(SELECT {} AS at FROM {} WHERE xact >= (SELECT to_xact FROM head) ORDER BY xact LIMIT 1)").format(
                sql.Identifier(moment), sql.Identifier(table)
            )
            for table, moment in cursor.fetchall()
        ]
        if not each:
            return [(("seal",), 0.0)]
        cursor.execute(
            sql.SQL(
                "WITH head AS (SELECT to_xact FROM chain_block ORDER BY number DESC LIMIT 1)"
                " SELECT coalesce(extract(epoch FROM now() - min(at)), 0)::float8 FROM ({}) unsealed"
            ).format(sql.SQL(" UNION ALL ").join(each))
        )
        (age,) = cursor.fetchone() or (0.0,)
    return [(("seal",), max(0.0, float(age)))]
