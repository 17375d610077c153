"""The notary: signs the chain's head, outside the reach of whoever could rewrite the database.

It has a key, a folder and a database role of its own; neither web nor workers have any of them. It signs only a head
that follows the last one it has signed: should the database have another history, it refuses, and says so.
"""

import json
import os
import stat
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import connection, transaction

from wallet_project.chain import heads, reading
from wallet_project.chain.hashing import Header
from wallet_project.chain.heads import Line, Statement

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class NotaryRefuses(Exception):
    """The head is not signed; the message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Notary:
    """`folder` holds `key.pem`, which nobody else may read, and `heads/`, which anybody may be given a copy of."""

    folder: Path

    @property
    def heads(self) -> Path:
        return self.folder / "heads"

    @property
    def key_file(self) -> Path:
        return self.folder / "key.pem"

    def sign_head(self, *, now: datetime) -> Line | None:
        """Sign the chain's head; None when it is signed already. Raises NotaryRefuses, BadHead."""
        key = self._key(now)
        last = self._last()
        with _snapshot():
            first, head = _ends()
            if last is not None:
                self._follows(last.statement, first)
                if head.number == last.statement.block:
                    return None
        return self._say("head", first, head, key, last, now)

    def accept_restore(self, *, reason: str, now: datetime) -> Line:
        """Say that the database was put back, and go on from its head. Raises NotaryRefuses, BadHead."""
        key = self._key(now)
        last = self._last()
        if last is None:
            raise NotaryRefuses("Nothing was signed yet, so nothing was given up.")
        with _snapshot():
            first, head = _ends()
            kept = next((line.statement.block for line in heads.latest_first(self.heads) if _is_there(line)), 0)
        return self._say("restored", first, head, key, last, now, reason=reason, given_up_after=kept)

    def change_key(self, *, now: datetime) -> Line:
        """Make another key, which the present one names as its successor. Raises NotaryRefuses, BadHead."""
        key = self._key(now)
        last = self._last()
        following = Ed25519PrivateKey.generate()
        with _snapshot():
            first, head = _ends()
            if last is not None:
                self._follows(last.statement, first)
        said = self._say("key", first, head, key, last, now, public_key=heads.public(following.public_key()))
        _write_key(self.key_file, following)
        self._publish(following, now)
        return said

    def _say(
        self,
        kind: str,
        first: Header,
        head: Header,
        key: Ed25519PrivateKey,
        last: Line | None,
        now: datetime,
        *,
        reason: str = "",
        given_up_after: int | None = None,
        public_key: str = "",
    ) -> Line:
        statement = Statement(
            kind=kind,
            chain=first.hash.hex(),
            block=head.number,
            hash=head.hash.hex(),
            signed_at=now.isoformat(),
            previous=last.statement.digest() if last else heads.NOTHING_BEFORE,
            reason=reason,
            given_up_after=given_up_after,
            public_key=public_key,
        )
        line = heads.sign(statement, key)
        heads.append(self.heads, f"{now:%Y-%m-%d}", line)
        return line

    def _last(self) -> Line | None:
        last = heads.last_line(self.heads)
        if last is not None:
            last.check(heads.known_keys(self.heads / heads.KEYS))
        return last

    def _follows(self, last: Statement, first: Header) -> None:
        """The blocks behind the last signed one follow it, one after the other."""
        before = reading.header(last.block)
        if last.chain != first.hash.hex():
            raise NotaryRefuses("This is another chain than the one whose heads are signed here.")
        if before is None or before.hash.hex() != last.hash:
            raise NotaryRefuses(
                f"Block {last.block} was signed as {last.hash} and is {before.hash.hex() if before else 'not there'}. "
                "If the database was restored to an earlier moment, say so with --after-restore. If it was not, it was "
                "rewritten: stop the wallet and keep everything as it is."
            )
        for header in reading.headers(after=last.block):
            if (header.number, header.previous) != (before.number + 1, before.hash) or header.computed() != header.hash:
                raise NotaryRefuses(f"Block {header.number} does not follow block {before.number}: run verify_chain.")
            before = header

    def _key(self, now: datetime) -> Ed25519PrivateKey:
        if not self.key_file.exists():
            if heads.files(self.heads):
                raise NotaryRefuses(f"{self.key_file} is gone: put it back from where it is kept.")
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            key = Ed25519PrivateKey.generate()
            _write_key(self.key_file, key)
            self._publish(key, now)
            return key
        if self.key_file.stat().st_mode & _OTHERS:
            raise NotaryRefuses(f"{self.key_file} may be read by others: chmod 600, and change the key.")
        found = serialization.load_pem_private_key(self.key_file.read_bytes(), password=None)
        if not isinstance(found, Ed25519PrivateKey):
            raise NotaryRefuses(f"{self.key_file} holds no Ed25519 key.")
        if not (self.heads / heads.KEYS).exists():
            self._publish(found, now)
        return found

    def _publish(self, key: Ed25519PrivateKey, now: datetime) -> None:
        """Add it to the public keys."""
        path = self.heads / heads.KEYS
        self.heads.mkdir(parents=True, exist_ok=True, mode=0o700)
        known = json.loads(path.read_text())["keys"] if path.exists() else []
        added = {"id": heads.key_id(key.public_key()), "public_key": heads.public(key.public_key())}
        _replace(path, json.dumps({"keys": [*known, {**added, "since": now.isoformat()}]}, indent=2) + "\n")

    def write_figures(self, *, last: Line | None, refusing: bool, now: datetime) -> None:
        """For Prometheus' node exporter (textfile collector) and a health check, as the file is as old as the look."""
        self.heads.mkdir(parents=True, exist_ok=True, mode=0o700)
        found = last or heads.last_line(self.heads)
        figures = {
            "wallet_notary_refusing": int(refusing),
            "wallet_notary_looked_timestamp_seconds": int(now.timestamp()),
            "wallet_notary_signed_block": found.statement.block if found else 0,
        }
        _replace(self.heads / "notary.prom", "".join(f"{name} {value}\n" for name, value in figures.items()))


def _snapshot() -> transaction.Atomic:
    return transaction.atomic(durable=True)


def _ends() -> tuple[Header, Header]:
    """The first and the last block."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT max(number) FROM chain_block")
        (number,) = cursor.fetchone() or (None,)
    first, head = reading.header(0), reading.header(number or 0)
    if first is None or head is None:
        raise NotaryRefuses("There is no chain yet: run migrate.")
    return first, head


def _is_there(line: Line) -> bool:
    header = reading.header(line.statement.block)
    return header is not None and header.hash.hex() == line.statement.hash


def _write_key(path: Path, key: Ed25519PrivateKey) -> None:
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    _replace(path, pem.decode())


def _replace(path: Path, content: str) -> None:
    """In one step, readable by its owner alone."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
