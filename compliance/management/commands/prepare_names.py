"""`manage.py prepare_names`: all customers' names made ready for the next list, ahead of it."""

from typing import Any

from django.core.management.base import BaseCommand

from compliance.services.rescreening import prepare_names


class Command(BaseCommand):
    help = (
        "Make the names of all customers ready to be looked up when a list changes. The look for a list does that by "
        "itself; after an upgrade that changes how names are matched, this does it ahead, and spares the first look "
        "some ten minutes for a million customers. It may be stopped, and goes on where it is needed."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        last = prepare_names(after=None)
        while last is not None:
            last = prepare_names(after=last)
        self.stdout.write("All names are ready.")
