"""`manage.py verify_chain`: the chain of hashes over entries and logs, from its first block or from a signed head."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from wallet_project.chain import heads, reading
from wallet_project.chain.exported import HeadsCheck
from wallet_project.chain.hashing import Header
from wallet_project.chain.heads import BadHead, Line
from wallet_project.chain.verification import ChainCheck
from wallet_project.utils.verification import Check, verify


class Command(BaseCommand):
    help = "Verify the hash chain; exits with 1 and names block and row when something is not as it was sealed."

    def add_arguments(self, parser: CommandParser | ArgumentParser) -> None:
        parser.add_argument("--heads", type=Path, metavar="FOLDER", help="compare with every signed head in it, too")
        parser.add_argument("--from-head", type=Path, metavar="FILE", help="begin behind the last signed head in it")
        parser.add_argument("--keys", type=Path, metavar="FILE", help="public keys, if not keys.json beside the heads")
        parser.add_argument("--timeout", type=int, default=3600, help="seconds that one query may take")

    def handle(self, *args: Any, **options: Any) -> None:
        folder: Path | None = options["heads"]
        if folder is None and settings.NOTARY_DIR:
            folder = Path(settings.NOTARY_DIR) / "heads"
        start = _start(options["from_head"], options["keys"]) if options["from_head"] else None
        checks: list[Check] = [ChainCheck(after=start)]
        if folder is not None:
            checks.append(HeadsCheck(folder=folder, keys=options["keys"]))
        results = verify(checks, timeout_seconds=options["timeout"])
        for result in results:
            figures = ", ".join(f"{name} {value}" for name, value in result.figures.items())
            self.stdout.write(f"{'holds ' if result.holds else 'BROKEN'} {result.title} ({figures})")
            for row in result.offending:
                self.stdout.write(f"  {json.dumps(dict(row), default=str)}")
        if not all(result.holds for result in results):
            raise SystemExit(1)


def _start(path: Path, keys: Path | None) -> Header:
    """The block that the last line of a file of heads names. Raises CommandError."""
    try:
        texts = [text for text in path.read_text().splitlines() if text]
        if not texts:
            raise BadHead(f"{path} is empty")
        line = Line.read(texts[-1])
        line.check(heads.known_keys(keys or path.parent / heads.KEYS))
    except (OSError, BadHead) as error:
        raise CommandError(str(error)) from error
    header = reading.header(line.statement.block)
    if header is None or header.hash.hex() != line.statement.hash or header.computed() != header.hash:
        raise CommandError(f"Block {line.statement.block} is not the one that was signed: the chain was rewritten.")
    return header
