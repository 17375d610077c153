"""What lets `verify_ledger` leave rows unsorted: a proof holds only where none of its offences has a row. Each
mistake is made in a transaction that is rolled back."""

from collections.abc import Iterator

import psycopg
import pytest

from accounts.verification import checks as checks_of_accounts
from compliance.verification import checks as checks_of_compliance
from ledger.verification import books
from tests.support import money
from wallet_project.utils.verification import Proof, SqlCheck, verify

pytestmark = [pytest.mark.django_db, pytest.mark.thorough]

ENTRY = "UPDATE ledger_entry SET"
TWO = "(SELECT array_agg(id ORDER BY id) FROM ledger_transaction WHERE status = 'cleared' AND kind = 'transfer')"
FIRST, SECOND = f"({TWO})[1]", f"({TWO})[2]"
PENDING = "(SELECT id FROM ledger_transaction WHERE status = 'pending')"
NO_LONGER_UNIQUE = (
    "ALTER TABLE ledger_entry DROP CONSTRAINT entry_one_debit_and_one_credit,"
    " DROP CONSTRAINT entry_sequence_unique_in_account"
)
COPY_OF_ENTRY = (
    "INSERT INTO ledger_entry (transaction_id, account_id, direction, amount, balance_after, sequence)"
    f" SELECT transaction_id, account_id, direction, amount, balance_after, sequence + 100 FROM ledger_entry"
    f" WHERE transaction_id = {FIRST} AND direction = 'debit'"
)
KEY = "INSERT INTO accounts_idempotencyclaim (principal_id, key, operation, request_hash, result_id)"
LINE = (
    "INSERT INTO ledger_statechange (machine, subject_id, from_state, to_state, actor_id, reason, request_id)"
    " SELECT %s, {}, %s, %s, id, '', '' FROM accounts_principal LIMIT 1"
)


def line(machine: str, subject: str, before: str, after: str) -> str:
    return (LINE.format(subject) % tuple(f"'{each}'" for each in (machine, before, after))).strip()


#: By what is wrong; nearly all leave each number of rows as it was.
MISTAKES: dict[str, list[str]] = {
    "an amount": [f"{ENTRY} amount = amount + 1 WHERE transaction_id = {FIRST}"],
    "amounts of two": [
        f"{ENTRY} amount = CASE transaction_id WHEN {FIRST} THEN 20 ELSE 10 END"
        f" WHERE direction = 'debit' AND transaction_id IN ({FIRST}, {SECOND})"
    ],
    # PostgreSQL's hash of a bigint lays its halves over each other.
    "an amount that has the same hash": [f"{ENTRY} amount = amount << 32 WHERE transaction_id = {FIRST}"],
    "amounts of one, both": [
        f"{ENTRY} amount = amount + 1, balance_after = balance_after + 1 WHERE transaction_id = {FIRST}"
    ],
    "a line's balance": [f"{ENTRY} balance_after = balance_after + 1 WHERE transaction_id = {FIRST}"],
    "a balance that has the same hash": [f"{ENTRY} balance_after = balance_after << 32 WHERE transaction_id = {FIRST}"],
    "a gap": [f"{ENTRY} sequence = sequence + 1 WHERE transaction_id = {SECOND}"],
    "a line less at the end": [NO_LONGER_UNIQUE, f"DELETE FROM ledger_entry WHERE transaction_id = {SECOND}"],
    "lines of two accounts exchanged": [
        NO_LONGER_UNIQUE,
        f"{ENTRY} account_id = o.account_id FROM ledger_entry o WHERE o.transaction_id = ledger_entry.transaction_id"
        f" AND o.id <> ledger_entry.id AND ledger_entry.transaction_id = {SECOND}",
    ],
    "two lines in the other order": [
        NO_LONGER_UNIQUE,
        f"{ENTRY} sequence = CASE transaction_id WHEN {FIRST} THEN sequence + 1 ELSE sequence - 1 END"
        f" WHERE transaction_id IN ({FIRST}, {SECOND})",
    ],
    "a line twice": [
        NO_LONGER_UNIQUE,
        "INSERT INTO ledger_entry (transaction_id, account_id, direction, amount, balance_after, sequence)"
        " SELECT transaction_id, account_id, direction, amount, balance_after, sequence FROM ledger_entry"
        f" WHERE transaction_id = {FIRST}",
    ],
    "balances of two accounts": [
        "UPDATE accounts_account a SET cleared = a.cleared + CASE a.id WHEN o.debit_account_id THEN 1 ELSE -1 END"
        f" FROM ledger_transaction o WHERE o.id = {FIRST} AND a.id IN (o.debit_account_id, o.credit_account_id)"
    ],
    "the number of the last line": [
        "UPDATE accounts_account SET last_sequence = last_sequence + 1 WHERE kind = 'customer'"
    ],
    "what is reserved": ["UPDATE accounts_account SET reserved = reserved - 1 WHERE reserved > 0"],
    "accounts of one": [
        NO_LONGER_UNIQUE,
        f"{ENTRY} direction = CASE direction WHEN 'debit' THEN 'credit' ELSE 'debit' END"
        f" WHERE transaction_id = {FIRST}",
    ],
    "entries of a pending one": [f"{ENTRY} transaction_id = {PENDING} WHERE transaction_id = {FIRST}"],
    "entries of nobody": [f"{ENTRY} transaction_id = gen_random_uuid() WHERE transaction_id = {FIRST}"],
    "two debits here, none there": [
        NO_LONGER_UNIQUE,
        COPY_OF_ENTRY,
        f"DELETE FROM ledger_entry WHERE transaction_id = {SECOND} AND direction = 'debit'",
    ],
    "an entry twice": [NO_LONGER_UNIQUE, COPY_OF_ENTRY],
    "two keys here, none there": [
        f"UPDATE accounts_idempotencyclaim SET result_id = {FIRST} WHERE result_id = {SECOND}"
    ],
    "another's key": [
        "UPDATE accounts_idempotencyclaim SET principal_id = '00000000-0000-7000-8000-000000000001'"
        f" WHERE result_id = {FIRST}"
    ],
    "a second key of somebody else": [
        f"{KEY} SELECT id, 'second', 'transfer', '\\x00', {FIRST} FROM accounts_principal ORDER BY id LIMIT 1"
    ],
    "a key for an account, of a payment": [
        f"{KEY} SELECT id, 'k', 'create_account', '\\x00', {FIRST} FROM accounts_principal LIMIT 1"
    ],
    "a key for nothing": [f"{KEY} SELECT id, 'k', 'x', '\\x00', gen_random_uuid() FROM accounts_principal LIMIT 1"],
    "two keys for an account": [
        f"{KEY} SELECT p.id, n::text, 'x', '\\x00', (SELECT min(id::text)::uuid FROM accounts_account)"
        " FROM (SELECT id FROM accounts_principal LIMIT 1) p, generate_series(1, 2) n"
    ],
    "captured what was no hold": [
        f"{KEY} SELECT id, 'k', 'capture', '\\x00', gen_random_uuid() FROM accounts_principal LIMIT 1"
    ],
    "a step that is not legal": [
        f"UPDATE ledger_statechange SET to_state = 'failed' WHERE from_state = '' AND subject_id = {FIRST}",
        f"UPDATE ledger_statechange SET from_state = 'failed' WHERE to_state = 'cleared' AND subject_id = {FIRST}",
    ],
    "a second birth": [line("transaction", FIRST, "", "pending")],
    "no birth": [f"DELETE FROM ledger_statechange WHERE from_state = '' AND subject_id = {FIRST}"],
    "two births here, none there": [
        f"UPDATE ledger_statechange SET subject_id = {FIRST} WHERE from_state = '' AND subject_id = {SECOND}"
    ],
    "cleared twice": [line("transaction", FIRST, "pending", "cleared")],
    "cleared twice here, never there": [
        f"UPDATE ledger_statechange SET subject_id = {FIRST} WHERE from_state <> '' AND subject_id = {SECOND}"
    ],
    "born after it cleared": [
        f"UPDATE ledger_statechange SET id = id + 1000000 WHERE from_state = '' AND subject_id = {FIRST}"
    ],
    "ends elsewhere": [f"UPDATE ledger_statechange SET to_state = 'failed' WHERE to_state = 'cleared'"
                       f" AND subject_id = {FIRST}"],
    "a line about nobody": [line("transaction", "gen_random_uuid()", "pending", "cleared")],
    "an unknown machine": [line("nothing", "gen_random_uuid()", "", "pending")],
    "captured twice": [line("hold", FIRST, "", "captured")] * 2,
}  # fmt: skip


