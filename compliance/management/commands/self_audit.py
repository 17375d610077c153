"""`manage.py self_audit`: the audit that runs every night, now, in this process."""

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from compliance.services.self_audit import self_audit
from wallet_project.utils.context import system_actor


class Command(BaseCommand):
    help = (
        "Check all the books as every night: writes down what was found, and escalates it. Exits with 1 on a finding, "
        "with 2 when a check could not be read. I7 is about events, of which the wallet sends none yet."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        audit = self_audit(actor=system_actor(), now=timezone.now())
        for result in audit.results:
            mark = "holds " if result["holds"] else "UNREAD" if result["unread"] else "BROKEN"
            self.stdout.write(f"{result['check']:<7} {mark} {result['title']}")
            if result["unread"]:
                self.stdout.write(f"        {result['unread']}")
            for problem in sorted({row["problem"] for row in result["offending"]}):
                self.stdout.write(f"        {problem}")
        self.stdout.write(f"Self-audit {audit.id}: {audit}.")
        if audit.failing or not audit.complete:
            raise SystemExit(1 if audit.failing else 2)
