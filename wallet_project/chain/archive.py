"""A copy of what is under seal, in files: who has them can read them, and verify them without a database, years later.

A folder holds `manifest.json`, `blocks.jsonl.gz`, `sections.jsonl.gz` and a file for each table. A row is there as it
is hashed (docs/chain.md), with the salts of its texts: the files are personal data. Nothing leaves the database for it
(docs/decisions/0026-an-archive-is-a-copy-that-verifies-by-itself.md)."""

import gzip
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self

from django.db import connection, transaction

from wallet_project.chain import heads, reading
from wallet_project.chain.hashing import Definition, Header
from wallet_project.chain.heads import BadHead
from wallet_project.chain.reading import Part, Row, Text
from wallet_project.chain.verification import ChainCheck
from wallet_project.utils.verification import Result

FORMAT: Final = "wallet-archive-v1"
MANIFEST: Final = "manifest.json"
_BLOCKS: Final = "blocks.jsonl.gz"
_SECTIONS: Final = "sections.jsonl.gz"


class NoArchive(Exception):
    """There is nothing to write, or nothing that could be read; the message says why."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """`after`: the block that the archive follows, None when it begins with the first one; `last`: its last block.
    `files`: the SHA-256 of each and how many lines it has."""

    after: Header | None
    last: Header
    definitions: list[Definition]
    files: dict[str, tuple[str, int]]

    def text(self) -> str:
        content = {
            "format": FORMAT,
            "after": self.after and _header_as_json(self.after),
            "last": _header_as_json(self.last),
            "definitions": [asdict(each) for each in self.definitions],
            "files": {name: {"sha256": digest, "lines": lines} for name, (digest, lines) in self.files.items()},
        }
        return json.dumps(content, indent=1) + "\n"

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Raises NoArchive."""
        try:
            content = json.loads((folder / MANIFEST).read_text())
            if content["format"] != FORMAT:
                raise NoArchive(f"{folder} is an archive of another format: {content['format']}")
            return cls(
                after=content["after"] and _header(content["after"]),
                last=_header(content["last"]),
                definitions=[Definition(**each) for each in content["definitions"]],
                files={name: (each["sha256"], each["lines"]) for name, each in content["files"].items()},
            )
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise NoArchive(f"{folder} holds no archive: {error}") from error


def write(folder: Path, *, until: datetime, after: Header | None, timeout_seconds: int) -> Manifest:
    """Write the blocks behind `after` (None: all) that were sealed by an instant. All of them are read in one snapshot;
    the manifest is written last, so that what has none is no archive. Raises NoArchive."""
    folder.mkdir(parents=True, mode=0o700, exist_ok=True)
    if any(folder.iterdir()):
        raise NoArchive(f"{folder} is not empty")
    with transaction.atomic(durable=True):
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [f"{timeout_seconds}s"])
        last = reading.last_header(sealed_by=until)
        if last is None or (after is not None and last.number <= after.number):
            raise NoArchive("no block was sealed between the two")
        definitions = list(reading.definitions().values())
        files = dict(_write(folder, definitions, after, last))
    manifest = Manifest(after, last, definitions, files)
    (folder / MANIFEST).write_text(manifest.text())
    return manifest


def _write(
    folder: Path, definitions: Sequence[Definition], after: Header | None, last: Header
) -> Iterator[tuple[str, tuple[str, int]]]:
    start, since = (-1, None) if after is None else (after.number, after.to_xact)
    blocks = (_header_as_json(each) for each in reading.headers(after=start) if each.number <= last.number)
    yield _BLOCKS, _write_lines(folder / _BLOCKS, blocks)
    sections = (_part_as_json(each) for each in reading.parts(after=start) if each.block <= last.number)
    yield _SECTIONS, _write_lines(folder / _SECTIONS, sections)
    for table in sorted({each.table for each in definitions} & reading.tables()):
        versions = [each for each in definitions if each.table == table]
        rows = reading.rows(versions, since=since, until=last.to_xact)
        yield _file_of(table), _write_lines(folder / _file_of(table), map(_row_as_json, rows))


def _write_lines(path: Path, lines: Iterable[dict[str, Any]]) -> tuple[str, int]:
    many = 0
    path.touch(mode=0o600)
    with gzip.open(path, "wt", compresslevel=6, encoding="utf-8") as file:
        for line in lines:
            file.write(json.dumps(line, separators=(",", ":"), ensure_ascii=False) + "\n")
            many += 1
    return _digest(path), many


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise NoArchive(f"{path.name} can't be read: {error}") from error


