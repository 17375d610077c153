"""What is hashed and how, in Python: the verifier computes by itself what `chain_seal` computed in SQL. docs/chain.md
says the same in words."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

ROW: Final = b"\x00"
SECTION: Final = b"\x01"
CONTENT: Final = b"\x02"
BLOCK: Final = b"\x03"
LEAF_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Definition:
    """How the rows of a table are hashed."""

    source_id: int
    table: str
    version: int
    key: str
    columns: Sequence[str]
    kinds: Sequence[str]

    @property
    def digest(self) -> bytes:
        lines = [f"{column} {kind}\n" for column, kind in zip(self.columns, self.kinds, strict=True)]
        head = f"wallet-chain-source-v1\ntable={self.table}\nversion={self.version}\nkey={self.key}\n"
        return hashlib.sha256((head + "".join(lines)).encode()).digest()


@dataclass(frozen=True, slots=True)
class Header:
    """A block without what it holds; `sealed_at` as text, with microseconds and a Z."""

    number: int
    epoch: int
    from_xact: int
    to_xact: int
    row_count: int
    sealed_at: str
    previous: bytes
    content: bytes
    hash: bytes

    def computed(self) -> bytes:
        """The hash that it should have."""
        text = (
            f"wallet-chain-block-v1\nnumber={self.number}\nepoch={self.epoch}\nfrom_xact={self.from_xact}\n"
            f"to_xact={self.to_xact}\nrow_count={self.row_count}\nsealed_at={self.sealed_at}\n"
            f"previous={self.previous.hex()}\ncontent={self.content.hex()}\n"
        )
        return hashlib.sha256(BLOCK + text.encode()).digest()


def leaf(definition: Definition, texts: Mapping[str, str | None], digests: Mapping[str, bytes]) -> bytes:
    """The hash of a row, from its columns as text and the digests of its salted ones."""
    lines = []
    for column in definition.columns:
        text = texts[column]
        if column in digests:
            lines.append(f"{column}#{digests[column].hex()}\n")
        else:
            lines.append(f"{column}=-\n" if text is None else f"{column}={len(text.encode())}:{text}\n")
    return hashlib.sha256(ROW + "".join(lines).encode()).digest()


def salted(salt: bytes, text: str) -> bytes:
    """The digest of a text."""
    return hashlib.sha256(salt + text.encode()).digest()


def section(definition: Definition, leaves: bytes) -> bytes:
    """The digest of a table's part in a block."""
    return hashlib.sha256(SECTION + definition.digest + leaves).digest()


def content(sections: Iterable[bytes]) -> bytes:
    """The digest of all that a block holds, from its sections' in order of their tables' names."""
    return hashlib.sha256(CONTENT + b"".join(sections)).digest()
