"""`manage.py backup PATH`: everything in the database as one file of pg_dump's custom format."""

import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections

from wallet_project.management import postgres_programs


class Command(BaseCommand):
    help = "Write the whole database to PATH (pg_dump's custom format). The wallet goes on working meanwhile."
    # A check may ask the database or Redis; a backup is wanted most when something is broken.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser | ArgumentParser) -> None:
        parser.add_argument("path", type=Path)
        parser.add_argument("--overwrite", action="store_true", help="replace a file that is there")

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["path"]
        if path.exists() and not options["overwrite"]:
            raise CommandError(f"{path} is there already; give another name or --overwrite.")
        connection = connections["owner"]
        with connection.cursor():
            major = connection.pg_version // 10_000  # type: ignore[attr-defined]
        connection.close()
        # Nobody takes half a backup for a whole one, and nobody else reads it: it is full of personal data.
        unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
        unfinished.touch(mode=0o600, exist_ok=False)
        try:
            program = postgres_programs.find("pg_dump", server_major=major)
            postgres_programs.run(program, "--format=custom", f"--file={unfinished}", connection=connection)
            with unfinished.open("rb") as written:
                os.fsync(written.fileno())
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
        self.stdout.write(f"Wrote {path} ({path.stat().st_size:,} bytes).")
