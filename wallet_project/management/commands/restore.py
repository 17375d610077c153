"""`manage.py restore PATH`: a backup into an empty database, made the wallet's again and verified."""

import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper

from wallet_project.management import postgres_programs

#: What somebody made in this database, and what came with no extension.
_SOMETHING_THERE = """
    SELECT EXISTS (SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace)
        OR EXISTS (SELECT FROM pg_proc WHERE pronamespace = 'public'::regnamespace)
"""
#: Autovacuum belongs to nobody, and gives way.
_OTHERS = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND usename IS NOT NULL
"""
#: A session that has just been closed takes a moment to end.
_CLOSING_SECONDS = 2.0
_EMPTY = "DROP SCHEMA public CASCADE; CREATE SCHEMA public;"


class Command(BaseCommand):
    help = "Fill an empty database from a backup, migrate it to this release, grant what is granted, and verify it."
    # The database is empty: whatever a check would ask of it is not there yet.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser | ArgumentParser) -> None:
        parser.add_argument("path", type=Path)
        parser.add_argument(
            "--force-clean",
            action="store_true",
            help="first delete ALL that is in the database; nothing else may use it",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["path"]
        connection = connections["owner"]
        with connection.cursor():
            major = connection.pg_version // 10_000  # type: ignore[attr-defined]
        program = postgres_programs.find("pg_restore", server_major=major)
        # All of it is read before anything is deleted.
        postgres_programs.run(program, "--file=/dev/null", str(path), connection=connection)
        self._make_empty(connection, force=options["force_clean"])
        # Our own connections would wait for it, or it for them.
        connections.close_all()
        postgres_programs.run(
            program,
            # Whoever restores owns everything, so SECURITY DEFINER functions run as the owner here whatever he was
            # called there; grants name roles that may not exist here, and follow below.
            "--no-owner",
            "--no-acl",
            "--single-transaction",
            "--exit-on-error",
            f"--dbname={connection.settings_dict['NAME']}",
            str(path),
            connection=connection,
        )
        self.stdout.write(f"Restored {path}.")
        # A backup of an older release becomes one of this; and what follows a migration gives the grants.
        call_command("migrate", interactive=False, verbosity=0)
        self.stdout.write("Migrated and granted.")
        # On another server transactions are numbered anew, and the chain seals by their numbers.
        call_command("resume_chain", reason=f"restored {path.name}", stdout=self.stdout)
        # I6 is about time, which went by; I9 about a bank, which may be another than the copy's.
        call_command("verify_ledger", no_bank=True, without=["I6"], stdout=self.stdout)

    def _make_empty(self, connection: BaseDatabaseWrapper, *, force: bool) -> None:
        with connection.cursor() as cursor:
            cursor.execute(_SOMETHING_THERE)
            if cursor.fetchone() == (False,):
                return
            if not force:
                raise CommandError(
                    f"The database {connection.settings_dict['NAME']} is not empty. Name an empty one, or delete "
                    "all that is in it with --force-clean (take a backup first)."
                )
            connections["default"].close()
            deadline = time.monotonic() + _CLOSING_SECONDS
            while others := _others(cursor):
                if time.monotonic() > deadline:
                    raise CommandError(
                        f"{others} other connections are open: stop web, workers, beat and the notary first."
                    )
                time.sleep(0.05)
            cursor.execute(_EMPTY)


def _others(cursor: CursorWrapper) -> int:
    cursor.execute(_OTHERS)
    (count,) = cursor.fetchone() or (0,)
    return int(count)
