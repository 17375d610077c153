"""`manage.py migrate` as the owner: the application's role can't change the schema (docs/database.md)."""

from argparse import ArgumentParser
from typing import cast

from django.core.management.base import CommandParser
from django.core.management.commands.migrate import Command as MigrateCommand


class Command(MigrateCommand):
    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        cast(ArgumentParser, parser).set_defaults(database="owner")
