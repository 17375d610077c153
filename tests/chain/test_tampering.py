"""What is changed behind the triggers' backs is found, and by its name: as the superuser, who can do anything."""

import hashlib
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from django.core.management import CommandError, call_command

from tests.chain.chains import head, offences, problems, result, seal_all, some_blocks
from tests.chain.conftest import Tamper
from tests.chain.test_seal import LOG
from wallet_project.chain import heads
from wallet_project.chain.exported import HeadsCheck
from wallet_project.chain.notary import Notary
from wallet_project.chain.verification import ChainCheck
from wallet_project.utils.verification import rows, verify

pytestmark = [pytest.mark.django_db, pytest.mark.thorough]
NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)


@pytest.fixture
def chain() -> int:
    """Of three blocks and more; the number of the last one."""
    return some_blocks(3)


def an_entry(order: str = "id") -> int:
    return int(rows(f"SELECT id FROM ledger_entry ORDER BY {order} LIMIT 1")[0]["id"])


def block_of(row: int) -> int:
    (found,) = rows(
        "SELECT p.block_id FROM chain_section p JOIN chain_source s ON s.id = p.source_id"
        " WHERE s.table_name = 'ledger_entry' AND %(row)s = ANY(p.row_ids)",
        {"row": str(row)},
    )
    return int(found["block_id"])


def test_an_edited_entry_is_named_with_its_block(chain: int, tamper: Tamper) -> None:
    row = an_entry()
    tamper("UPDATE ledger_entry SET amount = amount + 1 WHERE id = %s", row)
    assert offences() == [
        {"problem": "a row is not as it was sealed", "block": block_of(row), "table": "ledger_entry", "row": str(row)}
    ]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE ledger_statechange SET actor_id = gen_random_uuid() WHERE id = 1",
        "UPDATE ledger_statechange SET at = at + interval '1 microsecond' WHERE id = 1",
        "UPDATE ledger_statechange SET reason = 'because' WHERE id = 1",
        "UPDATE accounts_statechange SET to_state = 'closed' WHERE id = (SELECT min(id) FROM accounts_statechange)",
    ],
)
def test_an_edited_line_of_a_log_is_named(chain: int, tamper: Tamper, change: str) -> None:
    tamper(change)
    assert problems() == {"a row is not as it was sealed"}


def test_a_deleted_row_is_named(chain: int, tamper: Tamper) -> None:
    row = an_entry()
    block = block_of(row)
    tamper("DELETE FROM ledger_entry WHERE id = %s", row)
    assert offences() == [
        {"problem": "a row that was sealed is not there", "block": block, "table": "ledger_entry", "row": str(row)}
    ]


def test_a_row_that_is_dated_back_is_named(chain: int, tamper: Tamper) -> None:
    tamper(
        "INSERT INTO ledger_statechange"
        " (machine, subject_id, from_state, to_state, actor_id, reason, request_id, at, xact)"
        " SELECT machine, subject_id, from_state, to_state, actor_id, '', request_id, at, xact"
        " FROM ledger_statechange WHERE id = 1"
    )
    (found,) = offences()
    assert found["problem"] == "a row that its block does not hold: written later, and dated back"
    assert found["block"] >= 1


def test_rows_that_were_swapped_are_named(chain: int, tamper: Tamper) -> None:
    first, last = an_entry("id"), an_entry("id DESC")
    tamper("UPDATE ledger_entry SET id = -1 WHERE id = %s", first)
    tamper("UPDATE ledger_entry SET id = %s WHERE id = %s", first, last)
    tamper("UPDATE ledger_entry SET id = %s WHERE id = -1", last)
    named = {row["row"] for row in offences()}
    assert named == {str(first), str(last)}


def test_a_row_that_was_moved_into_another_block_is_named(chain: int, tamper: Tamper) -> None:
    row = an_entry()
    tamper("UPDATE ledger_entry SET xact = (SELECT max(xact) FROM ledger_entry) WHERE id = %s", row)
    assert problems() == {
        "a row that was sealed is not there",
        "a row that its block does not hold: written later, and dated back",
    }


