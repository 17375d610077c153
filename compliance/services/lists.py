"""Importing a list: read whole before anything is written, then written in one commit, as a version that nobody uses
until it is activated."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

from django.db import connection, transaction
from django.db.models.functions import Now

from accounts.staff import require_permission
from compliance.lists import FORMATS, ListedRecord, ListRefused, Report, read
from compliance.models import ListIndex, ListVersion, SanctionsList
from compliance.services.list_activation import ACTIVATE_LIST
from compliance.states import ListPurpose
from compliance.watchlists import held_by, index_of_entries
from wallet_project.utils.context import Actor
from wallet_project.utils.errors import Conflict, InvalidInput, database_refusals, on_constraint
from wallet_project.utils.transitions import born

_CHUNK: Final = 1_000
_READ: Final = 5_000
_FOLDED: Final = 40


class ListNotReadable(InvalidInput):
    """`file`, `line` (0: the file as a whole) and `problem`; nothing was written."""

    code = "list_not_readable"
    message = "The list cannot be read."


class ListIsAnother(Conflict):
    """`format` and `purpose` are those of the list of that name."""

    code = "list_is_another"
    message = "The list of that name has another format or purpose; these stay as the first import had them."


class ImportedMeanwhile(Conflict):
    code = "list_imported_meanwhile"
    message = "Somebody else has imported a version of this list meanwhile. Import it again."


on_constraint("list_version_number_unique", ImportedMeanwhile)


@dataclass(frozen=True, slots=True)
class Imported:
    """`new` is false where the latest version has this content already: then nothing was written."""

    version: ListVersion
    new: bool
    report: Report


def import_list(*, actor: Actor, path: Path, format: str, name: str, purpose: str) -> Imported:  # noqa: A002
    """Read the list at `path` and keep it as the next version of the list `name`, which is made where there is none.

    Raises PermissionMissing, ListNotReadable, ListIsAnother, ImportedMeanwhile; then nothing was written. No row that
    others wait for is locked: of two imports at once the number of the version lets one in.
    """
    if format not in FORMATS or purpose not in ListPurpose.values or not name.strip() or len(name) > 60:
        raise ListNotReadable("The format, purpose or name of the list is none that there is.")
    require_permission(actor, ACTIVATE_LIST)
    report = Report(format)
    try:
        hashes = {record.external_id: record.content_hash() for record in read(path, report)}
        with database_refusals(), transaction.atomic(durable=True):
            version, new = _keep(actor, path, report, hashes, _list_of(name.strip(), format, purpose))
    except ListRefused as refusal:
        raise ListNotReadable(str(refusal), file=refusal.file, line=refusal.line, problem=refusal.problem) from refusal
    build_index(version)
    return Imported(version, new, report)


def build_index(version: ListVersion) -> None:
    """Make the version ready for matching, once: done before it is activated, as it takes seconds."""
    if not ListIndex.objects.filter(version=version).exists():
        index = index_of_entries(sorted(held_by(version).values()))
        ListIndex.objects.bulk_create([ListIndex(version=version, content=index.to_bytes())], ignore_conflicts=True)


def _list_of(name: str, format_: str, purpose: str) -> SanctionsList:
    SanctionsList.objects.bulk_create(
        [SanctionsList(name=name, format=format_, purpose=purpose)], ignore_conflicts=True
    )
    listed = SanctionsList.objects.get(name=name)
    if (listed.format, listed.purpose) != (format_, purpose):
        raise ListIsAnother(format=listed.format, purpose=listed.purpose)
    return listed


def _keep(
    actor: Actor, path: Path, report: Report, hashes: Mapping[str, bytes], listed: SanctionsList
) -> tuple[ListVersion, bool]:
    digest = hashlib.sha256()
    for external_id in sorted(hashes):
        digest.update(f"{external_id}\0".encode() + hashes[external_id])
    latest = listed.imported.order_by("-number").first()
    if latest is not None and latest.digest == digest.hexdigest():
        # It is as fresh as if it had changed.
        ListVersion.objects.filter(id=latest.id).update(seen_at=Now())
        return latest, False
    before = _contents(latest)
    known = {external_id: entry[1] for external_id, entry in before.items()}
    other = {external_id for external_id, content in hashes.items() if known.get(external_id) != content}
    added = sum(1 for external_id in other if external_id not in before)
    gone = sorted(before.keys() - hashes.keys())
    version = ListVersion.objects.create(
        list=listed,
        number=latest.number + 1 if latest else 1,
        digest=digest.hexdigest(),
        entries=len(hashes),
        names=sum(report.names.values()),
        added=added,
        changed=len(other) - added,
        removed=len(gone),
        report=report.as_json(),
        imported_by_id=actor.principal_id,
    )
    born(version, actor=actor)
    old = {external_id: entry[0] for external_id, entry in before.items()}
    for chunk in _chunks(path, Report(report.format), hashes, other):
        _insert_changes(version, _insert_entries(listed.id, chunk), old)
    _insert_changes(version, dict.fromkeys(gone), old)
    return version, True


def _contents(version: ListVersion | None) -> dict[str, tuple[int, bytes]]:
    """The publisher's id → (row, content hash)."""
    if version is None:
        return {}
    held = held_by(version)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT external_id, id, content_hash FROM compliance_sanctionsentry WHERE id = ANY (%s)",
            [list(held.values())],
        )
        return {external_id: (entry, bytes(content)) for external_id, entry, content in cursor.fetchall()}


