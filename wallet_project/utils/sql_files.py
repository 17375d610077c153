"""SQL that matters is a file; a migration installs it."""

from pathlib import Path

from django.db.migrations import RunSQL


def install(app_dir: Path, *names: str, undo: str) -> RunSQL:
    """Run the named files of an app's `sql` folder in one step; `undo` is the SQL that takes it back."""
    return RunSQL("\n".join((app_dir / "sql" / name).read_text() for name in names), undo)


def keep_rows(table: str, *, also_updates: bool) -> str:
    """SQL for the triggers that keep a table's rows: no DELETE or TRUNCATE and, for a log, no UPDATE either."""
    refused = "UPDATE OR DELETE" if also_updates else "DELETE"
    return (
        f"CREATE TRIGGER {table}_keeps_its_rows BEFORE {refused} ON {table} "
        f"FOR EACH ROW EXECUTE FUNCTION refuse_change();\n"
        f"CREATE TRIGGER {table}_is_not_emptied BEFORE TRUNCATE ON {table} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();\n"
    )


def release_rows(table: str) -> str:
    """SQL that takes `keep_rows` back."""
    return (
        f"DROP TRIGGER IF EXISTS {table}_keeps_its_rows ON {table};\n"
        f"DROP TRIGGER IF EXISTS {table}_is_not_emptied ON {table};\n"
    )