class Archived:
    """An archive as a source of the chain's verifier."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self._folder = folder
        self._manifest = manifest

    def definitions(self) -> dict[int, Definition]:
        return {each.source_id: each for each in self._manifest.definitions}

    def headers(self, *, after: int) -> Iterator[Header]:
        return map(_header, self._lines(_BLOCKS))

    def parts(self, *, after: int) -> Iterator[Part]:
        for line in self._lines(_SECTIONS):
            in_bytes = {name: bytes.fromhex(line[name]) for name in ("leaves", "digest")}
            yield Part(**{**line, **in_bytes})

    def rows(self, versions: Sequence[Definition], *, since: int | None) -> Iterator[Row]:
        for line in self._lines(_file_of(versions[-1].table)):
            if line["xact"] >= self._manifest.last.to_xact:
                raise NoArchive(f"{versions[-1].table}, row {line['key']}: behind the last block")
            salted = {
                column: Text(None if salt is None else bytes.fromhex(salt), bytes.fromhex(digest))
                for column, (salt, digest) in line["salted"].items()
            }
            yield Row(line["xact"], line["key"], line["texts"], salted)

    def tables(self) -> set[str]:
        return {each.table for each in self._manifest.definitions if _file_of(each.table) in self._manifest.files}

    def _lines(self, name: str) -> Iterator[dict[str, Any]]:
        try:
            with gzip.open(self._folder / name, "rt", encoding="utf-8") as file:
                yield from map(json.loads, file)
        except (OSError, EOFError, ValueError) as error:
            raise NoArchive(f"{name} can't be read: {error}") from error


def verify(folder: Path, *, signed: Path | None, keys: Path | None) -> Result:
    """Whether the files are as they were written, and each block holds its rows and follows the one before. `signed`: a
    folder of signed heads, with which the blocks are compared. Raises NoArchive and BadHead."""
    manifest = Manifest.read(folder)
    changed = [name for name, (digest, _) in manifest.files.items() if _digest(folder / name) != digest]
    source = Archived(folder, manifest)
    check = ChainCheck(
        after=manifest.after, source=source, title="Each block holds its rows and follows the one before"
    )
    last = check.read_every_row()
    found = check.result()
    offending = [*({"problem": "a file is not as it was written", "file": name} for name in changed), *found.offending]
    if last != manifest.last:
        offending.append({"problem": "the last block is not the one that the manifest names"})
    figures = dict(found.figures)
    if signed is not None:
        compared, wrong = _compare(source, signed, keys)
        figures |= compared
        offending += wrong
    return replace(found, figures=figures, offending=offending)


def _compare(source: Archived, signed: Path, keys: Path | None) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """How far the signatures reach, and which blocks are not those that were signed."""
    known = heads.known_keys(keys or signed / heads.KEYS)
    first = next(iter(known), "")
    believed = list(heads.believed(signed, {first: known[first]} if first else {}))
    given_up = [(place, each.statement.given_up_after or 0) for place, each in enumerate(believed)
                if each.statement.kind == "restored"]  # fmt: skip
    hashes = {
        each.statement.block: each.statement.hash
        for place, each in enumerate(believed)
        if not any(place < later and each.statement.block > kept for later, kept in given_up)
    }
    wrong, up_to = [], None
    for block in source.headers(after=-1):
        if hashes.get(block.number) == block.hash.hex():
            up_to = block.number
        elif block.number in hashes:
            wrong.append({"problem": "a block is not the one that was signed", "block": block.number})
    if up_to is None and not wrong:
        raise BadHead(f"no block of this archive was signed in {signed}")
    return {"signed_up_to_block": up_to, "key": first}, wrong


def _file_of(table: str) -> str:
    return f"{table}.jsonl.gz"


def _header_as_json(header: Header) -> dict[str, Any]:
    return {
        **asdict(header),
        **{name: getattr(header, name).hex() for name in ("previous", "content", "hash")},
    }


def _header(line: dict[str, Any]) -> Header:
    return Header(**{**line, **{name: bytes.fromhex(line[name]) for name in ("previous", "content", "hash")}})


def _part_as_json(part: Part) -> dict[str, Any]:
    return {**asdict(part), "row_ids": list(part.row_ids), "leaves": part.leaves.hex(), "digest": part.digest.hex()}


def _row_as_json(row: Row) -> dict[str, Any]:
    salted = {column: [text.salt and text.salt.hex(), text.digest.hex()] for column, text in row.salted.items()}
    return {"xact": row.xact, "key": row.key, "texts": row.texts, "salted": salted}