@pytest.fixture
def owner(owner_dsn: str) -> Iterator[psycopg.Connection]:
    """In a transaction, with all triggers off: two payments that have cleared, one that waits."""
    payer, payee = money.new_account(1_000), money.new_account()
    for amount in (10, 20):
        posted = money.transfer(payer, payee, amount)
        money.approve(posted)
        money.clear()
    money.transfer(payer, payee, 30)
    with psycopg.connect(owner_dsn) as connection:
        for table in (
            "ledger_entry", "ledger_transaction", "ledger_statechange", "accounts_idempotencyclaim", "accounts_account",
        ):  # fmt: skip
            connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        yield connection
        connection.rollback()


def proofs() -> list[tuple[Proof, SqlCheck]]:
    checks = [*checks_of_accounts(), *checks_of_compliance(), *books.checks()]
    return [(proof, check) for check in checks if isinstance(check, SqlCheck) for proof in check.proofs]


def offences(owner: psycopg.Connection) -> set[str]:
    return {
        problem
        for proof, check in proofs()
        for problem in proof.offences
        if problem in check.offences and owner.execute(check.offences[problem]).fetchall()
    }


def refuted(owner: psycopg.Connection) -> set[str]:
    """Offences that may have rows, as far as the proofs can tell."""
    return {
        problem for proof, _ in proofs() if owner.execute(proof.sql).fetchone() != (True,) for problem in proof.offences
    }


def test_no_proof_holds_where_one_of_its_offences_has_a_row(owner: psycopg.Connection) -> None:
    owner.execute(line("hold", FIRST, "", "captured"))
    assert (offences(owner), refuted(owner)) == (set(), set())

    for name, statements in MISTAKES.items():
        with owner.transaction(force_rollback=True):
            for statement in statements:
                owner.execute(statement)
            found = offences(owner)
            assert found, f"{name}: nothing is wrong"
            assert found <= refuted(owner), name


def test_several_lanes_find_what_one_finds(owner_connection: psycopg.Connection) -> None:
    payer, payee = money.new_account(1_000), money.new_account()
    money.transfer(payer, payee, 10)
    owner_connection.execute("ALTER TABLE ledger_statechange DISABLE TRIGGER USER")
    owner_connection.execute("UPDATE ledger_statechange SET to_state = 'cleared'")
    checks = [*checks_of_accounts(), *checks_of_compliance(), *books.checks()]
    checks.append(SqlCheck("Endless", "It ends", "SELECT pg_sleep(10)", {}))
    one, several = (verify(checks, timeout_seconds=2, lanes=lanes) for lanes in (1, 3))
    assert several == one
    assert [result.name for result in one if not result.holds] == ["I5", "Endless"]
    assert "statement timeout" in several[-1].unread