def _chunks(
    path: Path, report: Report, hashes: Mapping[str, bytes], wanted: set[str]
) -> Iterator[list[tuple[ListedRecord, bytes]]]:
    """The records that are to be written, from a second reading; it has to be the same as the first."""
    chunk: list[tuple[ListedRecord, bytes]] = []
    read_again = 0
    for record in read(path, report):
        content = record.content_hash()
        read_again += 1
        if hashes.get(record.external_id) != content:
            raise ListRefused(path.name, 0, "was changed while it was read")
        if record.external_id in wanted:
            chunk.append((record, content))
        # An empty one too: the database ends a transaction in which it hears nothing for ten seconds, and of a large
        # list that has hardly changed there is much to read and little to write.
        if len(chunk) == _CHUNK or read_again % _READ == 0:
            yield chunk
            chunk = []
    if read_again != len(hashes):
        raise ListRefused(path.name, 0, "was changed while it was read")
    yield chunk


_ENTRIES: Final = """
    INSERT INTO compliance_sanctionsentry
        (list_id, external_id, content_hash, subject, birth_dates, countries, gender, details)
    SELECT %s, r.external_id, decode(r.content_hash, 'hex'), r.subject, r.birth_dates, r.countries, r.gender, r.details
    FROM jsonb_to_recordset(%s::jsonb) AS r (external_id text, content_hash text, subject text, birth_dates text[],
        countries text[], gender text, details jsonb)
    -- Content that an older version had, and the last one had not.
    ON CONFLICT (list_id, external_id, content_hash) DO NOTHING
    RETURNING id, external_id"""
_KNOWN: Final = """
    SELECT e.external_id, e.id FROM compliance_sanctionsentry e
    JOIN unnest(%s::text[], %s::bytea[]) AS w (external_id, content_hash) USING (external_id, content_hash)
    WHERE e.list_id = %s"""
_NAMES: Final = """
    INSERT INTO compliance_sanctionsname (entry_id, name, kind, folded)
    SELECT * FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::text[])"""
_CHANGES: Final = """
    INSERT INTO compliance_listchange (version_id, external_id, kind, entry_id, before_id)
    SELECT %s, c.external_id,
        CASE WHEN c.entry IS NULL THEN 'removed' WHEN c.before IS NULL THEN 'added' ELSE 'changed' END,
        c.entry, c.before
    FROM unnest(%s::text[], %s::bigint[], %s::bigint[]) AS c (external_id, entry, before)"""


def _insert_entries(list_id: UUID, chunk: list[tuple[ListedRecord, bytes]]) -> dict[str, int | None]:
    """The publisher's id → the row, which is new unless an older version had the same content."""
    rows = [
        {
            "external_id": record.external_id,
            "content_hash": content.hex(),
            "subject": record.subject,
            "birth_dates": record.birth_dates,
            "countries": record.countries,
            "gender": record.gender,
            "details": record.details,
        }
        for record, content in chunk
    ]
    with connection.cursor() as cursor:
        cursor.execute(_ENTRIES, [list_id, json.dumps(rows)])
        entries: dict[str, int | None] = {external_id: entry for entry, external_id in cursor.fetchall()}
        names = [
            (entries[record.external_id], name.name, name.kind, folded(name.name))
            for record, _ in chunk
            if record.external_id in entries
            for name in record.names
        ]
        cursor.execute(_NAMES, [list(column) for column in zip(*names, strict=True)] or [[], [], [], []])
        known = [(record.external_id, content) for record, content in chunk if record.external_id not in entries]
        if known:
            cursor.execute(_KNOWN, [*([each[place] for each in known] for place in (0, 1)), list_id])
            entries |= dict(cursor.fetchall())
    return entries


def _insert_changes(version: ListVersion, entries: Mapping[str, int | None], old: Mapping[str, int]) -> None:
    ids = sorted(entries)
    with connection.cursor() as cursor:
        cursor.execute(_CHANGES, [version.id, ids, [entries[each] for each in ids], [old.get(each) for each in ids]])


def folded(name: str) -> str:
    """How a name is kept for those who search by its beginning."""
    return " ".join(name.lower().split())[:_FOLDED]
