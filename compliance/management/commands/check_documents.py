"""`manage.py check_documents`: is each file there, as it was received, and is there none that nobody knows?"""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from compliance.services.documents import FileFinding, check_files


class Command(BaseCommand):
    help = "Compare the files that customers have sent with their rows. Ends with 1 when something is wrong."

    def add_arguments(self, parser: CommandParser | ArgumentParser) -> None:
        parser.add_argument(
            "--remove-unknown",
            action="store_true",
            help="remove files that no row knows and that are older than a day",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        findings = list(check_files(remove_unknown=options["remove_unknown"]))
        for finding in findings:
            self.stdout.write(f"{finding.problem}: {finding.name}")
        if not findings:
            self.stdout.write("Each file is there as it was received, and no other.")
        if any(finding.problem != FileFinding.REMOVED for finding in findings):
            raise SystemExit(1)
