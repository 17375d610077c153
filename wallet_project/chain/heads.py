"""Signed heads of the chain: what the notary writes down outside the database, and how anybody checks it.

A folder has one file a day, `2026-11-22.jsonl`, a line for each statement, and `keys.json` with the public keys. Each
statement names the hash of the one before, so that none can be taken out; each line ends with its signature."""

import base64
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

#: What is signed begins with it, so that no signature can be taken for one of anything else.
SIGNED: Final = b"wallet-chain-head-v1\n"
KEYS: Final = "keys.json"
NOTHING_BEFORE: Final = "0" * 64


class BadHead(Exception):
    """A statement that nobody should believe; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Statement:
    """`head`: this block had this hash. `restored`: the database was put back to an earlier moment, and heads above
    `given_up_after` that were signed before are of a history that was given up. `key`: now `public_key` signs."""

    kind: str
    chain: str
    block: int
    hash: str
    signed_at: str
    previous: str
    reason: str = ""
    given_up_after: int | None = None
    public_key: str = ""

    def canonical(self) -> bytes:
        """The bytes that are signed, behind SIGNED: sorted keys, no blanks, ASCII."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":")).encode()

    def digest(self) -> str:
        """How the next statement names this one."""
        return hashlib.sha256(self.canonical()).hexdigest()


@dataclass(frozen=True, slots=True)
class Line:
    """A statement, and who signed it."""

    statement: Statement
    key: str
    signature: bytes

    def text(self) -> str:
        signature = base64.b64encode(self.signature).decode()
        content = {"statement": asdict(self.statement), "key": self.key, "signature": signature}
        return json.dumps(content, sort_keys=True, separators=(",", ":")) + "\n"

    @classmethod
    def read(cls, text: str) -> Self:
        """Raises BadHead."""
        try:
            content: dict[str, Any] = json.loads(text)
            statement = Statement(**content["statement"])
            return cls(statement, str(content["key"]), base64.b64decode(content["signature"], validate=True))
        except (ValueError, TypeError, KeyError) as error:
            raise BadHead(f"not a signed head: {text[:80]!r}") from error

    def check(self, keys: Mapping[str, Ed25519PublicKey]) -> None:
        """Raises BadHead unless one of these keys has signed it."""
        key = keys.get(self.key)
        if key is None:
            raise BadHead(f"block {self.statement.block}: signed with {self.key}, which is none of the known keys")
        try:
            key.verify(self.signature, SIGNED + self.statement.canonical())
        except InvalidSignature as error:
            raise BadHead(f"block {self.statement.block}: the signature is not that of {self.key}") from error


def sign(statement: Statement, key: Ed25519PrivateKey) -> Line:
    return Line(statement, key_id(key.public_key()), key.sign(SIGNED + statement.canonical()))


def key_id(key: Ed25519PublicKey) -> str:
    """Short enough to be read out: 16 hexadecimal digits of the public key's SHA-256."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:16]


def public(key: Ed25519PublicKey) -> str:
    return base64.b64encode(key.public_bytes_raw()).decode()


def public_key(text: str) -> Ed25519PublicKey:
    """Raises BadHead."""
    try:
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(text, validate=True))
    except ValueError as error:
        raise BadHead(f"not a public key: {text[:60]!r}") from error


def known_keys(path: Path) -> dict[str, Ed25519PublicKey]:
    """The keys of a keys.json by their ids, the first one first. Raises BadHead."""
    try:
        keys = [public_key(each["public_key"]) for each in json.loads(path.read_text())["keys"]]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BadHead(f"{path} holds no keys: {error}") from error
    return {key_id(key): key for key in keys}


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("????-??-??.jsonl"))


def latest_first(folder: Path) -> Iterator[Line]:
    """All of them, the last one first. Raises BadHead."""
    for path in reversed(files(folder)):
        for text in reversed(path.read_text().splitlines(keepends=True)):
            if text.endswith("\n"):
                yield Line.read(text)


def lines(folder: Path) -> Iterator[Line]:
    """All of them, in order. What a crash has cut off at a file's end was never said. Raises BadHead."""
    for path in files(folder):
        with path.open() as file:
            for text in file:
                if text.endswith("\n"):
                    yield Line.read(text)


def believed(folder: Path, trusted: Mapping[str, Ed25519PublicKey]) -> Iterator[Line]:
    """All of them, in order, none missing in between, each signed by a key that is trusted or that a trusted one has
    named as its successor. Raises BadHead at the first that is not."""
    keys = dict(trusted)
    before = NOTHING_BEFORE
    for line in lines(folder):
        line.check(keys)
        if line.statement.previous != before:
            raise BadHead(f"block {line.statement.block}: a statement before this one is missing, or was put there")
        if line.statement.kind == "key":
            following = public_key(line.statement.public_key)
            keys[key_id(following)] = following
        before = line.statement.digest()
        yield line


def last_line(folder: Path) -> Line | None:
    """The last one. Raises BadHead."""
    return next(latest_first(folder), None)


def append(folder: Path, day: str, line: Line) -> None:
    """On disk when it returns. A line that a crash has cut off is cleared away first."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{day}.jsonl"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "r+b") as file:
        there = file.read()
        file.seek(there.rfind(b"\n") + 1)
        file.truncate()
        file.write(line.text().encode())
        file.flush()
        os.fsync(file.fileno())
    folder_descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(folder_descriptor)
    finally:
        os.close(folder_descriptor)
