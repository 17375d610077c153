"""Reversals, and money that staff move, written by hand: each is refused for the one thing that is wrong with it."""

from typing import Any

import psycopg
import pytest

from ledger.models import Transaction
from tests.ledger.test_wrong_rows import NOW, House, Row, adjustment, pending
from tests.support import money
from wallet_project.utils.context import system_actor

pytestmark = pytest.mark.django_db

WRONG_REVERSAL, TOO_MUCH, ALONE = "WL004", "WL005", "staff_money_has_two_people"


class Staff(House):
    """With a checker, the loss account, and what else a reversal could wrongly name."""

    def __init__(self, owner: psycopg.Connection) -> None:
        super().__init__(owner)
        self.initiator = money.actor_of(self.payee.customer).principal_id  # type: ignore[arg-type]
        self.checker = money.actor_of(self.payer.customer).principal_id  # type: ignore[arg-type]
        self.fees = money.system(purpose="fees").id
        self.loss = money.system(purpose="loss").id
        self.third = money.new_account(100)
        self.paid_in = Transaction.objects.get(kind="exchange", credit_account=self.payer).id
        refused = money.transfer(self.payer, self.payee, 10_000)
        self.failed = refused.transactions[0].id

    def approved(self, movement: Row, **changes: Any) -> None:
        """Two people agreed on this movement, or on one that differs from it by `changes`."""
        kept = ("debit_account_id", "credit_account_id", "amount", "currency", "reverses_id", "beneficiary")
        same = {name: movement[name] for name in kept if name in movement}
        made = adjustment(**same, **{k: v for k, v in changes.items() if k not in ("becomes", "posts", *same)})
        made |= {name: value for name, value in changes.items() if name in same}
        self._owner.execute("BEGIN")
        self.insert("ledger_adjustment", made)
        decided = {"checker_id": "@checker", "decided_at": NOW, "status": changes.get("becomes", "posted")}
        posts = {"transaction_id": changes.get("posts", movement["id"])} if decided["status"] == "posted" else {}
        self.update("ledger_adjustment", {"id": made["id"]}, decided | posts)

    def refusal_of(self, movement: Row) -> str:
        """What refuses it; empty when nothing does."""
        try:
            self.insert("ledger_transaction", movement)
        except psycopg.Error as error:
            return error.sqlstate if str(error.sqlstate).startswith("WL") else error.diag.constraint_name or ""
        finally:
            self._owner.execute("ROLLBACK")
        return ""


@pytest.fixture
def staff(db: None, owner_connection: psycopg.Connection) -> Staff:
    return Staff(owner_connection)


def reversal(**changes: Any) -> Row:
    """Its receiver gives back all of the cleared transfer."""
    return pending(
        **{
            "kind": "reversal",
            "debit_account_id": "@payee",
            "credit_account_id": "@payer",
            "amount": 100,
            "reverses_id": "@cleared",
            "initiator_id": "@initiator",
            **changes,
        }
    )


@pytest.mark.parametrize(
    ("movement", "refusal"),
    [
        (reversal(), ""),
        (reversal(amount=101), TOO_MUCH),
        (reversal(reverses_id="@pending", amount=50), WRONG_REVERSAL),
        (reversal(reverses_id="@failed", amount=5), WRONG_REVERSAL),
        (reversal(reverses_id="@paid_in", debit_account_id="@payer", credit_account_id="@settlement"), WRONG_REVERSAL),
        (reversal(credit_account_id="@third"), WRONG_REVERSAL),
        (reversal(debit_account_id="@third"), WRONG_REVERSAL),
        (reversal(debit_account_id="@fees"), WRONG_REVERSAL),
        (reversal(currency="USD"), WRONG_REVERSAL),
        (reversal(initiator_id="@checker"), ALONE),
        (reversal(debit_account_id="@loss"), ALONE),
    ],
)
def test_a_reversal_by_hand(staff: Staff, movement: Row, refusal: str) -> None:
    staff._owner.execute("BEGIN")
    assert staff.refusal_of(movement) == refusal


def test_what_was_given_back_and_what_is_about_to_be_is_no_longer_left(staff: Staff) -> None:
    staff.insert("ledger_transaction", reversal(amount=60))
    staff._owner.execute("BEGIN")
    assert staff.refusal_of(reversal(amount=41)) == TOO_MUCH
    staff._owner.execute("BEGIN")
    assert staff.refusal_of(reversal(amount=40)) == ""


def test_a_reversal_that_failed_leaves_all_to_be_reversed(staff: Staff) -> None:
    given = reversal(amount=60)
    staff.insert("ledger_transaction", given)
    failed = {"status": "failed", "failure": "cancelled", "failed_at": NOW}
    staff.update("ledger_transaction", {"id": given["id"]}, failed)
    staff._owner.execute("BEGIN")
    assert staff.refusal_of(reversal()) == ""


def correction(**changes: Any) -> Row:
    return pending(
        **{
            "kind": "adjustment",
            "debit_account_id": "@settlement",
            "credit_account_id": "@payee",
            "amount": 30,
            "initiator_id": system_actor().principal_id,
            **changes,
        }
    )


PAYOUT = {
    "kind": "withdrawal",
    "credit_account_id": "@settlement",
    "debit_account_id": "@fees",
    "beneficiary": {"name": "Ada", "iban": "DE89370400440532013000"},
}


@pytest.mark.parametrize(
    "movement",
    [
        correction(),
        correction(debit_account_id="@payee", credit_account_id="@settlement"),
        correction(**PAYOUT),
        reversal(initiator_id="@checker"),
        reversal(debit_account_id="@loss"),
    ],
)
def test_what_two_people_agreed_on_may_be_posted_and_by_nobody_alone(staff: Staff, movement: Row) -> None:
    staff._owner.execute("BEGIN")
    assert staff.refusal_of(movement) == ALONE
    staff.approved(movement)
    assert staff.refusal_of(movement) == ""


@pytest.mark.parametrize(
    "movement",
    [correction(credit_account_id="@fees"), correction(**{**PAYOUT, "debit_account_id": "@payee"})],
)
def test_the_wallets_own_books_and_a_customers_own_payout_need_no_second_person(staff: Staff, movement: Row) -> None:
    staff._owner.execute("BEGIN")
    assert staff.refusal_of(movement) == ""


@pytest.mark.parametrize(
    ("movement", "agreed"),
    [
        (correction(), {"debit_account_id": "@fees"}),
        (correction(), {"credit_account_id": "@payer"}),
        (correction(), {"amount": 29}),
        (correction(), {"currency": "USD"}),
        (correction(), {"reverses_id": "@cleared"}),
        (correction(), {"beneficiary": {"name": "Ada"}}),
        (correction(), {"posts": "@cleared"}),
        (correction(), {"becomes": "declined"}),
        (correction(**PAYOUT), {"beneficiary": {"name": "Ada", "iban": "another"}}),
        (correction(**PAYOUT), {"beneficiary": None}),
        (reversal(debit_account_id="@loss"), {"reverses_id": None}),
    ],
)
def test_what_two_people_agreed_on_is_posted_as_they_did(staff: Staff, movement: Row, agreed: Row) -> None:
    staff.approved(movement, **agreed)
    assert staff.refusal_of(movement) == ALONE
