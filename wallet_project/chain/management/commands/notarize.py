"""`manage.py notarize`: sign the chain's head, once or again and again."""

import signal
import threading
from argparse import ArgumentParser
from pathlib import Path
from types import FrameType
from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error as DatabaseError
from django.db import connection
from django.utils import timezone

from wallet_project.chain.heads import BadHead, Line
from wallet_project.chain.notary import Notary, NotaryRefuses

logger = structlog.get_logger(__name__)


class Command(BaseCommand):
    help = "Sign the chain's head into NOTARY_DIR, with the key there. A process of its own, with a role of its own."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser | ArgumentParser) -> None:
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--every", type=float, metavar="SECONDS", help="go on until stopped")
        what.add_argument("--after-restore", metavar="REASON", help="the database was put back to an earlier moment")
        what.add_argument("--change-key", action="store_true", help="make another key, named by the present one")

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.NOTARY_DIR:
            raise CommandError("Set NOTARY_DIR to a folder that neither web nor workers can read.")
        notary = Notary(Path(settings.NOTARY_DIR))
        if options["every"]:
            _go_on(notary, options["every"])
            return
        try:
            if options["after_restore"]:
                said: Line | None = notary.accept_restore(reason=options["after_restore"], now=timezone.now())
            elif options["change_key"]:
                said = notary.change_key(now=timezone.now())
            else:
                said = notary.sign_head(now=timezone.now())
        except (NotaryRefuses, BadHead) as refusal:
            raise CommandError(str(refusal)) from refusal
        self.stdout.write(f"Signed block {said.statement.block} with {said.key}." if said else "Signed already.")


def _go_on(notary: Notary, seconds: float) -> None:
    stop = threading.Event()

    def ask_to_stop(signum: int, frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, ask_to_stop)
    while not stop.is_set():
        said, refusing = None, True
        try:
            said = notary.sign_head(now=timezone.now())
            refusing = False
        except (NotaryRefuses, BadHead) as refusal:
            logger.error("notary_refuses", why=str(refusal))
        except DatabaseError as error:
            logger.warning("notary_waits_for_the_database", error=type(error).__name__)
            refusing = False
            connection.close()
        notary.write_figures(last=said, refusing=refusing, now=timezone.now())
        stop.wait(seconds)
