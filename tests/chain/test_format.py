"""The format is the one that docs/chain.md describes: computed here by hand, with nothing of the chain's own code."""

from datetime import UTC, datetime
from hashlib import sha256

import psycopg
import pytest
from psycopg import sql

from tests.chain.chains import seal_all
from tests.chain.conftest import Tamper
from tests.chain.test_seal import LOG
from wallet_project.chain.reading import text_of
from wallet_project.chain.verification import ChainCheck, LateCheck
from wallet_project.utils.verification import Result, rows, verify

pytestmark = pytest.mark.django_db


@pytest.fixture
def block(app_connection: psycopg.Connection) -> dict[str, object]:
    """That holds one line of one log alone."""
    seal_all()
    app_connection.execute(LOG, ["Grüße"])
    seal_all()
    (found,) = rows("SELECT * FROM chain_block ORDER BY number DESC LIMIT 1")
    assert found["row_count"] == 1
    return found


def test_a_row_and_its_section_are_hashed_as_the_page_says(block: dict[str, object]) -> None:
    (row,) = rows("SELECT l.*, xact FROM ledger_statechange l ORDER BY id DESC LIMIT 1")
    (salt,) = rows("SELECT * FROM chain_salt ORDER BY id DESC LIMIT 1")
    digest = sha256(bytes(salt["salt"]) + "Grüße".encode())
    assert bytes(salt["digest"]) == digest.digest()
    at = f"{row['at']:%Y-%m-%dT%H:%M:%S.%f}Z"
    line = (
        f"actor_id=36:{row['actor_id']}\nat=27:{at}\nfrom_state=0:\nid={len(str(row['id']))}:{row['id']}\n"
        f"machine=4:test\nreason#{digest.hexdigest()}\nrequest_id=0:\nsubject_id=36:{row['subject_id']}\n"
        f"to_state=4:made\nxact={len(str(row['xact']))}:{row['xact']}\n"
    )
    leaf = sha256(b"\x00" + line.encode()).digest()
    definition = sha256(
        b"wallet-chain-source-v1\ntable=ledger_statechange\nversion=1\nkey=id\n"
        b"actor_id uuid\nat time\nfrom_state text\nid integer\nmachine text\nreason salted text\nrequest_id text\n"
        b"subject_id uuid\nto_state text\nxact integer\n"
    ).digest()
    (section,) = rows("SELECT * FROM chain_section WHERE block_id = %(number)s", {"number": block["number"]})
    assert section["row_ids"] == [str(row["id"])]
    assert bytes(section["leaves"]) == leaf
    assert bytes(section["digest"]) == sha256(b"\x01" + definition + leaf).digest()
    assert bytes(block["content"]) == sha256(b"\x02" + bytes(section["digest"])).digest()  # type: ignore[call-overload]


def test_a_block_is_hashed_as_the_page_says(block: dict[str, object]) -> None:
    (previous,) = rows("SELECT hash FROM chain_block WHERE number = %(number)s - 1", {"number": block["number"]})
    (content,) = rows("SELECT encode(content, 'hex') AS hex, hash FROM chain_block ORDER BY number DESC LIMIT 1")
    text = (
        f"wallet-chain-block-v1\nnumber={block['number']}\nepoch=1\nfrom_xact={block['from_xact']}\n"
        f"to_xact={block['to_xact']}\nrow_count=1\nsealed_at={block['sealed_at']:%Y-%m-%dT%H:%M:%S.%f}Z\n"
        f"previous={bytes(previous['hash']).hex()}\ncontent={content['hex']}\n"
    )
    assert bytes(content["hash"]) == sha256(b"\x03" + text.encode()).digest()


ROW = """
    INSERT INTO ledger_statechange (machine, subject_id, from_state, to_state, actor_id, reason, request_id, at)
    VALUES ('test', gen_random_uuid(), '', 'made', gen_random_uuid(), '', %s, %s)
"""


def test_values_of_every_length_are_hashed_alike_by_the_quick_way(
    superuser: psycopg.Connection, tamper: Tamper, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = [
        datetime(2026, 11, 22, 9, 0, 0, microsecond, UTC) for microsecond in (0, 1, 10, 100, 1000, 12340, 500000)
    ]
    texts = ["", "a", "é", "a\nid=1:7\\x41", "s" * 22, "s" * 23, "s" * 24, "€" * 7, "€" * 8, "s" * 63]
    for text, moment in [("", moment) for moment in moments] + [(text, moments[-1]) for text in texts]:
        superuser.execute(ROW, [text, moment])
    seal_all()
    # Whatever the quick way does not see as it was sealed is read row by row, which would hide that it is wrong.
    slow: list[bool] = []
    every_row = ChainCheck._read_every_row
    monkeypatch.setattr(ChainCheck, "_read_every_row", lambda *given: slow.append(True) or every_row(*given))
    assert result_of_quick_way().holds
    assert not slow
    for statement, back in [
        ("at = at + interval '1 microsecond'", "at = at - interval '1 microsecond'"),
        ("at = at + interval '1 year'", "at = at - interval '1 year'"),
        ("at = at + interval '10000 years'", "at = at - interval '10000 years'"),
        ("request_id = request_id || 's'", "request_id = left(request_id, -1)"),
    ]:
        tamper(f"UPDATE ledger_statechange SET {statement} WHERE machine = 'test'")
        assert not result_of_quick_way().holds, statement
        tamper(f"UPDATE ledger_statechange SET {back} WHERE machine = 'test'")
        slow.clear()
        assert result_of_quick_way().holds, back
        assert not slow, back


@pytest.mark.parametrize("moment", ["12026-11-22 09:00:00.1+00", "0044-03-15 09:00:00.123+00 BC"])
def test_a_time_that_the_quick_way_does_not_know_is_settled_row_by_row(
    superuser: psycopg.Connection, moment: str
) -> None:
    superuser.execute(ROW, ["", moment])
    seal_all()
    assert result_of_quick_way().holds


@pytest.mark.parametrize(
    ("kind", "sealed", "changed"),
    [
        ("time", "2026-11-22 09:00:00+00", "2026-11-22 09:00:00+00 BC"),
        ("time", "infinity", "-infinity"),
        ("date", "2026-11-22", "2026-11-22 BC"),
        ("date", None, "infinity"),
    ],
)
def test_no_time_is_written_as_another_one(
    superuser: psycopg.Connection, kind: str, sealed: str | None, changed: str
) -> None:
    (by_seal,) = superuser.execute("SELECT chain_text('value', %s)", [kind]).fetchone() or ("",)
    value = sql.SQL("SELECT %s::{}").format(sql.SQL({"time": "timestamptz", "date": "date"}[kind]))
    query = sql.SQL("SELECT {}, {} FROM ({}) t (value)").format(text_of("value", kind), sql.SQL(by_seal), value)
    texts = [superuser.execute(query, [each]).fetchone() for each in (sealed, changed)]
    assert all(each and each[0] == each[1] for each in texts)
    assert texts[0] != texts[1]


def result_of_quick_way() -> Result:
    return verify([ChainCheck(quickly=True)], timeout_seconds=30)[0]


def test_rows_that_wait_for_their_seal_too_long_are_seen(app_connection: psycopg.Connection, tamper: Tamper) -> None:
    seal_all()
    app_connection.execute(LOG, [""])
    assert verify([LateCheck()], timeout_seconds=30)[0].holds
    tamper("UPDATE ledger_statechange SET at = now() - interval '1 hour' WHERE machine = 'test'")
    (found,) = verify([LateCheck()], timeout_seconds=30)[0].offending
    assert found["problem"] == "rows wait for their seal"
