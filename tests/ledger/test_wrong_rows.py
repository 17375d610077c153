"""Rows that no use case would write: each is refused by the guard that is there for it, the tables' owner included."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from django.db.transaction import atomic
from psycopg import sql
from psycopg.errors import IntegrityError

from accounts.models import Account, User
from ledger import steps
from ledger.models import Transaction
from tests.support import money
from wallet_project.utils.context import system_actor

pytestmark = pytest.mark.django_db

NOW = datetime.now(UTC)
LATER = NOW + timedelta(days=1)
SOMEBODY = UUID("01990000-0000-7000-8000-000000000009")
BACK = {"debit_account_id": "@payee", "credit_account_id": "@payer"}
Row = dict[str, Any]


class House:
    """Two accounts of two customers; one transfer that waits and one that has cleared, and the rows they brought."""

    def __init__(self, owner: psycopg.Connection) -> None:
        self._owner = owner
        self.payer, self.payee = money.new_account(1000), money.new_account()
        posted = money.transfer(self.payer, self.payee, 100)
        money.approve(posted)
        money.clear()
        self.cleared = posted.transactions[0].id
        self.pending = money.transfer(self.payer, self.payee, 50).transactions[0].id
        self.settlement = money.system().id

    def names(self, value: Any) -> Any:
        """A value that names one of this house's rows, as that row's id."""
        return getattr(self, value[1:]) if isinstance(value, str) and value.startswith("@") else value

    def account(self, value: Any) -> Any:
        found = self.names(value)
        return found.id if isinstance(found, Account) else found

    def insert(self, table: str, row: Row) -> None:
        values = {name: self.account(value) for name, value in row.items()}
        self._owner.execute(
            sql.SQL(
                "INSERT INTO {table} ({names}) SELECT {names} FROM jsonb_populate_record(NULL::{table}, %s)"
            ).format(table=sql.Identifier(table), names=sql.SQL(", ").join(map(sql.Identifier, values))),
            [json.dumps(values, default=str)],
        )

    def update(self, table: str, where: Row, changes: Row) -> None:
        values = {name: self.account(value) for name, value in changes.items()}
        (column, value), *_ = where.items()
        names = sql.SQL(", ").join(map(sql.Identifier, values))
        self._owner.execute(
            sql.SQL(
                "UPDATE {table} SET ({names}) = (SELECT {names} FROM jsonb_populate_record(NULL::{table}, %s)) "
                "WHERE {column} = %s"
            ).format(table=sql.Identifier(table), names=names, column=sql.Identifier(column)),
            [json.dumps(values, default=str), self.account(value)],
        )


@pytest.fixture
def house(db: None, owner_connection: psycopg.Connection) -> House:
    return House(owner_connection)


def refused_by(call: Any) -> str:
    """The name of the constraint or trigger that refused."""
    with pytest.raises(IntegrityError) as refused:
        call()
    return refused.value.diag.constraint_name or ""


def transaction(**changes: Any) -> Row:
    """One that may be: a transfer that failed at birth."""
    return {
        "id": uuid4(),
        "kind": "transfer",
        "status": "failed",
        "debit_account_id": "@payer",
        "credit_account_id": "@payee",
        "amount": 5,
        "currency": "EUR",
        "initiator_id": system_actor().principal_id,
        "reference": "",
        "metadata": {},
        "failure": "insufficient_funds",
        "failed_at": NOW,
        **changes,
    }


def pending(**changes: Any) -> Row:
    return transaction(**{"status": "pending", "failure": "", "failed_at": None, **changes})


def test_the_rows_that_the_others_are_made_from_may_be(house: House) -> None:
    house.insert("ledger_transaction", transaction())
    house.insert("ledger_transaction", pending())
    house.insert("ledger_transaction", pending(expires_at=LATER, captured_at=NOW, captured_amount=5))
    house.insert("ledger_transaction", pending(expires_at=LATER, captured_at=NOW, captured_amount=1))
    house.insert("ledger_transaction", transaction(amount=1))
    house.insert("ledger_transaction", transaction(amount=10**15))
    house.insert("ledger_adjustment", adjustment(amount=1))
    house.insert("ledger_adjustment", adjustment(amount=10**15))
    for zero in ("per_transaction", "per_day", "per_30_days"):
        house.insert("ledger_limit", limit(**{"owner_id": uuid4(), "per_day": None, zero: 0}))
    house.insert("ledger_adjustment", adjustment())
    house.insert("ledger_limit", limit())
    house.insert("ledger_usage", usage())


@pytest.mark.parametrize(
    ("row", "guard"),
    [
        (transaction(amount=0), "transaction_amount_in_range"),
        (transaction(amount=10**15 + 1), "transaction_amount_in_range"),
        (transaction(credit_account_id="@payer"), "transaction_accounts_differ"),
        (transaction(failure=""), "transaction_failure_says_why"),
        (transaction(failed_at=None), "transaction_failure_says_why"),
        (transaction(failed_at=None, failure=""), "transaction_failure_says_why"),
        (pending(failure="cancelled"), "transaction_failure_says_why"),
        (pending(failed_at=NOW), "transaction_failure_says_why"),
        (pending(expires_at=LATER, captured_at=NOW, captured_amount=0), "transaction_captures_at_most_its_amount"),
        (pending(expires_at=LATER, captured_at=NOW, captured_amount=6), "transaction_captures_at_most_its_amount"),
        (pending(expires_at=LATER, captured_at=NOW), "transaction_captured_before_it_expires"),
        (pending(expires_at=LATER, captured_amount=5), "transaction_captured_before_it_expires"),
        (pending(captured_at=NOW, captured_amount=5), "transaction_captured_before_it_expires"),
        (pending(expires_at=NOW, captured_at=NOW, captured_amount=5), "transaction_captured_before_it_expires"),
        (transaction(kind="reversal"), "staff_money_has_two_people"),
        (transaction(reverses_id="@cleared", **BACK), "transaction_reversal_says_of_what"),
        (transaction(debit_account_id=SOMEBODY), "transaction_debit_account_has_its_currency"),
        (transaction(credit_account_id=SOMEBODY), "transaction_credit_account_has_its_currency"),
        (transaction(currency="USD"), "transaction_debit_account_has_its_currency"),
        (transaction(initiator_id=SOMEBODY), "transaction_initiator_is_a_principal"),
        (transaction(status="cleared"), "ledger_transaction_status_is_legal_at_birth"),
        (transaction(id="@cleared"), "ledger_transaction_pkey"),
    ],
)  # fmt: skip
def test_a_wrong_transaction(house: House, row: Row, guard: str) -> None:
    assert refused_by(lambda: house.insert("ledger_transaction", row)) == guard


@pytest.mark.parametrize(
    ("changes", "guard"),
    [
        ({"status": "cleared", "cleared_at": NOW}, "transaction_cleared_after_approval"),
        ({"status": "cleared", "approved_at": NOW}, "transaction_cleared_after_approval"),
        ({"status": "cleared", "approved_at": NOW, "cleared_at": NOW}, "cleared_has_entries"),
    ],
)
def test_nothing_clears_without_its_times_and_entries(house: House, changes: Row, guard: str) -> None:
    assert refused_by(lambda: house.update("ledger_transaction", {"id": "@pending"}, changes)) == guard


def test_a_hold_clears_only_as_captured(house: House) -> None:
    row = pending(expires_at=LATER, approved_at=NOW)
    house.insert("ledger_transaction", row)
    changes = {"status": "cleared", "cleared_at": NOW}
    assert (
        refused_by(lambda: house.update("ledger_transaction", {"id": row["id"]}, changes))
        == "transaction_hold_clears_as_captured"
    )


ASKED = {
    "id": uuid4(),
    "kind": "deposit",
    "debit_account_id": "@settlement",
    "credit_account_id": "@settlement",
    "amount": 51,
    "currency": "USD",
    "group_id": uuid4(),
    "initiator_id": SOMEBODY,
    "reference": "another",
    "metadata": {"a": "b"},
    "beneficiary": {"name": "x"},
    "reverses_id": "@cleared",
    "created_at": LATER,
    "expires_at": LATER,
}


@pytest.mark.parametrize("column", ASKED)
def test_what_was_asked_of_a_transaction_never_changes(house: House, column: str) -> None:
    changes = {column: ASKED[column]}
    assert (
        refused_by(lambda: house.update("ledger_transaction", {"id": "@pending"}, changes))
        == "transaction_is_immutable"
    )


@pytest.mark.parametrize("column", ["approved_at", "captured_amount", "captured_at", "cleared_at"])
@pytest.mark.parametrize("emptied", [True, False])
def test_what_became_of_a_pending_transaction_is_written_once(house: House, column: str, emptied: bool) -> None:
    row = pending(expires_at=LATER)
    house.insert("ledger_transaction", row)
    written: Row = {"approved_at": NOW, "captured_at": NOW, "captured_amount": 5, "cleared_at": NOW}
    house.update("ledger_transaction", {"id": row["id"]}, written)
    house.update("ledger_transaction", {"id": row["id"]}, written)
    other = None if emptied else {"captured_amount": 4}.get(column, NOW + timedelta(seconds=1))
    assert (
        refused_by(lambda: house.update("ledger_transaction", {"id": row["id"]}, {column: other}))
        == "transaction_is_immutable"
    )


@pytest.mark.parametrize("changes", [{"cleared_at": LATER}, {"failure": "cancelled"}, {"failed_at": NOW}])
def test_an_ended_transaction_is_history(house: House, changes: Row) -> None:
    assert (
        refused_by(lambda: house.update("ledger_transaction", {"id": "@cleared"}, changes))
        == "transaction_is_immutable"
    )


def entry(direction: str, account: str, amount: int = 50, **changes: Any) -> Row:
    return {
        "transaction_id": "@pending",
        "account_id": account,
        "direction": direction,
        "amount": amount,
        "balance_after": 0,
        "sequence": 99,
        "created_at": NOW,
        **changes,
    }


@pytest.mark.parametrize(
    ("rows", "guard"),
    [
        ([entry("debit", "@payer")], "entries_balance"),
        ([entry("debit", "@payer"), entry("credit", "@payee", 49)], "entries_balance"),
        ([entry("debit", "@payer", 49), entry("credit", "@payee", 49)], "entries_balance"),
        ([entry("debit", "@payee"), entry("credit", "@payer")], "entries_balance"),
        ([entry("debit", "@payer"), entry("credit", "@settlement")], "entries_balance"),
        ([entry("debit", "@settlement"), entry("credit", "@payee")], "entries_balance"),
        ([entry("debit", SOMEBODY), entry("credit", "@payee")], "entries_balance"),
        ([entry("debit", "@payer"), entry("credit", SOMEBODY)], "entries_balance"),
        (
            [entry("debit", "@payer", transaction_id=SOMEBODY), entry("credit", "@payee", transaction_id=SOMEBODY)],
            "entries_balance",
        ),
        (
            [
                entry("debit", "@payer"),
                entry("credit", "@payee"),
                entry("debit", "@payer", sequence=100, transaction_id=SOMEBODY),
                entry("credit", "@payee", sequence=100, transaction_id=SOMEBODY),
            ],
            "entries_balance",
        ),
        ([entry("debit", "@payer", 0), entry("credit", "@payee", 0)], "entry_amount_positive"),
        ([entry("debit", "@payer"), entry("other", "@payee")], "entry_direction_known"),
        ([entry("debit", "@payer"), entry("debit", "@payee")], "entry_one_debit_and_one_credit"),
        ([entry("debit", "@payer", sequence=1), entry("credit", "@payee")], "entry_sequence_unique_in_account"),
        (
            [
                entry("debit", "@payer", 100, transaction_id="@cleared"),
                entry("credit", "@payee", 100, transaction_id="@cleared"),
            ],
            "entry_one_debit_and_one_credit",
        ),
    ],
)
def test_wrong_entries(house: House, owner_connection: psycopg.Connection, rows: list[Row], guard: str) -> None:
    values = [{name: house.account(value) for name, value in row.items()} for row in rows]
    names = sql.SQL(", ").join(map(sql.Identifier, rows[0]))
    insert = sql.SQL(
        "INSERT INTO ledger_entry ({names}) SELECT {names} FROM jsonb_populate_recordset(NULL::ledger_entry, %s)"
    ).format(names=names)
    assert refused_by(lambda: owner_connection.execute(insert, [json.dumps(values, default=str)])) == guard


def test_entries_that_are_right_may_be_written_and_only_while_the_transaction_is_pending(
    house: House, owner_connection: psycopg.Connection
) -> None:
    unfit = house.pending
    right = [entry("debit", "@payer"), entry("credit", "@payee")]
    values = [{name: house.account(value) for name, value in row.items()} for row in right]
    insert = (
        "INSERT INTO ledger_entry (transaction_id, account_id, direction, amount, balance_after, sequence) "
        "SELECT transaction_id, account_id, direction, amount, balance_after, sequence "
        "FROM jsonb_populate_recordset(NULL::ledger_entry, %s)"
    )
    owner_connection.execute("BEGIN")
    owner_connection.execute(insert, [json.dumps(values, default=str)])
    owner_connection.execute("ROLLBACK")
    house.update("ledger_transaction", {"id": unfit}, {"status": "failed", "failure": "cancelled", "failed_at": NOW})
    assert refused_by(lambda: owner_connection.execute(insert, [json.dumps(values, default=str)])) == "entries_balance"


def adjustment(**changes: Any) -> Row:
    return {
        "id": uuid4(),
        "kind": "correction",
        "debit_account_id": "@settlement",
        "credit_account_id": "@payee",
        "amount": 5,
        "currency": "EUR",
        "reference": "",
        "reason": "because",
        "maker_id": system_actor().principal_id,
        "status": "proposed",
        **changes,
    }


@pytest.mark.parametrize(
    ("row", "guard"),
    [
        (adjustment(amount=0), "adjustment_amount_in_range"),
        (adjustment(amount=10**15 + 1), "adjustment_amount_in_range"),
        (adjustment(debit_account_id="@payee"), "adjustment_accounts_differ"),
        (adjustment(checker_id=system_actor().principal_id), "adjustment_checker_is_not_its_maker"),
        (adjustment(transaction_id="@cleared"), "adjustment_posted_has_a_transaction"),
        (adjustment(reason=""), "adjustment_has_a_reason"),
        (adjustment(status="posted"), "ledger_adjustment_status_is_legal_at_birth"),
    ],
)
def test_a_wrong_adjustment(house: House, row: Row, guard: str) -> None:
    assert refused_by(lambda: house.insert("ledger_adjustment", row)) == guard


@pytest.mark.parametrize(
    ("changes", "guard"),
    [
        ({"status": "declined", "decided_at": NOW}, "adjustment_decided_by_a_second_person"),
        ({"status": "declined", "checker_id": "@stranger"}, "adjustment_decided_by_a_second_person"),
        (
            {"status": "posted", "decided_at": NOW, "checker_id": "@stranger"},
            "adjustment_posted_has_a_transaction",
        ),
        ({"status": "withdrawn", "transaction_id": "@cleared"}, "adjustment_posted_has_a_transaction"),
    ],
)
def test_an_adjustment_is_decided_by_a_second_person(house: House, changes: Row, guard: str) -> None:
    row = adjustment()
    house.insert("ledger_adjustment", row)
    house.stranger = money.actor_of(house.payer.customer).principal_id  # type: ignore[attr-defined]
    assert refused_by(lambda: house.update("ledger_adjustment", {"id": row["id"]}, changes)) == guard


PROPOSED = {
    "id": uuid4(),
    "kind": "loss",
    "debit_account_id": "@payer",
    "credit_account_id": "@payer",
    "amount": 6,
    "currency": "USD",
    "reverses_id": "@cleared",
    "about_id": "@cleared",
    "escalation_id": uuid4(),
    "beneficiary": {"name": "x"},
    "reference": "another",
    "reason": "another",
    "maker_id": SOMEBODY,
    "created_at": LATER,
}


@pytest.mark.parametrize("column", PROPOSED)
def test_what_was_proposed_never_changes(house: House, column: str) -> None:
    row = adjustment()
    house.insert("ledger_adjustment", row)
    changes = {column: PROPOSED[column]}
    assert (
        refused_by(lambda: house.update("ledger_adjustment", {"id": row["id"]}, changes)) == "adjustment_is_immutable"
    )


def test_a_decided_adjustment_is_history(house: House) -> None:
    row = adjustment()
    house.insert("ledger_adjustment", row)
    house.update("ledger_adjustment", {"id": row["id"]}, {"status": "withdrawn"})
    changes = {"decided_at": NOW}
    assert (
        refused_by(lambda: house.update("ledger_adjustment", {"id": row["id"]}, changes)) == "adjustment_is_immutable"
    )


def limit(**changes: Any) -> Row:
    return {"owner_id": SOMEBODY, "scope": "account", "direction": "out", "currency": "EUR", "per_day": 5, **changes}


def usage(**changes: Any) -> Row:
    return {
        "owner_id": SOMEBODY,
        "direction": "out",
        "currency": "EUR",
        "day": "2026-01-01",
        "amount": 0,
        **changes,
    }


@pytest.mark.parametrize(
    ("table", "row", "guard"),
    [
        ("ledger_limit", limit(per_day=None), "limit_limits_something"),
        ("ledger_limit", limit(per_day=-1), "limit_not_negative"),
        ("ledger_limit", limit(per_transaction=-1), "limit_not_negative"),
        ("ledger_limit", limit(per_30_days=-1), "limit_not_negative"),
        ("ledger_usage", usage(amount=-1), "usage_not_negative"),
    ],
)
def test_a_wrong_limit(house: House, table: str, row: Row, guard: str) -> None:
    assert refused_by(lambda: house.insert(table, row)) == guard


def test_a_limit_may_be_one_of_any_kind_alone(house: House) -> None:
    for column in ("per_transaction", "per_day", "per_30_days"):
        for name, scope in ((column, "account"), (f"level_{column}", "customer")):
            house.insert("ledger_limit", {**limit(per_day=None, owner_id=uuid4(), scope=scope), name: 5})


@pytest.mark.parametrize(
    ("table", "row", "guard"),
    [("ledger_limit", limit(), "limit_one_of_an_owner"), ("ledger_usage", usage(), "usage_one_a_day")],
)
def test_there_is_one_limit_and_one_counter_of_a_day(house: House, table: str, row: Row, guard: str) -> None:
    house.insert(table, row)
    assert refused_by(lambda: house.insert(table, row)) == guard


@pytest.mark.parametrize("status", ["submitted", "confirmed"])
def test_a_withdrawal_that_the_bank_has_is_not_failed_by_hand(
    house: House, owner_connection: psycopg.Connection, status: str
) -> None:
    paid_out = money.post(money.leg("withdrawal", house.payer, money.system(), 20))
    other = money.post(money.leg("withdrawal", house.payer, money.system(), 20))
    money.approve(paid_out)
    owner_connection.execute("UPDATE ledger_railtransfer SET status = %s", [status])
    failed = {"status": "failed", "failure": "cancelled", "failed_at": NOW}
    assert (
        refused_by(lambda: house.update("ledger_transaction", {"id": paid_out.transactions[0].id}, failed))
        == "withdrawal_handed_over_stays"
    )
    house.update("ledger_transaction", {"id": other.transactions[0].id}, failed)
    assert Transaction.objects.get(id=other.transactions[0].id).status == "failed"


def account(**changes: Any) -> Row:
    return {
        "id": uuid4(),
        "kind": "customer",
        "purpose": "",
        "currency": "EUR",
        "label": "",
        "status": "requested",
        "status_reason": "",
        "cleared": 0,
        "reserved": 0,
        "last_sequence": 0,
        **changes,
    }


SYSTEM = {"kind": "system", "purpose": "fees", "currency": "XTS", "status": "open"}


@pytest.mark.parametrize(
    ("row", "guard"),
    [
        (account(), "account_belongs_to_a_customer_or_has_a_purpose"),
        (account(**SYSTEM, customer_id="@customer"), "account_belongs_to_a_customer_or_has_a_purpose"),
        (account(**{**SYSTEM, "purpose": ""}), "account_belongs_to_a_customer_or_has_a_purpose"),
        (account(customer_id="@customer", purpose="fees"), "account_belongs_to_a_customer_or_has_a_purpose"),
        (account(purpose="fees", currency="XTS"), "account_belongs_to_a_customer_or_has_a_purpose"),
        (
            account(kind="system", status="open", customer_id="@customer"),
            "account_belongs_to_a_customer_or_has_a_purpose",
        ),
        (account(**{**SYSTEM, "currency": "EUR"}), "account_one_of_a_purpose_per_currency"),
        (account(customer_id="@customer", cleared=1), "account_starts_empty"),
        (account(customer_id="@customer", reserved=1), "account_starts_empty"),
        (account(customer_id="@customer", last_sequence=1), "account_starts_empty"),
        (account(customer_id="@customer", debits=1), "account_starts_empty"),
        (account(customer_id="@customer", sent=1), "account_starts_empty"),
        (account(customer_id="@customer", status="open"), "account_starts_empty"),
        (account(**{**SYSTEM, "status": "frozen"}), "accounts_account_status_is_legal_at_birth"),
        (account(customer_id=SOMEBODY), "accounts_account_customer_id_c0b33c3a_fk_accounts_customer_id"),
    ],
)
def test_a_wrong_account(house: House, row: Row, guard: str) -> None:
    assert house.payer.customer is not None
    house.customer = house.payer.customer.id  # type: ignore[attr-defined]
    assert refused_by(lambda: house.insert("accounts_account", row)) == guard


def test_a_key_of_nobody(house: House) -> None:
    row = {"principal_id": SOMEBODY, "key": "k", "operation": "x", "request_hash": "\\x00", "result_id": SOMEBODY}
    assert refused_by(lambda: house.insert("accounts_idempotencyclaim", row)) == "key_has_its_principal"


def test_accounts_that_are_right_may_be(house: House) -> None:
    assert house.payer.customer is not None
    house.insert("accounts_account", account(customer_id=house.payer.customer.id))
    house.insert("accounts_account", account(**SYSTEM))


@pytest.mark.parametrize(
    ("row", "guard"),
    [
        ({"kind": "user"}, "principal_user_has_a_user"),
        ({"kind": "system", "user_id": "@user"}, "principal_user_has_a_user"),
        ({"kind": "client", "user_id": "@user"}, "principal_user_has_a_user"),
        ({"kind": "user", "user_id": "@taken"}, "accounts_principal_user_id_key"),
    ],
)
def test_a_wrong_principal(house: House, row: Row, guard: str) -> None:
    house.user = User.objects.create(email="nobody@example.com").id  # type: ignore[attr-defined]
    house.taken = house.payer.customer.user_id  # type: ignore[attr-defined, union-attr]
    assert refused_by(lambda: house.insert("accounts_principal", {"id": uuid4(), **row})) == guard


def test_one_proposal_at_a_time_answers_an_escalation(house: House) -> None:
    with atomic():
        asked = steps.escalate(kind="unmatched_money", subject_type="unit", subject_id=uuid4()).id
        other = steps.escalate(kind="unmatched_money", subject_type="unit", subject_id=uuid4()).id
    first = adjustment(escalation_id=asked)
    house.insert("ledger_adjustment", first)
    house.insert("ledger_adjustment", adjustment(escalation_id=other))
    again = adjustment(escalation_id=asked)
    assert refused_by(lambda: house.insert("ledger_adjustment", again)) == "adjustment_one_proposal_per_escalation"
    house.update("ledger_adjustment", {"id": first["id"]}, {"status": "withdrawn"})
    house.insert("ledger_adjustment", again)