def test_a_row_of_the_future_is_named_before_it_is_sealed(chain: int, tamper: Tamper) -> None:
    tamper(
        "INSERT INTO ledger_statechange (machine, subject_id, from_state, to_state, actor_id, reason, request_id, xact)"
        " VALUES ('x', gen_random_uuid(), '', 'x', gen_random_uuid(), '', '', 9000000000)"
    )
    assert problems() == {"rows of transactions that have not been"}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            "UPDATE chain_block SET row_count = row_count + 1 WHERE number = 2",
            "a block's hash is not that of what it says",
        ),
        ("UPDATE chain_block SET hash = sha256(hash) WHERE number = 2", "a block does not follow the one before"),
        ("DELETE FROM chain_block WHERE number = 2", "a block does not follow the one before"),
        ("DELETE FROM chain_block WHERE number = 0", "the first block is missing"),
        ("DELETE FROM chain_section WHERE block_id = 2", "a block's content is not that of its sections"),
        (
            "UPDATE chain_section SET leaves = substr(leaves, 1, 32), row_ids = row_ids[1:1], row_count = 1",
            "a section's digest is not that of its rows",
        ),
        ("UPDATE chain_section SET row_ids = row_ids[2:]", "a section does not name its rows"),
        (
            "UPDATE chain_source SET columns = columns[2:], kinds = kinds[2:]",
            "a section's digest is not that of its rows",
        ),
        (
            "UPDATE chain_source SET kinds = array_replace(kinds, 'salted text', 'text')",
            "a row is not as it was sealed",
        ),
        (
            "UPDATE chain_epoch SET system_identifier = 1",
            "the database came to another server, and nobody ran resume_chain",
        ),
        ("DROP TABLE compliance_casenote", "a table under seal is gone"),
    ],
)
def test_a_change_of_the_chain_itself_is_found(
    chain: int, app_connection: psycopg.Connection, tamper: Tamper, change: str, problem: str
) -> None:
    app_connection.execute(LOG, ["a reason"])
    seal_all()
    tamper(change)
    assert problem in problems()


def test_a_tail_that_was_cut_off_is_found_by_the_head_that_was_signed(
    chain: int, tamper: Tamper, tmp_path: Path
) -> None:
    Notary(tmp_path).sign_head(now=NOW)
    (block,) = rows("SELECT from_xact FROM chain_block ORDER BY number DESC LIMIT 1")
    cut_off(tamper, head(), block["from_xact"])
    assert result().holds, "what is left is a chain"
    assert head() == chain - 1
    assert [row["problem"] for row in exported(tmp_path)] == ["a block that was signed is not there"]


def cut_off(tamper: Tamper, block: int, from_xact: int) -> None:
    """The last block and all that it holds, without a trace."""
    for (table,) in [(row["table_name"],) for row in rows("SELECT DISTINCT table_name FROM chain_source")]:
        tamper(f"DELETE FROM {table} WHERE xact >= %s", from_xact)
    tamper("DELETE FROM chain_section WHERE block_id = %s", block)
    tamper("DELETE FROM chain_block WHERE number = %s", block)


def test_a_chain_that_was_rewritten_is_found_by_the_signed_head(chain: int, tamper: Tamper, tmp_path: Path) -> None:
    Notary(tmp_path).sign_head(now=NOW)
    rewrite(tamper)
    assert result().holds, "it is a chain as good as the one before"
    # By its hash, or, where all is in fewer blocks now, by its absence.
    found = {row["problem"] for row in exported(tmp_path)}
    assert found
    assert found <= {"a block is not the one that was signed", "a block that was signed is not there"}


def test_nor_does_it_help_to_rewrite_the_heads(chain: int, tamper: Tamper, tmp_path: Path) -> None:
    Notary(tmp_path / "true").sign_head(now=NOW)
    rewrite(tamper)
    # Whoever can write the folder, and has not the key, signs with another.
    Notary(tmp_path / "false").sign_head(now=NOW)
    (true,) = heads.files(tmp_path / "true" / "heads")
    (false,) = heads.files(tmp_path / "false" / "heads")
    true.write_text(false.read_text())
    (found,) = exported(tmp_path / "true")
    assert found["problem"] == "a head is not to be believed"
    assert "none of the known keys" in found["why"]
    # Or leaves the key's name as it was.
    line = json.loads(false.read_text())
    line["key"] = next(iter(heads.known_keys(tmp_path / "true" / "heads" / heads.KEYS)))
    true.write_text(json.dumps(line) + "\n")
    (found,) = exported(tmp_path / "true")
    assert "the signature is not that of" in found["why"]


def rewrite(tamper: Tamper) -> None:
    """History as somebody would have it, sealed anew from the first block on."""
    tamper("UPDATE ledger_entry SET amount = amount + 1 WHERE id = (SELECT min(id) FROM ledger_entry)")
    tamper("DELETE FROM chain_section")
    tamper("DELETE FROM chain_salt")
    tamper("DELETE FROM chain_block WHERE number > 0")
    seal_all(every=5)


def exported(folder: Path) -> list[dict[str, object]]:
    return [dict(row) for row in verify([HeadsCheck(folder / "heads")], timeout_seconds=30)[0].offending]


