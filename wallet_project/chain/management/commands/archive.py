"""`manage.py archive FOLDER`: what is under seal, copied into files that verify by themselves."""

import json
from argparse import ArgumentParser
from datetime import datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from wallet_project.chain import archive
from wallet_project.chain.archive import Manifest, NoArchive
from wallet_project.chain.heads import BadHead


class Command(BaseCommand):
    help = "Copy what is under seal into FOLDER, or verify such a copy without a database. Nothing is deleted."

    def add_arguments(self, parser: CommandParser | ArgumentParser) -> None:
        parser.add_argument("folder", type=Path)
        parser.add_argument("--until", metavar="INSTANT", help="what was sealed by then, as 2026-01-01T00:00Z; now")
        parser.add_argument("--after", type=Path, metavar="FOLDER", help="only what came behind this archive")
        parser.add_argument("--verify", action="store_true", help="read the folder instead, and compute every hash")
        parser.add_argument("--heads", type=Path, metavar="FOLDER", help="with --verify: signed heads to compare with")
        parser.add_argument("--keys", type=Path, metavar="FILE", help="public keys, if not keys.json beside the heads")
        parser.add_argument("--timeout", type=int, default=3600, help="seconds that one query may take")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["verify"]:
                self._verify(options)
            else:
                self._write(options)
        except (NoArchive, BadHead) as error:
            raise CommandError(str(error)) from error

    def _write(self, options: dict[str, Any]) -> None:
        after = Manifest.read(options["after"]).last if options["after"] else None
        until = _instant(options["until"]) if options["until"] else timezone.now()
        made = archive.write(options["folder"], until=until, after=after, timeout_seconds=options["timeout"])
        for name, (digest, lines) in made.files.items():
            self.stdout.write(f"{digest}  {name} ({lines} lines)")
        self.stdout.write(f"Up to block {made.last.number}, sealed {made.last.sealed_at}: {made.last.hash.hex()}")

    def _verify(self, options: dict[str, Any]) -> None:
        found = archive.verify(options["folder"], signed=options["heads"], keys=options["keys"])
        figures = ", ".join(f"{name} {value}" for name, value in found.figures.items())
        self.stdout.write(f"{'holds ' if found.holds else 'BROKEN'} {found.title} ({figures})")
        for row in found.offending:
            self.stdout.write(f"  {json.dumps(dict(row), default=str)}")
        if not found.holds:
            raise SystemExit(1)


def _instant(text: str) -> datetime:
    """Raises CommandError."""
    try:
        found = parse_datetime(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise CommandError("--until is an instant with its time zone, such as 2026-01-01T00:00Z.")
    return found
