"""What payments cost: the rules, the quotes, and the fee as a leg of the payment."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import Account
from ledger.fees import FeeBand, check_fees, fee_in, fee_of
from ledger.models import Transaction
from ledger.selectors import TransactionView
from ledger.services import payments
from tests.ledger import flows
from tests.ledger.test_races import at_once
from tests.support.factories import api_client, keyed, make_account, make_user
from tests.support.pipeline import run_until, run_until_idle, verify
from wallet_project.sandbox.embedding import RunningSandbox
from wallet_project.utils.money import MAX_AMOUNT, Money

pytestmark = pytest.mark.django_db

BANDS = [{"from": 1, "flat": 10}, {"from": 100_000, "basis_points": 25, "min": 300, "max": 2_500}]


def band(**said: int) -> FeeBand:
    return FeeBand(**{"start": 1, "flat": 0, "basis_points": 0, "least": 0, "most": MAX_AMOUNT, **said})


@pytest.mark.parametrize(
    ("amount", "fee"),
    [(1, 10), (99_999, 10), (100_000, 300), (120_000, 300), (120_200, 301), (999_800, 2_500), (MAX_AMOUNT, 2_500)],
)
def test_the_highest_band_that_the_amount_reaches_says_the_fee(amount: int, fee: int, settings: Any) -> None:
    settings.FEES = {"transfer": {"EUR": BANDS}}
    check_fees()
    assert fee_of("transfer", Money(amount, "EUR")) == fee
    settings.FEES = {"transfer": {"EUR": BANDS[::-1]}}
    assert fee_of("transfer", Money(amount, "EUR")) == fee


def test_what_is_not_named_costs_nothing(settings: Any) -> None:
    settings.FEES = {"transfer": {"EUR": [{"from": 500, "flat": 10}]}}
    assert fee_of("transfer", Money(499, "EUR")) == 0
    assert fee_of("transfer", Money(500, "EUR")) == 10
    assert fee_of("transfer", Money(500, "USD")) == 0
    assert fee_of("withdrawal", Money(500, "EUR")) == 0


@pytest.mark.parametrize(("amount", "fee"), [(49, 0), (50, 1), (149, 1), (150, 2), (10_000, 100)])
def test_a_half_of_a_cent_is_rounded_up(amount: int, fee: int) -> None:
    assert band(basis_points=100).fee(amount) == fee


def test_the_flat_part_and_the_share_are_added_before_the_bounds() -> None:
    assert band(flat=30, basis_points=50, least=40, most=100).fee(1_000) == 40
    assert band(flat=30, basis_points=50, least=40, most=100).fee(4_000) == 50
    assert band(flat=30, basis_points=50, least=40, most=100).fee(100_000) == 100


@given(
    st.lists(st.integers(1, MAX_AMOUNT), max_size=4, unique=True),
    st.integers(1, MAX_AMOUNT),
    st.integers(0, MAX_AMOUNT),
    st.integers(0, 10_000),
)
def test_a_fee_is_always_an_amount_that_the_ledger_takes(
    starts: list[int], amount: int, flat: int, basis_points: int
) -> None:
    bands = [band(start=start, flat=flat, basis_points=basis_points) for start in starts]
    fee = fee_in(bands, amount)
    assert 0 <= fee <= MAX_AMOUNT
    assert (fee == 0) or any(start <= amount for start in starts)


FEES = {"transfer": {"EUR": [{"flat": 10, "basis_points": 100}]}, "withdrawal": {"EUR": [{"flat": 50}]}}


@pytest.fixture
def charged(settings: Any) -> None:
    settings.FEES = FEES


def fees_earned() -> int:
    return Account.objects.get(purpose="fees", currency="EUR").cleared


def body_of(source: Account, destination: Account, amount: int = 2_000, **more: Any) -> dict[str, Any]:
    return {
        "source": str(source.id),
        "destination": str(destination.id),
        "amount": amount,
        "currency": "EUR",
        **more,
    }


def post(account: Account, path: str, body: Any, **headers: str) -> Any:
    return api_client(account.customer).post(f"/api/v1/{path}", body, format="json", headers=headers or keyed())


def refusal(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_a_quote_says_what_a_payment_would_cost_and_does_nothing(
    charged: None, django_assert_num_queries: Callable[..., Any]
) -> None:
    client = api_client(make_account(funded=10_000).customer)
    client.get("/api/v1/accounts")
    before = Transaction.objects.count()
    with django_assert_num_queries(0):
        answer = client.post("/api/v1/quotes", {"kind": "transfer", "amount": 2_050, "currency": "EUR"}, format="json")
    assert (answer.status_code, answer.json()) == (200, {"amount": 2_050, "fee": 31, "total": 2_081, "currency": "EUR"})
    for body, fee in (
        ({"kind": "withdrawal", "amount": 1, "currency": "EUR"}, 50),
        ({"kind": "transfer", "amount": 2_000, "currency": "USD"}, 0),
    ):
        assert client.post("/api/v1/quotes", body, format="json").json()["fee"] == fee
    assert Transaction.objects.count() == before


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "deposit"},
        {"kind": "fee"},
        {"kind": None},
        {"amount": 0},
        {"amount": "1"},
        {"currency": "XXX"},
        {"fee": 1},
    ],
)
def test_a_quote_that_is_not_understood_is_refused(changes: dict[str, Any]) -> None:
    body = {"kind": "transfer", "amount": 2_000, "currency": "EUR", **changes}
    answer = post(make_account(), "quotes", body)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_input")


def test_staff_and_strangers_get_no_quote() -> None:
    body = {"kind": "transfer", "amount": 2_000, "currency": "EUR"}
    assert api_client().post("/api/v1/quotes", body, format="json").status_code == 401
    staff = api_client(make_user(is_staff=True))
    assert refusal(staff.post("/api/v1/quotes", body, format="json")) == (403, "not_a_customer")


def test_a_fee_is_a_leg_of_the_payment_and_clears_with_it(charged: None) -> None:
    source, destination = make_account(funded=10_000), make_account()
    made = post(source, "transfers", body_of(source, destination)).json()
    assert (made["amount"], made["fee"], made["kind"]) == (2_000, 30, "transfer")
    assert flows.balances(source) == (10_000, 7_970)
    client = api_client(source.customer)
    assert client.get(f"/api/v1/transactions/{made['id']}").json() == made
    group = client.get(f"/api/v1/groups/{made['group']}").json()
    assert [(row["kind"], row["amount"], row["destination"]) for row in group["transactions"]] == [
        ("transfer", 2_000, str(destination.id)), ("fee", 30, None),
    ]  # fmt: skip
    assert group["transactions"][1]["metadata"] == {"fee_of": made["id"]}
    before = fees_earned()
    run_until_idle()
    assert (flows.balances(source), flows.balances(destination)) == ((7_970, 7_970), (2_000, 2_000))
    assert fees_earned() == before + 30
    # What it cost is between the payer and the wallet.
    seen = api_client(destination.customer).get(f"/api/v1/transactions/{made['id']}").json()
    assert (seen["fee"], seen["group"], seen["amount"]) == (None, None, 2_000)
    fee_id = group["transactions"][1]["id"]
    assert api_client(destination.customer).get(f"/api/v1/transactions/{fee_id}").status_code == 404
    verify("--no-bank")


def test_the_fee_has_to_be_covered_too(charged: None) -> None:
    source, destination = make_account(funded=2_029), make_account()
    answer = post(source, "transfers", body_of(source, destination))
    assert refusal(answer) == (422, "insufficient_funds")
    assert Transaction.objects.get(id=answer.json()["transaction"]).kind == "transfer"
    assert flows.balances(source) == (2_029, 2_029)
    assert post(source, "transfers", body_of(source, destination, 1_900)).status_code == 202
    verify("--no-bank")


def test_a_withdrawal_and_its_fee_go_together(charged: None, sandbox: RunningSandbox) -> None:
    account = make_account()
    flows.fund_over_the_bank(account, 5_000, sandbox)
    before = fees_earned()
    made = flows.withdraw(account, 2_000, name="SBX-SETTLE")
    assert (made.fee, flows.balances(account)) == (50, (5_000, 2_950))
    flows.approve(made)
    run_until(flows.is_status(made, "cleared"), sandbox=sandbox)
    assert (flows.balances(account), fees_earned() - before) == ((2_950, 2_950), 50)
    assert sandbox.book.balance("EUR") == 3_000
    verify()


def test_a_withdrawal_that_the_bank_rejects_costs_nothing(charged: None, sandbox: RunningSandbox) -> None:
    account = make_account()
    flows.fund_over_the_bank(account, 5_000, sandbox)
    before = fees_earned()
    made = flows.withdraw(account, 2_000, name="SBX-REJECT")
    flows.approve(made)
    run_until(flows.is_status(made, "failed: bank_rejected"), sandbox=sandbox)
    assert (flows.balances(account), fees_earned() - before) == ((5_000, 5_000), 0)
    verify()


def test_what_was_quoted_is_charged_or_nothing_happens(charged: None, settings: Any) -> None:
    source, destination = make_account(funded=10_000), make_account()
    key = keyed()
    answer = post(source, "transfers", body_of(source, destination, fee=29), **key)
    assert refusal(answer) == (422, "fee_changed")
    assert (answer.json()["fee"], answer.json()["currency"]) == (30, "EUR")
    assert not Transaction.objects.filter(initiator__user__customer=source.customer).exists()
    agreed = body_of(source, destination, fee=30)
    assert post(source, "transfers", agreed, **key).status_code == 202
    settings.FEES = {}
    # What it cost is on record: the same request again is no new agreement.
    again = post(source, "transfers", agreed, **key)
    assert (again.status_code, again["Idempotent-Replayed"], again.json()["fee"]) == (202, "true", 30)
    assert refusal(post(source, "transfers", agreed)) == (422, "fee_changed")
    assert post(source, "transfers", body_of(source, destination, fee=0)).status_code == 202
    for fee in (-1, "30", 30.0, True, None):
        assert post(source, "transfers", body_of(source, destination, fee=fee)).status_code == 400


def test_a_request_without_a_quote_is_charged_as_things_are_now(charged: None, settings: Any) -> None:
    source, destination = make_account(funded=10_000), make_account()
    key, body = keyed(), body_of(source, destination)
    assert post(source, "transfers", body, **key).json()["fee"] == 30
    settings.FEES = {"transfer": {"EUR": [{"flat": 500}]}}
    assert post(source, "transfers", body, **key).json()["fee"] == 30
    assert post(source, "transfers", body).json()["fee"] == 500


def test_in_a_group_each_transfer_has_its_fee(charged: None) -> None:
    source, destination = make_account(funded=10_000), make_account()
    parts = [body_of(source, destination, 1_000, fee=20), body_of(source, destination, 2_000)]
    made = post(source, "groups", {"transfers": parts}).json()
    assert [(row["kind"], row["amount"], row["fee"]) for row in made["transactions"]] == [
        ("transfer", 1_000, 20), ("transfer", 2_000, 30), ("fee", 20, None), ("fee", 30, None),
    ]  # fmt: skip
    assert flows.balances(source) == (10_000, 6_950)
    assert api_client(source.customer).get(f"/api/v1/groups/{made['id']}").json() == made
    parts[1]["fee"] = 29
    refused = post(source, "groups", {"transfers": parts})
    assert (*refusal(refused), refused.json()["fee"], refused.json()["transfer"]) == (422, "fee_changed", 30, 1)
    run_until_idle()
    assert (flows.balances(source), flows.balances(destination)) == ((6_950, 6_950), (3_000, 3_000))
    verify("--no-bank")


def test_cancelling_a_payment_cancels_its_fee(charged: None) -> None:
    source, destination = make_account(funded=10_000), make_account()
    made = flows.transfer(source, destination, 2_000)
    assert payments.cancel(actor=flows.owner(source), transaction_id=made.id).failure == "cancelled"
    assert set(Transaction.objects.filter(group_id=made.group).values_list("failure", flat=True)) == {"cancelled"}
    assert flows.balances(source) == (10_000, 10_000)
    verify("--no-bank")


def test_a_payment_with_a_fee_asks_the_database_once(
    charged: None, django_assert_num_queries: Callable[..., Any]
) -> None:
    source, destination = make_account(funded=10_000), make_account()
    client = api_client(source.customer)
    money = {"account": str(source.id), "amount": 100, "currency": "EUR"}
    money["beneficiary"] = {"name": "Ada", "iban": flows.IBAN}
    client.post("/api/v1/transfers", body_of(source, destination), format="json", headers=keyed())
    client.post("/api/v1/withdrawals", money, format="json", headers=keyed())
    with django_assert_num_queries(1):
        body = body_of(source, destination, fee=30)
        assert client.post("/api/v1/transfers", body, format="json", headers=keyed()).status_code == 202
    with django_assert_num_queries(1):
        assert client.post("/api/v1/withdrawals", money, format="json", headers=keyed()).status_code == 202


def test_payments_with_fees_at_once_spend_what_is_there_and_no_more(charged: None) -> None:
    source, destination = make_account(funded=2_000), make_account()
    results = at_once(*[lambda: flows.transfer(source, destination, 500) for _ in range(20)])
    assert sum(isinstance(result, TransactionView) for result in results) == 3
    assert {result.code for result in results if isinstance(result, Exception)} == {"insufficient_funds"}
    run_until_idle()
    assert flows.balances(source) == (2_000 - 3 * 515, 2_000 - 3 * 515)
    verify("--no-bank")


@pytest.mark.parametrize("purpose", ["fees", "settlement", "suspense", "loss"])
def test_nobody_sends_money_to_the_wallet_itself(purpose: str) -> None:
    source = make_account(funded=1_000)
    wallets = Account.objects.get(purpose=purpose, currency="EUR")
    answer = post(source, "transfers", body_of(source, wallets, 100))
    assert (*refusal(answer), answer.json()["side"]) == (404, "account_not_found", "credit")
