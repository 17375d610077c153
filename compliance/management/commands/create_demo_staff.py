"""One member of staff for each role, with passwords that are printed once. For demonstrations, never for production."""

import json
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from compliance.services.staff import create_demo_staff
from wallet_project.utils.errors import DomainError


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--force", action="store_true", help="also where DEBUG is off")
        parser.add_argument("--json", action="store_true", help="print [{email, role, password}]")

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEBUG and not options["force"]:
            raise CommandError("DEBUG is off, so this may be production. Make staff in the admin, or say --force.")
        try:
            logins = create_demo_staff()
        except DomainError as error:
            raise CommandError(error.message) from error
        if options["json"]:
            self.stdout.write(json.dumps([asdict(login) for login in logins]))
            return
        for login in logins:
            self.stdout.write(f"{login.email:<24} {login.password:<18} {login.role}")
