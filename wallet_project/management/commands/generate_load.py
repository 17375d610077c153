"""`manage.py generate_load`: a database of the size that one has after years, to try the wallet on."""

import sys
import time
from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections
from django.utils import timezone

from wallet_project.load.generate import TooFewEntries, generate


class Command(BaseCommand):
    help = (
        "Fill an empty, migrated database with customers, accounts and entries that verify, as its owner. For load "
        "tests: refuses where there are customers, and with production's settings."
    )

    def add_arguments(self, parser: CommandParser | ArgumentParser) -> None:
        parser.add_argument("--accounts", type=int, default=10_000)
        parser.add_argument("--entries", type=int, default=1_000_000)
        parser.add_argument("--months", type=int, default=12, help="how far back the first entry lies")
        parser.add_argument("--force", action="store_true", help="also where there are customers")

    def handle(self, *args: Any, **options: Any) -> None:
        accounts, entries, months = options["accounts"], options["entries"], options["months"]
        if not settings.DEBUG:
            raise CommandError("Not with production's settings (DEBUG is off): nothing takes these rows out again.")
        if accounts < 4 or entries % 2 or months < 1:
            raise CommandError("At least 4 accounts and a month; entries come in pairs.")
        if not options["force"] and _has_customers():
            raise CommandError("This database has customers. Take another, or add to it with --force.")
        began = time.monotonic()
        # What was posted a moment ago may still be under way, as far as a reader can tell.
        end = timezone.now() - timedelta(hours=4)
        try:
            generate(
                accounts=accounts, entries=entries, beginning=end - timedelta(days=30 * months), end=end, say=self._say
            )
        except TooFewEntries:
            raise CommandError("Each account has an opening payment: at least two entries for each.") from None
        self.stdout.write(f"{entries} entries of {accounts} accounts in {time.monotonic() - began:.0f} s.")

    def _say(self, what: str) -> None:
        if sys.stderr.isatty():
            self.stderr.write(what)


def _has_customers() -> bool:
    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM accounts_customer)")
        return bool(cursor.fetchone() == (True,))
