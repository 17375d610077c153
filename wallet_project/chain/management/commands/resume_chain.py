"""`manage.py resume_chain`: after the database came to another server by another way than `manage.py restore`."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import connections


class Command(BaseCommand):
    help = "Go on sealing where transactions are numbered anew; changes nothing where they are not. As the owner."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser | ArgumentParser) -> None:
        parser.add_argument("--reason", default="restored", help="what the chain's epochs say of it")

    def handle(self, *args: Any, **options: Any) -> None:
        with connections["owner"].cursor() as cursor:
            cursor.execute("SELECT chain_resume(%s)", [options["reason"]])
            (needed,) = cursor.fetchone() or (False,)
        connections["owner"].close()
        self.stdout.write("The chain goes on, in a new epoch." if needed else "The chain goes on.")