def test_heads_taken_out_of_the_middle_are_missed(tmp_path: Path) -> None:
    notary = Notary(tmp_path)
    for day in range(3):
        some_blocks(1)
        notary.sign_head(now=NOW + timedelta(days=day))
    assert exported(tmp_path) == []
    heads.files(notary.heads)[1].unlink()
    (found,) = exported(tmp_path)
    assert "a statement before this one is missing" in str(found["why"])


def test_it_verifies_from_a_signed_head_on(chain: int, tamper: Tamper, tmp_path: Path) -> None:
    notary = Notary(tmp_path)
    notary.sign_head(now=NOW)
    signed = heads.files(notary.heads)[0]
    before = an_entry()
    some_blocks(1)
    after = an_entry("id DESC")
    tamper("UPDATE ledger_entry SET amount = amount + 1 WHERE id IN (%s, %s)", before, after)
    said = verify_chain("--from-head", str(signed), fails=True)
    assert f'"row": "{after}"' in said
    assert f'"row": "{before}"' not in said
    said = verify_chain(fails=True)
    assert f'"row": "{before}"' in said


def test_a_head_that_nobody_signed_is_nothing_to_begin_from(chain: int, tmp_path: Path) -> None:
    notary = Notary(tmp_path)
    notary.sign_head(now=NOW)
    signed = heads.files(notary.heads)[0]
    signed.write_text(signed.read_text().replace('"block":', '"block":1'))
    with pytest.raises(CommandError, match="the signature is not that of"):
        verify_chain("--from-head", str(signed))


def verify_chain(*options: str, fails: bool = False) -> str:
    said = io.StringIO()
    if fails:
        with pytest.raises(SystemExit):
            call_command("verify_chain", *options, stdout=said)
    else:
        call_command("verify_chain", *options, stdout=said)
    return said.getvalue()


def test_the_command_says_that_all_is_well(chain: int, tmp_path: Path) -> None:
    Notary(tmp_path).sign_head(now=NOW)
    said = verify_chain("--heads", str(tmp_path / "heads"))
    assert said.count("holds ") == 2
    assert "signed_heads 1" in said


def test_a_text_can_be_erased_and_the_chain_still_verifies(
    app_connection: psycopg.Connection, owner_connection: psycopg.Connection, tamper: Tamper
) -> None:
    row = app_connection.execute(LOG, ["Ada Lovelace asked for it"]).fetchone()
    assert row is not None
    seal_all()
    tamper("UPDATE ledger_statechange SET reason = '' WHERE id = %s", row[0])
    assert problems() == {"a text is not as it was sealed"}, "with the salt still there it is a change like any other"
    forgotten = owner_connection.execute(
        "SELECT chain_forget('ledger_statechange', %s, 'reason')", [str(row[0])]
    ).fetchone()
    assert forgotten == (True,)
    found = result()
    assert found.holds
    assert found.figures["erased_texts"] == 1
    # Nothing that is left tells what it was, though anybody can guess.
    (kept,) = rows(
        "SELECT salt, digest FROM chain_salt WHERE row_id = %(row)s AND erased_at IS NOT NULL", {"row": str(row[0])}
    )
    assert kept["salt"] is None
    assert bytes(kept["digest"]) != hashlib.sha256(b"Ada Lovelace asked for it").digest()


def test_no_other_text_can_take_the_place_of_an_erased_one(
    app_connection: psycopg.Connection, owner_connection: psycopg.Connection, tamper: Tamper
) -> None:
    row = app_connection.execute(LOG, ["the true reason"]).fetchone()
    assert row is not None
    seal_all()
    owner_connection.execute("SELECT chain_forget('ledger_statechange', %s, 'reason')", [str(row[0])])
    tamper("UPDATE ledger_statechange SET reason = 'a better one' WHERE id = %s", row[0])
    assert problems() == {"a text came after the one that was erased"}


def test_each_text_has_a_salt_of_its_own(app_connection: psycopg.Connection) -> None:
    for _ in range(5):
        app_connection.execute(LOG, ["the same"])
    seal_all()
    (found,) = rows(
        "SELECT count(*) AS texts, count(DISTINCT salt) AS salts, count(DISTINCT digest) AS digests FROM chain_salt"
    )
    assert found["texts"] == found["salts"] == found["digests"] >= 5


def test_it_does_not_need_the_chains_own_functions(chain: int, tamper: Tamper) -> None:
    """Else whoever owns them would make them lie."""
    for name in (
        "chain_hash(chain_block)",
        "chain_definition(chain_source)",
        "chain_line(chain_source, text, text, text)",
    ):
        tamper(f"DROP FUNCTION {name} CASCADE")
    assert verify([ChainCheck()], timeout_seconds=30)[0].holds
