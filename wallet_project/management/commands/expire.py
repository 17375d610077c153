"""`manage.py expire`: what may go does, now; with the owner's rights also what is under seal."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from wallet_project.expiry import expire_as_application, expire_as_owner
from wallet_project.utils.retention import Expired


class Command(BaseCommand):
    help = "Delete or blank what has been kept for its time (KEEP_DAYS); never money, states or decisions."

    def add_arguments(self, parser: CommandParser | ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="count what is due, and change nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        now, dry_run = timezone.now(), options["dry_run"]
        for each in expire_as_application(now=now, dry_run=dry_run, go_on=lambda: True):
            self._show(each, dry_run=dry_run)
        if dry_run or settings.DATABASE_OWNER_URL:
            for each in expire_as_owner(now=now, dry_run=dry_run):
                self._show(each, dry_run=dry_run)
        else:
            self.stdout.write("What is under seal is left: its salts are the owner's (DATABASE_OWNER_URL).")

    def _show(self, each: Expired, *, dry_run: bool) -> None:
        if each.days is None:
            done = "kept for good"
        else:
            verb = "due" if dry_run else "deleted" if each.what.blank is None else "blanked"
            done = f"{each.rows} {verb} after {each.days} days"
        self.stdout.write(f"{each.what.name:<20}{done}: {each.what.title}")
