"""`manage.py verify_ledger`: every invariant of docs/audit.md that the apps know how to check, in one snapshot."""

import json
from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.module_loading import import_string

from ledger.rails import configured_rail
from ledger.verification import bank_check
from wallet_project.utils.verification import Check, Result, Verified, checks_by_app, checks_since, verify


class Command(BaseCommand):
    help = "Check the ledger's invariants; exits with 1 and the offending rows when one does not hold."

    def add_arguments(self, parser: CommandParser | ArgumentParser) -> None:
        parser.add_argument("--no-bank", action="store_true", help="do not compare with the bank's own book")
        parser.add_argument(
            "--without", action="append", default=[], metavar="I6", help="leave one out, as where nobody works yet"
        )
        parser.add_argument(
            "--since-last",
            action="store_true",
            help="only what came since the last self-audit that was complete and found nothing (docs/audit.md)",
        )
        parser.add_argument("--timeout", type=int, default=300, help="seconds that one query may take")
        parser.add_argument("--lanes", type=int, help="connections to read on at a time; two where there is much")

    def handle(self, *args: Any, **options: Any) -> None:
        checks = _new(self) if options["since_last"] else [check for _, check in checks_by_app(settings.LEDGER_CHECKS)]
        if not options["no_bank"] and not options["since_last"]:
            checks.append(bank_check(configured_rail))
        checks = [check for check in checks if check.name not in options["without"]]
        results = verify(
            checks, timeout_seconds=options["timeout"], lanes=options["lanes"], of_new_rows=options["since_last"]
        )
        for result in results:
            self._show(result)
        broken = [result.name for result in results if not result.holds]
        if broken:
            self.stdout.write(self.style.ERROR(f"Violated: {', '.join(broken)}"))
            raise SystemExit(1)
        self.stdout.write(self.style.SUCCESS(f"All {len(results)} invariants hold."))

    def _show(self, result: Result) -> None:
        figures = ", ".join(f"{name} {value}" for name, value in result.figures.items())
        mark = self.style.SUCCESS("holds ") if result.holds else self.style.ERROR("BROKEN")
        self.stdout.write(f"{result.name:<9} {mark} {result.title} ({figures or 'nothing there yet'})")
        if result.unread:
            self.stdout.write(f"        could not be read: {result.unread}")
        for row in result.offending:
            self.stdout.write(f"        {json.dumps(dict(row), default=str)}")


def _new(command: BaseCommand) -> list[Check]:
    last: Callable[[], Verified | None] = import_string(settings.LEDGER_VERIFIED)
    verified = last()
    if verified is None:
        raise CommandError("No self-audit was complete and found nothing: run self_audit, or verify all.")
    command.stdout.write(f"What came since {verified.moment:%Y-%m-%d %H:%M:%S} UTC, all before was audited:")
    return checks_since(settings.LEDGER_CHECKS_SINCE, verified)
