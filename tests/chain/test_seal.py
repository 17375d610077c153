"""What is sealed, when, by whom, and what nobody can do to the chain."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import psycopg
import pytest
from django.apps import apps
from django.conf import settings
from django.db import connections

from tests.chain.chains import head, offences, result, seal_all, some_blocks
from tests.chain.conftest import Tamper
from tests.support import factories, money
from wallet_project.chain import definitions, selectors
from wallet_project.chain.declarations import Sealed, declared
from wallet_project.chain.sealing import seal
from wallet_project.embedded.processes import wait_until
from wallet_project.utils.verification import rows

pytestmark = [pytest.mark.django_db, pytest.mark.thorough]

#: Append-only, and left out of the chain with a reason: who asked is in the logs, and a profile is personal data
#: through and through, of which checks name the version.
NOT_SEALED = {
    "accounts_idempotencyclaim",
    "accounts_profileversion",
    # What a list's version holds is covered by the version's digest, which is sealed.
    "compliance_sanctionsentry",
    "compliance_sanctionsname",
    "compliance_listchange",
    "compliance_listindex",
    # Which documents a check went by; they, and what became of each, are sealed.
    "compliance_kyccheck_documents",
}

LOG = """
    INSERT INTO ledger_statechange (machine, subject_id, from_state, to_state, actor_id, reason, request_id)
    VALUES ('test', gen_random_uuid(), '', 'made', gen_random_uuid(), %s, '') RETURNING id, xact
