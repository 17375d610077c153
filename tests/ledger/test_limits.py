"""Limits as customers and staff meet them: who sets them, what counts, what is given back, and many at once."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from accounts.models import Account
from accounts.selectors import AccountNotFound, CustomerNotFound
from accounts.staff import AboutYourself, PermissionMissing, ReasonRequired
from ledger.models import Escalation, Limit, LimitChange, Transaction, Usage
from ledger.selectors.limits import LimitView, limits_of
from ledger.services import holds, limits, payments
from ledger.services.clearing import clear_due
from ledger.states import LimitDirection
from tests.compliance.people import at_once, staff, user_of
from tests.ledger import flows
from tests.ledger.test_suspense import agree, assign, in_suspense
from tests.support.factories import make_account, make_customer
from tests.support.pipeline import run_until, verify
from wallet_project.sandbox.embedding import RunningSandbox
from wallet_project.utils.context import Actor

pytestmark = pytest.mark.django_db

OUT, IN = LimitDirection.OUT, LimitDirection.IN


def limit_account(account: Account, direction: LimitDirection = OUT, *, actor: Actor | None = None, **per: int) -> None:
    limits.set_account_limit(
        actor=actor or staff(),
        account_id=account.id,
        direction=direction,
        per_transaction=per.get("per_transaction"),
        per_day=per.get("per_day"),
        per_30_days=per.get("per_30_days"),
        reason="agreed by telephone",
    )


def limit_customer(account: Account, direction: LimitDirection = OUT, *, currency: str = "EUR", **per: int) -> None:
    assert account.customer_id is not None
    limits.set_customer_limit(
        actor=staff(),
        customer_id=account.customer_id,
        currency=currency,
        direction=direction,
        per_transaction=per.get("per_transaction"),
        per_day=per.get("per_day"),
        per_30_days=per.get("per_30_days"),
        reason="agreed by telephone",
    )


def shown(owner: Any) -> LimitView:
    (found,) = limits_of([owner])
    return found


def used(account: Account) -> int:
    return shown(account.id).used_today


def is_refused(call: Callable[[], Any]) -> bool:
    try:
        call()
    except payments.LimitExceeded:
        return True
    return False


# --- Outgoing -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("per", ["per_transaction", "per_day", "per_30_days"])
@pytest.mark.parametrize("scope", [limit_account, limit_customer])
def test_what_goes_beyond_a_limit_is_refused_at_once_and_on_record(per: str, scope: Any) -> None:
    source, destination = make_account(funded=10_000), make_account()
    scope(source, **{per: 1_000})
    assert is_refused(lambda: flows.transfer(source, destination, 1_001))
    flows.transfer(source, destination, 1_000)
    assert is_refused(lambda: flows.transfer(source, destination, 1)) == (per != "per_transaction")
    assert Transaction.objects.filter(failure="limit_exceeded").exists()
    assert flows.balances(source) == (10_000, 9_000 if per != "per_transaction" else 8_999)
    verify("--no-bank")


def cancelled(source: Account, destination: Account) -> None:
    made = flows.transfer(source, destination, 1_000)
    payments.cancel(actor=flows.owner(source), transaction_id=made.id)


def voided(source: Account, destination: Account) -> None:
    made = flows.transfer(source, destination, 1_000, expires_in=3_600)
    flows.approve(made)
    holds.void(actor=flows.owner(destination), transaction_id=made.id)


def to_a_closed_account(source: Account, destination: Account) -> None:
    from tests.ledger.test_escalations import close_by_hand

    made = flows.transfer(source, destination, 1_000)
    flows.approve(made)
    close_by_hand(destination)
    clear_due()
    assert flows.status(made) == "failed: account_closed"


def beyond_the_receiver_s_limit(source: Account, destination: Account) -> None:
    limit_account(destination, IN, per_transaction=10)
    made = flows.transfer(source, destination, 1_000)
    flows.approve(made)
    clear_due()
    assert flows.status(made) == "failed: receiver_limit"


@pytest.mark.parametrize("ends", [cancelled, voided, to_a_closed_account, beyond_the_receiver_s_limit])
@pytest.mark.parametrize("scope", [limit_account, limit_customer])
def test_what_does_not_leave_after_all_is_given_back(ends: Any, scope: Any) -> None:
    source, destination = make_account(funded=1_000), make_account()
    scope(source, per_day=1_000)
    ends(source, destination)
    owner = source.id if scope is limit_account else source.customer_id
    assert (shown(owner).used_today, shown(owner).used_in_30_days) == (0, 0)
    flows.transfer(source, make_account(), 1_000)
    assert shown(owner).used_today == 1_000
    verify("--no-bank")


def test_the_rest_of_a_partly_captured_hold_is_given_back() -> None:
    source, destination = make_account(funded=1_000), make_account()
    limit_account(source, per_day=1_000)
    made = flows.transfer(source, destination, 1_000, expires_in=3_600)
    flows.approve(made)
    assert used(source) == 1_000
    holds.capture(actor=flows.owner(destination), transaction_id=made.id, amount=400, key=None, request_hash=bytes(32))
    assert used(source) == 400
    flows.transfer(source, destination, 600)
    flows.settle_everything()
    assert used(source) == 1_000
    verify("--no-bank")


def test_an_expired_hold_gives_back_what_it_counted() -> None:
    source, destination = make_account(funded=1_000), make_account()
    limit_account(source, per_day=1_000)
    made = flows.transfer(source, destination, 1_000, expires_in=1)
    flows.approve(made)
    run_until(flows.is_status(made, "failed: expired"), ledger_only=True)
    assert used(source) == 0
    verify("--no-bank")


def test_a_withdrawal_that_the_bank_rejects_is_given_back(sandbox: RunningSandbox) -> None:
    account = make_account()
    flows.fund_over_the_bank(account, 5_000, sandbox)
    limit_account(account, per_day=2_000)
    made = flows.withdraw(account, 2_000, name="SBX-REJECT")
    assert used(account) == 2_000
    flows.approve(made)
    run_until(flows.is_status(made, "failed: bank_rejected"), sandbox=sandbox, ledger_only=True)
    assert used(account) == 0
    verify()


def test_twenty_payments_at_once_stay_within_the_limit() -> None:
    source, destination = make_account(funded=100_000), make_account()
    limit_account(source, per_day=1_000)
    results = at_once(*[lambda: flows.transfer(source, destination, 100)] * 20)
    assert sum(not isinstance(result, Exception) for result in results) == 10
    assert {type(result) for result in results if isinstance(result, Exception)} == {payments.LimitExceeded}
    assert used(source) == 1_000
    assert flows.balances(source) == (100_000, 99_000)
    verify("--no-bank")


def test_two_accounts_of_one_customer_at_once_stay_within_his_limit() -> None:
    customer, destination = make_customer(), make_account()
    one, two = make_account(customer, funded=50_000), make_account(customer, funded=50_000)
    limit_customer(one, per_30_days=1_000)
    results = at_once(*[lambda a=account: flows.transfer(a, destination, 100) for account in [one, two] * 10])
    assert sum(not isinstance(result, Exception) for result in results) == 10
    assert {type(result) for result in results if isinstance(result, Exception)} == {payments.LimitExceeded}
    assert shown(customer.id).used_in_30_days == 1_000
    verify("--no-bank")


def test_opposing_payments_of_two_limited_customers_never_deadlock() -> None:
    one, two = make_account(funded=50_000), make_account(funded=50_000)
    for account in (one, two):
        limit_customer(account, per_day=30_000)
        limit_customer(account, IN, per_day=30_000)

    def send(source: Account, destination: Account) -> None:
        for _ in range(10):
            flows.transfer(source, destination, 7)

    def clear() -> None:
        for _ in range(10):
            flows.settle_everything()

    results = at_once(lambda: send(one, two), lambda: send(two, one), clear, clear)
    assert [result for result in results if isinstance(result, Exception)] == []
    verify("--no-bank")


def test_what_a_customer_moves_between_his_own_accounts_counts_for_the_account_alone() -> None:
    customer = make_customer()
    one, two = make_account(customer, funded=5_000), make_account(customer)
    limit_customer(one, per_day=1_000)
    limit_account(one, per_day=2_000)
    flows.transfer(one, two, 2_000)
    assert (used(one), shown(customer.id).used_today) == (2_000, 0)
    assert is_refused(lambda: flows.transfer(one, two, 1))


# --- Incoming -------------------------------------------------------------------------------------------------------


def test_of_several_credits_in_one_batch_those_clear_that_fit() -> None:
    receiver = make_account()
    limit_account(receiver, IN, per_day=250)
    payers = [make_account(funded=100) for _ in range(4)]
    made = [flows.transfer(payer, receiver, 100) for payer in payers]
    flows.approve(*made)
    assert clear_due() == 4
    assert sorted(flows.status(view) for view in made) == ["cleared"] * 2 + ["failed: receiver_limit"] * 2
    assert (flows.balances(receiver), used(receiver)) == ((200, 200), 200)
    assert sum(flows.balances(payer)[1] for payer in payers) == 200
    verify("--no-bank")


def test_batches_at_once_stay_within_what_a_receiver_may_take() -> None:
    receiver = make_account()
    limit_customer(receiver, IN, per_day=1_000)
    made = [flows.transfer(make_account(funded=100), receiver, 100) for _ in range(15)]
    flows.approve(*made)
    results = at_once(*[lambda: sum(clear_due(limit=2) for _ in range(8))] * 3)
    assert [result for result in results if isinstance(result, Exception)] == []
    flows.settle_everything()
    assert sum(flows.status(view) == "cleared" for view in made) == 10
    assert flows.balances(receiver) == (1_000, 1_000)
    verify("--no-bank")


def test_a_deposit_beyond_the_limit_goes_to_suspense_and_to_a_human(sandbox: RunningSandbox) -> None:
    account = make_account()
    limit_account(account, IN, per_transaction=2_000)
    made = flows.deposit(account, 3_000, reference="SBX-SETTLE")
    flows.approve(made)
    run_until(flows.is_status(made, "failed: receiver_limit"), sandbox=sandbox, ledger_only=True)
    assert (flows.balances(account), in_suspense()) == ((0, 0), 3_000)
    escalation = Escalation.objects.get()
    assert (escalation.kind, "may take" in escalation.details["why"]) == ("unmatched_money", True)
    verify()
    # Two people may let it in all the same: what staff move is limited by the two of them.
    agree(assign(escalation, account))
    assert (flows.balances(account), in_suspense()) == ((3_000, 3_000), 0)
    verify()


def test_receivers_and_payers_without_a_limit_are_not_counted() -> None:
    """A counter of a shop that everybody pays would be a row that everybody waits for."""
    source, destination = make_account(funded=10_000), make_account()
    for _ in range(3):
        flows.approve(flows.transfer(source, destination, 100))
    clear_due()
    assert not Usage.objects.exists()
    limit_account(source, per_day=1_000)
    flows.approve(flows.transfer(source, destination, 100))
    clear_due()
    assert set(Usage.objects.values_list("owner_id", "direction", "amount")) == {(source.id, "out", 400)}


# --- Who sets them --------------------------------------------------------------------------------------------------


def test_a_limit_is_set_with_a_reason_that_stays_and_removed_again() -> None:
    account, officer = make_account(funded=1_000), staff()
    limit_account(account, actor=officer, per_day=500, per_transaction=100)
    row = shown(account.id)
    assert (row.per_transaction, row.per_day, row.per_30_days, row.scope) == (100, 500, None, "account")
    limit_account(account, actor=officer)
    assert limits_of([account.id]) == []
    changes = LimitChange.objects.filter(owner_id=account.id).order_by("id")
    assert [(change.per_day, change.actor_id, change.reason) for change in changes] == [
        (500, officer.principal_id, "agreed by telephone"),
        (None, officer.principal_id, "agreed by telephone"),
    ]
    flows.transfer(account, make_account(), 1_000)


def test_only_who_may_sets_a_limit_and_never_his_own() -> None:
    account = make_account()
    for actor in (staff("Auditor"), staff("Administrator"), flows.owner(account)):
        with pytest.raises(PermissionMissing):
            limit_account(account, actor=actor, per_day=1)
    owner = flows.owner(account)
    user = user_of(owner)
    user.is_staff = True
    user.save()
    user.groups.add(*user_of(staff()).groups.all())
    with pytest.raises(AboutYourself):
        limit_account(account, actor=owner, per_day=10**15)
    assert not Limit.objects.exists()
    assert not LimitChange.objects.exists()


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"per_day": -1}, limits.LimitInvalid),
        ({"per_day": 10**15 + 1}, limits.LimitInvalid),
        ({"currency": "XAU"}, limits.LimitInvalid),
        ({"reason": " "}, ReasonRequired),
        ({"customer_id": uuid4()}, CustomerNotFound),
    ],
)
def test_a_limit_that_is_none_is_refused(change: dict[str, Any], error: type[Exception]) -> None:
    values: dict[str, Any] = {
        "actor": staff(),
        "customer_id": make_customer().id,
        "currency": "EUR",
        "direction": OUT,
        "per_transaction": None,
        "per_day": 5,
        "per_30_days": None,
        "reason": "x",
    }
    with pytest.raises(error):
        limits.set_customer_limit(**(values | change))
    assert not Limit.objects.exists()


def test_the_wallet_s_own_accounts_have_no_limits() -> None:
    with pytest.raises(AccountNotFound):
        limit_account(Account.objects.get(purpose="fees", currency="EUR"), per_day=1)


def test_limits_of_many_owners_take_one_query(django_assert_num_queries: Any) -> None:
    customer = make_customer()
    accounts = [make_account(customer) for _ in range(3)]
    for account in accounts:
        limit_account(account, per_day=5)
    limit_customer(accounts[0], IN, per_day=6)
    with django_assert_num_queries(1):
        assert len(limits_of([customer.id, *[account.id for account in accounts]])) == 4
