"""An archive is a copy that verifies by itself, and says so when it is not as it was written."""

import gzip
import json
import shutil
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from tests.chain import chains
from tests.chain.conftest import Tamper
from wallet_project.chain.notary import Notary

pytestmark = [pytest.mark.django_db, pytest.mark.thorough]
REASON = (
    "INSERT INTO ledger_statechange (machine, subject_id, from_state, to_state, actor_id, reason, request_id)"
    " SELECT 'transaction', gen_random_uuid(), '', 'pending', id, %s, '' FROM accounts_principal LIMIT 1 RETURNING id"
)


def archive(folder: Path, **options: Any) -> str:
    said = StringIO()
    try:
        call_command("archive", folder, stdout=said, **options)
    except SystemExit:
        said.write("EXIT 1")
    return said.getvalue()


def change(path: Path, line: int, old: str, new: str) -> None:
    with gzip.open(path, "rt") as file:
        lines = file.readlines()
    assert old in lines[line]
    lines[line] = lines[line].replace(old, new)
    with gzip.open(path, "wt") as file:
        file.writelines(lines)


def test_an_archive_verifies_without_the_database_and_the_next_one_follows_it(
    tmp_path: Path, app_connection: psycopg.Connection, owner_connection: psycopg.Connection, tamper: Tamper
) -> None:
    chains.some_blocks(2)
    erased = app_connection.execute(REASON, ["Ada asked for it"]).fetchone()
    app_connection.execute(REASON, ["Mia did, too"])
    assert erased is not None
    end = chains.seal_all()
    tamper("UPDATE ledger_statechange SET reason = '' WHERE id = %s", erased[0])
    owner_connection.execute("SELECT chain_forget('ledger_statechange', %s, 'reason')", [str(erased[0])])
    first, second = tmp_path / "first", tmp_path / "second"
    assert f"Up to block {end}" in archive(first)
    with pytest.raises(CommandError, match="not empty"):
        archive(first)
    with pytest.raises(CommandError, match="no block was sealed"):
        archive(tmp_path / "none", after=first)
    with pytest.raises(CommandError, match="no block was sealed"):
        archive(tmp_path / "none", until="2001-01-01T00:00Z")
    # Not sealed when the first was written: the next one's.
    later = chains.some_blocks(1)
    Notary(tmp_path).sign_head(now=datetime.now(UTC))
    assert f"Up to block {later}" in archive(second, after=first)
    tamper("DELETE FROM ledger_entry")  # Not that anybody asks the database.

    said = archive(first, verify=True)
    assert said.startswith("holds")
    assert f"blocks {end + 1}" in said
    assert "erased_texts 1" in said
    with gzip.open(first / "ledger_statechange.jsonl.gz", "rt") as file:
        reasons = {json.loads(line)["texts"]["reason"] for line in file}
    assert "Mia did, too" in reasons
    assert "Ada asked for it" not in reasons
    said = archive(second, verify=True, heads=tmp_path / "heads")
    assert said.startswith("holds")
    assert f"blocks {later - end}" in said
    assert f"signed_up_to_block {later}" in said
    with pytest.raises(CommandError, match="no block of this archive was signed"):
        archive(first, verify=True, heads=tmp_path / "heads")


def test_an_archive_that_was_changed_says_where(tmp_path: Path) -> None:
    chains.some_blocks(2)
    Notary(tmp_path).sign_head(now=datetime.now(UTC))
    whole = tmp_path / "whole"
    archive(whole)
    files = {
        "ledger_entry.jsonl.gz": (0, '"amount":"100"', '"amount":"900"', "a row is not as it was sealed"),
        "sections.jsonl.gz": (0, '"row_count":', '"row_count":1', "a section does not name its rows"),
        "blocks.jsonl.gz": (1, '"row_count":', '"row_count":1', "a block's hash is not that of what it says"),
    }
    for name, (line, old, new, problem) in files.items():
        copy = tmp_path / f"changed-{name}"
        shutil.copytree(whole, copy)
        change(copy / name, line, old, new)
        said = archive(copy, verify=True)
        assert f'"a file is not as it was written", "file": "{name}"' in said
        assert problem in said
        assert said.endswith("EXIT 1")

    cut = tmp_path / "cut"
    shutil.copytree(whole, cut)
    (cut / "ledger_entry.jsonl.gz").write_bytes((whole / "ledger_entry.jsonl.gz").read_bytes()[:-20])
    with pytest.raises(CommandError, match="can't be read"):
        archive(cut, verify=True)
    (cut / "ledger_entry.jsonl.gz").unlink()
    with pytest.raises(CommandError, match=r"ledger_entry\.jsonl\.gz can't be read"):
        archive(cut, verify=True)
    (cut / "manifest.json").unlink()
    with pytest.raises(CommandError, match="holds no archive"):
        archive(cut, verify=True)