"""


def test_everything_that_was_written_is_sealed_and_verifies() -> None:
    last = some_blocks(3)
    found = result()
    assert found.holds, found
    assert found.figures["blocks"] == last + 1 >= 4
    (counted,) = rows(
        "SELECT (SELECT count(*) FROM ledger_entry) + (SELECT count(*) FROM ledger_statechange)"
        " + (SELECT count(*) FROM ledger_transaction) + (SELECT count(*) FROM accounts_statechange)"
        # The rules and the risk weights that a new wallet starts with.
        " + (SELECT count(*) FROM compliance_rule) + (SELECT count(*) FROM compliance_ruleversion)"
        " + (SELECT count(*) FROM compliance_rulesrevision) + (SELECT count(*) FROM compliance_statechange)"
        " + (SELECT count(*) FROM compliance_riskweights) AS count"
    )
    assert found.figures["rows"] == counted["count"] > 10
    assert selectors.oldest_unsealed_seconds() == [(("seal",), 0.0)]


def test_where_nothing_was_written_there_is_no_new_block() -> None:
    last = some_blocks(1)
    assert [seal(), seal()] == [0, 0]
    assert head() == last


def test_a_block_is_bounded_and_what_is_left_follows(app_connection: psycopg.Connection) -> None:
    seal_all()
    before = head()
    for _ in range(25):
        app_connection.execute(LOG, [""])
    seal_all(every=10)
    counts = [row["row_count"] for row in rows(f"SELECT row_count FROM chain_block WHERE number > {before}")]
    assert sum(counts) == 25
    assert max(counts) <= 10
    assert not offences()


def test_a_transaction_is_never_cut_in_two(app_connection: psycopg.Connection) -> None:
    seal_all()
    with app_connection.transaction():
        for _ in range(25):
            app_connection.execute(LOG, [""])
    seal_all(every=10)
    assert rows("SELECT row_count FROM chain_block ORDER BY number DESC LIMIT 1") == [{"row_count": 25}]


def test_who_commits_late_is_sealed_though_his_numbers_are_the_lower_ones(app_dsn: str) -> None:
    seal_all()
    with psycopg.connect(app_dsn) as slow, psycopg.connect(app_dsn, autocommit=True) as quick:
        early = slow.execute(LOG, [""]).fetchone()
        late = quick.execute(LOG, [""]).fetchone()
        assert early is not None
        assert late is not None
        assert early[0] < late[0]
        # By number, one would seal up to the highest that is there, and go on behind it: the lower one, which is not
        # committed yet, would never be looked at again.
        (seen,) = rows(
            "SELECT max(id) AS id, count(*) FILTER (WHERE id < %(id)s) AS lower FROM ledger_statechange",
            {
                "id": late[0],
            },
        )
        by_number = seen["id"]
        seal()
        assert sealed_in(late[0]) is None  # Waits for the other, which may still add to the range.
        slow.commit()
    assert early[0] <= by_number, "a seal by number has gone past it"
    seal_all()
    assert sealed_in(early[0]) is not None
    assert sealed_in(late[0]) is not None
    assert not offences()


def sealed_in(row: int) -> int | None:
    found = rows(
        "SELECT p.block_id FROM chain_section p JOIN chain_source s ON s.id = p.source_id"
        " WHERE s.table_name = 'ledger_statechange' AND %(row)s = ANY(p.row_ids)",
        {"row": str(row)},
    )
    assert len(found) <= 1
    return found[0]["block_id"] if found else None


def test_what_was_rolled_back_leaves_no_trace(app_dsn: str) -> None:
    with psycopg.connect(app_dsn) as connection:
        connection.execute(LOG, [""])
        connection.rollback()
    seal_all()
    assert not offences()


def test_ten_that_seal_at_once_make_one_chain(app_dsn: str) -> None:
    for _ in range(5):
        factories.make_account(funded=5)
    barrier = threading.Barrier(10)

    def one(_: int) -> None:
        with psycopg.connect(app_dsn, autocommit=True) as connection:
            barrier.wait()
            for _ in range(10):
                connection.execute("SELECT chain_seal(3)")

    with ThreadPoolExecutor(10) as pool:
        list(pool.map(one, range(10)))
    seal_all()
    assert not offences()
    numbers = [row["number"] for row in rows("SELECT number FROM chain_block ORDER BY number")]
    assert numbers == list(range(len(numbers)))


@pytest.mark.thorough
def test_rows_keep_being_written_while_blocks_are_sealed(app_dsn: str) -> None:
    stop = threading.Event()

    def write(number: int) -> int:
        written = 0
        with psycopg.connect(app_dsn, autocommit=number % 2 == 0) as connection:
            # Enough for ten blocks by far; on a quick machine there would be tens of thousands to seal in the end.
            while not stop.is_set() and written < 600:
                connection.execute(LOG, ["a reason"])
                written += 1
                if written % 3 == 0:
                    connection.commit()
        return written

    with ThreadPoolExecutor(6) as pool:
        writers = [pool.submit(write, number) for number in range(6)]
        before = head()
        assert wait_until(lambda: seal(rows=50) + 1 > 0 and head() > before + 10, seconds=20)
        stop.set()
        assert sum(writer.result() for writer in writers) > 0
    seal_all()
    assert not offences()


def test_the_application_can_not_say_in_which_transaction_it_wrote(app_connection: psycopg.Connection) -> None:
    for table in [each.table for each in declared()]:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            app_connection.execute(f"INSERT INTO {table} (xact) VALUES (1)")
    row = app_connection.execute(LOG, [""]).fetchone()
    assert row is not None
    assert row[1] > 0


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO chain_block SELECT * FROM chain_block",
        "UPDATE chain_block SET hash = previous",
        "DELETE FROM chain_block",
        "TRUNCATE chain_section",
        "UPDATE chain_salt SET salt = NULL",
        "INSERT INTO chain_source SELECT * FROM chain_source",
        "UPDATE chain_epoch SET xact_offset = 1",
        "SELECT chain_resume('')",
        "SELECT chain_forget('ledger_statechange', '1', 'reason')",
        "SELECT chain_seal_source(s, 1, 0, 1) FROM chain_source s",
    ],
)
def test_the_application_can_not_write_the_chain(app_connection: psycopg.Connection, statement: str) -> None:
    some_blocks(1)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        app_connection.execute(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE chain_block SET hash = previous",
        "DELETE FROM chain_block",
        "TRUNCATE chain_block CASCADE",
        "UPDATE chain_section SET row_count = 0",
        "DELETE FROM chain_section",
        "UPDATE chain_source SET key_column = 'at'",
        "DELETE FROM chain_epoch",
        "DELETE FROM chain_salt",
        "UPDATE chain_salt SET digest = salt",
        "UPDATE chain_salt SET salt = digest",
        "INSERT INTO chain_block (number, epoch_id, from_xact, to_xact, row_count, sealed_at, previous, content, hash)"
        " SELECT number + 1, epoch_id, to_xact, to_xact + 1, 0, sealed_at, hash, content, content FROM chain_block"
        " ORDER BY number DESC LIMIT 1",
    ],
)
def test_nor_can_the_owner_while_the_triggers_are_there(owner_connection: psycopg.Connection, statement: str) -> None:
    owner_connection.execute(LOG, ["a reason"])
    seal_all()
    with pytest.raises(psycopg.errors.CheckViolation):
        owner_connection.execute(statement)


def test_every_log_is_sealed_or_left_out_with_a_reason() -> None:
    logs = {
        row["name"]
        for row in rows(
            # Those whose rows can neither be changed nor removed, and that belong to the wallet.
            "SELECT tgrelid::regclass::text AS name FROM pg_trigger"
            " WHERE tgname LIKE '%%_keeps_its_rows' AND tgtype::int & 24 = 24"
        )
    }
    assert logs >= {"ledger_entry", "compliance_casenote"}
    assert logs - NOT_SEALED <= {each.table for each in declared()}


def test_what_is_declared_is_what_is_under_seal(owner_connection: psycopg.Connection) -> None:
    there = {row["table_name"] for row in rows("SELECT table_name FROM chain_source")}
    assert there == {each.table for each in declared()}
    assert definitions.apply(using="owner") == []
    connections["owner"].close()


def test_free_text_and_raw_answers_are_salted() -> None:
    """A column that holds what people or providers wrote is never hashed as it stands."""
    texts = {"reason", "text", "payload", "note", "body", "beneficiary"}
    for table in declared():
        (source,) = rows("SELECT columns, kinds FROM chain_source WHERE table_name = %(name)s", {"name": table.table})
        for column, kind in zip(source["columns"], source["kinds"], strict=True):
            assert kind.startswith("salted ") == (column in table.salted)
            assert column not in texts or column in table.salted, (table.table, column)


def test_nothing_under_seal_is_the_applications_to_change() -> None:
    changeable = rows(
        "SELECT s.table_name, c.name FROM chain_source s CROSS JOIN LATERAL unnest(s.columns) AS c (name)"
        " WHERE has_column_privilege('wallet_app', s.table_name, c.name, 'UPDATE')"
    )
    assert changeable == []


def test_what_was_asked_of_a_transaction_is_under_seal_and_what_became_of_it_is_not(tamper: Tamper) -> None:
    account = factories.make_account(funded=100)
    seal_all()
    tamper("UPDATE ledger_transaction SET reference = 'somebody else''s' WHERE credit_account_id = %s", account.id)
    assert {row["problem"] for row in offences()} == {"a text is not as it was sealed"}
    tamper("UPDATE ledger_transaction SET initiator_id = gen_random_uuid() WHERE credit_account_id = %s", account.id)
    assert "a row is not as it was sealed" in {row["problem"] for row in offences()}


def test_a_transaction_that_was_sealed_while_it_was_pending_goes_on(app_connection: psycopg.Connection) -> None:
    account = factories.make_account(funded=100)
    payment = factories.make_account(account.customer)
    posted = money.post(money.leg("transfer", account, payment, 60))
    seal_all()
    assert not offences()
    money.approve(posted)
    money.clear()
    seal_all()
    assert not offences()


def test_a_column_that_is_new_is_covered_and_what_was_sealed_still_verifies(
    owner_connection: psycopg.Connection, app_connection: psycopg.Connection
) -> None:
    some_blocks(1)
    owner_connection.execute("ALTER TABLE ledger_statechange ADD COLUMN channel text NOT NULL DEFAULT 'api'")
    assert definitions.apply(using="owner") == ["ledger_statechange"]
    connections["owner"].close()
    app_connection.execute(LOG, ["after"])
    seal_all()
    assert not offences()
    owner_connection.execute("ALTER TABLE ledger_statechange DISABLE TRIGGER ALL")
    owner_connection.execute("UPDATE ledger_statechange SET channel = 'admin' WHERE reason = 'after'")
    assert [row["problem"] for row in offences()] == ["a row is not as it was sealed"]


def test_a_table_with_rows_comes_under_seal(
    owner_connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    seal_all()
    owner_connection.execute("CREATE TABLE parking (spot int PRIMARY KEY, at timestamptz DEFAULT now(), note text)")
    owner_connection.execute("INSERT INTO parking VALUES (1, now(), 'red'), (2, now(), NULL)")
    owner_connection.execute("GRANT SELECT ON parking TO wallet_app")
    monkeypatch.setattr("tests.chain.test_seal.TABLES", [Sealed("parking", moment="at", salted=["note"], key="spot")])
    monkeypatch.setattr(settings, "SEALED", [*settings.SEALED, "tests.chain.test_seal.TABLES"])
    assert definitions.apply(using="owner") == ["parking"]
    owner_connection.execute("INSERT INTO parking VALUES (3, now(), 'blue')")
    seal_all()
    assert not offences()
    owner_connection.execute("UPDATE parking SET note = 'green' WHERE spot = 2")
    assert [row["row"] for row in offences()] == ["2"]
    connections["owner"].close()


TABLES: list[Sealed] = []


def test_the_age_of_the_oldest_unsealed_row_is_a_figure(app_connection: psycopg.Connection) -> None:
    seal_all()
    app_connection.execute(LOG, [""])
    ((labels, age),) = selectors.oldest_unsealed_seconds()
    assert labels == ("seal",)
    assert 0 < age < 60


def test_foreign_keys_do_not_tie_the_chain_to_the_wallet() -> None:
    for model in apps.get_app_config("chain").get_models():
        for field in model._meta.concrete_fields:
            assert field.related_model is None or field.related_model._meta.app_label == "chain"  # type: ignore[union-attr]


def test_a_time_is_hashed_the_same_whatever_a_session_has_set(app_connection: psycopg.Connection) -> None:
    app_connection.execute("SET timezone = 'Asia/Kolkata'; SET datestyle = 'German'; SET bytea_output = 'escape'")
    factories.make_account(funded=1)
    assert wait_until(lambda: app_connection.execute("SELECT * FROM chain_seal(1000)").rowcount == 0, seconds=20), (
        datetime.now(UTC)
    )
    seal_all()
    assert not offences()
