"""`manage.py backtest_rule`: a rule tried on what was screened in a period, in this process."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from compliance.selectors import version_named
from compliance.services.backtests import backtest_now
from compliance.states import BacktestStatus
from wallet_project.utils.context import system_actor
from wallet_project.utils.errors import DomainError


class Command(BaseCommand):
    help = (
        "Replay a version of a rule over the facts as they were recorded when each transaction was screened, and print "
        "what it would have said as JSON. The report is kept, and is on the version's page in the admin."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("rule", help="a version's id; or a rule's name, for its newest version; or NAME:NUMBER")
        parser.add_argument("--from", dest="since", type=_moment, required=True, help="ISO 8601, UTC where not said")
        parser.add_argument("--to", dest="until", type=_moment, required=True, help="the same; excluded")

    def handle(self, *args: Any, **options: Any) -> None:
        version = version_named(options["rule"])
        if version is None:
            raise CommandError(f"There is no rule or version {options['rule']!r}.")
        try:
            row = backtest_now(
                actor=system_actor(),
                version_id=UUID(str(version.id)),
                since=options["since"],
                until=options["until"],
                now=timezone.now(),
                progress=lambda replayed: self.stderr.write(f"{replayed:,} transactions replayed"),
            )
        except DomainError as error:
            raise CommandError(error.message) from error
        if row.status != BacktestStatus.DONE:
            raise CommandError(f"The backtest {row.id} is {row.status}: {row.error or 'a worker has taken it up'}.")
        self.stdout.write(json.dumps(row.report, indent=2, ensure_ascii=False))


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
