"""Import a list of people whom the wallet may not serve, or knows well (docs/lists.md)."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from compliance.lists import FORMATS, Report
from compliance.services.list_activation import activate_version
from compliance.services.lists import Imported, import_list
from compliance.states import ListPurpose, ListVersionStatus
from wallet_project.utils.context import system_actor
from wallet_project.utils.errors import DomainError, database_refusals

NAMES: Final = {
    "ofac-csv": "OFAC SDN",
    "un-xml": "UN consolidated",
    "opensanctions-csv": "OpenSanctions",
    "internal-csv": "Deny list",
}
_SHOWN: Final = 10


class Command(BaseCommand):
    help = "Import a list as a version of its own; with --activate it comes into force at once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "path", type=Path, help="the file; of OFAC's the sdn.csv, with alt.csv and add.csv beside it"
        )
        parser.add_argument("--format", required=True, choices=sorted(FORMATS))
        parser.add_argument("--list", default="", metavar="NAME", help="which list it is a version of")
        parser.add_argument(
            "--purpose",
            default="",
            choices=ListPurpose.values,
            help="of a list that is new: internal lists deny unless told otherwise, others are sanctions",
        )
        parser.add_argument("--activate", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        own = options["format"] == "internal-csv"
        purpose = options["purpose"] or (ListPurpose.DENY if own else ListPurpose.SANCTIONS)
        try:
            with database_refusals():
                imported = import_list(
                    actor=system_actor(),
                    path=options["path"],
                    format=options["format"],
                    name=options["list"] or NAMES[options["format"]],
                    purpose=purpose,
                )
                self._say(imported)
                if options["activate"]:
                    self._activate(imported)
        except DomainError as error:
            raise CommandError(error.message) from error

    def _activate(self, imported: Imported) -> None:
        version = imported.version
        if version.status == ListVersionStatus.ACTIVE:
            self.stdout.write("It is in force already.")
            return
        activate_version(
            actor=system_actor(), version_id=version.id, reason="import_list --activate", now=timezone.now()
        )
        self.stdout.write(self.style.SUCCESS(f"{version.list.name}, version {version.number} is in force."))

    def _say(self, imported: Imported) -> None:
        version, report = imported.version, imported.report
        self._account_for(report)
        if not imported.new:
            self.stdout.write(
                f"Nothing is new: {version.list.name}, version {version.number} has this content already."
            )
            return
        self.stdout.write(
            f"{version.list.name}, version {version.number}: {version.entries:,} entries, {version.names:,} names; "
            f"{version.added:,} added, {version.changed:,} changed, {version.removed:,} removed."
        )

    def _account_for(self, report: Report) -> None:
        for file in report.files:
            parts = [(what, many) for what, many in file.accounted.items() if "/" not in what]
            told = ", ".join(f"{what} {many:,}" for what, many in parts)
            self.stdout.write(
                f"{file.name}: {file.units:,} {file.unit}, {file.encoding}" + (f": {told}" if told else "")
            )
        if report.unread:
            some = ", ".join(f"{what} ({many})" for what, many in report.unread.most_common(_SHOWN))
            more = len(report.unread) - _SHOWN
            self.stdout.write(f"Kept as text alone: {some}" + (f" and {more} more" if more > 0 else ""))
        for warning in report.warnings:
            self.stderr.write(self.style.WARNING(warning))
