"""Look for a name on the lists in force."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from compliance.lists.words import birth_dates_of, country_of
from compliance.names import Query
from compliance.watchlists import lists_in_force, look_for, threshold


class Command(BaseCommand):
    help = "Look for a name on the lists in force; what is found, and why, as JSON."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--birth-date", default="", help="1970, 1970-05 or 1970-05-17")
        parser.add_argument("--country", default="", help="ISO 3166 alpha-2, or a name")
        parser.add_argument("--gender", default="", choices=["", "male", "female"])
        parser.add_argument("--subject", default="person", choices=["person", "organisation", "unknown"])

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["name"].strip():
            raise CommandError("Give a name.")
        birth, country = options["birth_date"], options["country"]
        if birth and birth_dates_of(birth) != (birth,):
            raise CommandError(f"{birth!r} is no date: write 1970, 1970-05 or 1970-05-17.")
        if country and not country_of(country):
            raise CommandError(f"{country!r} is no country: write its ISO 3166 alpha-2 code.")
        lists = lists_in_force()
        query = Query(
            name=options["name"],
            birth_date=birth,
            country=country_of(country),
            gender=options["gender"],
            subject=options["subject"],
        )
        hits = look_for(query, lists)
        answer = {
            "lists": [
                {"list": each.list_name, "version": each.number, "version_id": str(each.version_id)} for each in lists
            ],
            "threshold": threshold(),
            "hits": [found.as_json() for found in hits],
        }
        self.stdout.write(json.dumps(answer, indent=2, ensure_ascii=False))
        if not lists:
            self.stderr.write(self.style.WARNING("No list is in force: nobody can be found."))
