"""The notary: what it signs, what it refuses to sign, and who can't be it."""

import io
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connections
from psycopg.errors import InsufficientPrivilege

from tests.chain.chains import head, some_blocks
from tests.chain.conftest import Tamper
from tests.chain.test_tampering import exported, rewrite
from tests.support.servers import TestServers
from tests.test_settings import manage, python
from wallet_project.chain import heads
from wallet_project.chain.checks import check_declarations
from wallet_project.chain.heads import BadHead
from wallet_project.chain.notary import Notary, NotaryRefuses
from wallet_project.embedded.roles import NOTARY

pytestmark = [pytest.mark.django_db, pytest.mark.thorough]
NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)


def test_it_signs_each_head_once(tmp_path: Path) -> None:
    notary = Notary(tmp_path)
    last = some_blocks(1)
    said = notary.sign_head(now=NOW)
    assert said is not None
    assert said.statement.block == last
    assert notary.sign_head(now=NOW) is None
    some_blocks(2)
    following = notary.sign_head(now=NOW + timedelta(days=1))
    assert following is not None
    assert following.statement.block == head()
    assert [path.name for path in heads.files(notary.heads)] == ["2026-11-22.jsonl", "2026-11-23.jsonl"]
    assert exported(tmp_path) == []


def test_nobody_else_reads_its_key(tmp_path: Path) -> None:
    notary = Notary(tmp_path / "notary")
    notary.sign_head(now=NOW)
    assert stat.S_IMODE(notary.folder.stat().st_mode) == 0o700
    for path in (notary.key_file, *notary.heads.iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    notary.key_file.chmod(0o640)
    with pytest.raises(NotaryRefuses, match="may be read by others"):
        notary.sign_head(now=NOW)


def test_it_refuses_a_history_that_is_not_the_one_it_has_signed(tmp_path: Path, tamper: Tamper) -> None:
    notary = Notary(tmp_path)
    some_blocks(2)
    notary.sign_head(now=NOW)
    rewrite(tamper)
    with pytest.raises(NotaryRefuses, match="was signed as"):
        notary.sign_head(now=NOW)


def test_it_refuses_a_block_that_does_not_follow(tmp_path: Path, tamper: Tamper) -> None:
    notary = Notary(tmp_path)
    some_blocks(1)
    notary.sign_head(now=NOW)
    before = some_blocks(1)
    some_blocks(1)
    tamper("UPDATE chain_block SET content = sha256(content) WHERE number = %s", before)
    with pytest.raises(NotaryRefuses, match=f"Block {before} does not follow"):
        notary.sign_head(now=NOW)


def test_after_a_restore_to_an_earlier_moment_it_is_told_and_goes_on(tmp_path: Path, tamper: Tamper) -> None:
    notary = Notary(tmp_path)
    kept = some_blocks(1)
    notary.sign_head(now=NOW)
    some_blocks(2)
    notary.sign_head(now=NOW)
    tamper("DELETE FROM chain_section WHERE block_id > %s", kept)
    tamper("DELETE FROM chain_salt WHERE id > 0")
    tamper("DELETE FROM chain_block WHERE number > %s", kept)
    with pytest.raises(NotaryRefuses, match="say so with --after-restore"):
        notary.sign_head(now=NOW)
    assert exported(tmp_path) != []

    said = notary.accept_restore(reason="disk lost", now=NOW)
    assert (said.statement.kind, said.statement.given_up_after, said.statement.reason) == (
        "restored",
        kept,
        "disk lost",
    )
    some_blocks(3)
    notary.sign_head(now=NOW)
    assert exported(tmp_path) == []


def test_a_key_names_its_successor(tmp_path: Path) -> None:
    notary = Notary(tmp_path)
    some_blocks(1)
    notary.sign_head(now=NOW)
    old = notary.key_file.read_bytes()
    notary.change_key(now=NOW)
    assert notary.key_file.read_bytes() != old
    some_blocks(1)
    notary.sign_head(now=NOW)
    signers = [line.key for line in heads.lines(notary.heads)]
    assert signers[0] == signers[1] != signers[2]
    assert exported(tmp_path) == []
    # Who trusts the first key needs no other; a key that nobody has named is none.
    (path,) = heads.files(notary.heads)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text(lines[0] + lines[2])
    (found,) = exported(tmp_path)
    assert "none of the known keys" in str(found["why"])


def test_a_line_that_a_crash_has_cut_off_was_never_said(tmp_path: Path) -> None:
    notary = Notary(tmp_path)
    some_blocks(1)
    notary.sign_head(now=NOW)
    (path,) = heads.files(notary.heads)
    with path.open("a") as file:
        file.write('{"key":"')
    assert len(list(heads.lines(notary.heads))) == 1
    some_blocks(1)
    notary.sign_head(now=NOW)
    assert len(list(heads.lines(notary.heads))) == 2
    assert exported(tmp_path) == []


def test_a_key_that_is_gone_is_not_replaced_by_itself(tmp_path: Path) -> None:
    notary = Notary(tmp_path)
    some_blocks(1)
    notary.sign_head(now=NOW)
    notary.key_file.unlink()
    with pytest.raises(NotaryRefuses, match="is gone"):
        notary.sign_head(now=NOW)


def test_what_is_no_head_is_said_to_be_none(tmp_path: Path) -> None:
    folder = tmp_path / "heads"
    folder.mkdir()
    (folder / "2026-11-22.jsonl").write_text("hello\n")
    with pytest.raises(BadHead, match="not a signed head"):
        list(heads.lines(folder))


def test_the_command_signs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    some_blocks(1)
    with pytest.raises(CommandError, match="Set NOTARY_DIR"):
        call_command("notarize")
    monkeypatch.setattr(settings, "NOTARY_DIR", str(tmp_path))
    said = io.StringIO()
    call_command("notarize", stdout=said)
    call_command("notarize", stdout=said)
    assert f"Signed block {head()}" in said.getvalue()
    assert "Signed already" in said.getvalue()
    call_command("verify_chain", stdout=said)
    assert "signed_heads 1" in said.getvalue()


def test_its_role_reads_the_blocks_and_nothing_else(servers: TestServers, tmp_path: Path) -> None:
    some_blocks(1)
    with as_notary(servers):
        assert Notary(tmp_path).sign_head(now=NOW) is not None
        with connections["default"].cursor() as cursor:
            for statement in (
                "SELECT * FROM ledger_entry",
                "SELECT * FROM chain_salt",
                "INSERT INTO chain_block SELECT * FROM chain_block",
                "SELECT chain_seal(1)",
            ):
                with pytest.raises(Exception, match="permission denied") as refused:
                    cursor.execute(statement)
                assert isinstance(refused.value.__cause__, InsufficientPrivilege)


@contextmanager
def as_notary(servers: TestServers) -> Iterator[None]:
    """Django's connection is that of the notary's role."""
    alias = connections.settings["default"]
    before = {name: alias[name] for name in ("USER", "PASSWORD")}
    connections["default"].close()
    alias |= {"USER": NOTARY, "PASSWORD": servers.passwords[NOTARY]}
    try:
        yield
    finally:
        connections["default"].close()
        alias |= before


@pytest.mark.thorough
def test_neither_web_nor_workers_start_where_they_could_sign(tmp_path: Path) -> None:
    for command in (
        ("-c", "import wallet_project.rsgi"),
        ("-m", "celery", "-A", "wallet_project", "worker", "--pool", "solo"),
    ):
        done = python(*command, NOTARY_DIR=str(tmp_path))
        assert done.returncode != 0
        assert "(chain.E002) NOTARY_DIR is for the notary alone" in done.stderr


@pytest.mark.parametrize("wrong", ["nowhere.TABLES", "accounts.sealed.NOTHING", "accounts.states.AccountStatus"])
def test_a_list_of_sealed_tables_that_is_none_is_said(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_declarations() == []
    monkeypatch.setattr(settings, "SEALED", [*settings.SEALED, wrong])
    assert {message.id for message in check_declarations()} == {"chain.E001"}


def test_a_table_that_two_apps_declare_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "SEALED", settings.SEALED * 2)
    (message,) = check_declarations()
    assert "declared twice: accounts_statechange" in message.msg


@pytest.mark.thorough
def test_the_notary_needs_no_provider() -> None:
    nothing = {f"{name}_{part}": None for name in ("IDENTITY", "BANK") for part in ("URL", "API_KEY", "WEBHOOK_SECRET")}
    done = manage("notarize", **nothing)
    assert "Set NOTARY_DIR" in done.stderr
