"""Money goes to a payee by his handle, and out to a beneficiary that is kept."""

from functools import partial
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.settings import api_settings

from accounts.models import Account, Beneficiary
from accounts.services.beneficiaries import add_beneficiary, remove_beneficiary
from accounts.services.handles import claim_handle, give_up_handle
from ledger.models import Transaction
from tests.compliance.people import at_once
from tests.ledger.flows import IBAN
from tests.support.factories import actor_of, api_client, keyed, make_account, make_customer, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("both_ways")]


@pytest.fixture
def payer() -> Account:
    return make_account(funded=100_00)


@pytest.fixture
def payee() -> Account:
    """The first of two accounts in euros of somebody called `ada`."""
    customer = make_customer()
    first = make_account(customer)
    make_account(customer)
    claim_handle(actor=actor_of(customer), handle="ada", now=timezone.now())
    return first


@pytest.fixture
def kept(payer: Account) -> Beneficiary:
    assert payer.customer is not None
    return add_beneficiary(
        actor=actor_of(payer.customer), iban=IBAN, holder="Ada Lovelace", key="kept", request_hash=bytes(32)
    ).beneficiary


def transfer(payer: Account, destination: Any, *, key: dict[str, str] | None = None, **changes: Any) -> Any:
    body = {"source": str(payer.id), "destination": destination, "amount": 1_00, "currency": "EUR", **changes}
    return api_client(payer.customer).post("/api/v1/transfers", body, headers=key or keyed())


def withdraw(payer: Account, beneficiary: Any, *, key: dict[str, str] | None = None) -> Any:
    body = {"account": str(payer.id), "beneficiary": beneficiary, "amount": 1_00, "currency": "EUR"}
    return api_client(payer.customer).post("/api/v1/withdrawals", body, headers=key or keyed())


@pytest.mark.parametrize("written", ["ada", "@ada", "@ADA"])
def test_a_transfer_to_a_handle_goes_to_the_payees_oldest_account(payer: Account, payee: Account, written: str) -> None:
    answer = transfer(payer, written)
    assert (answer.status_code, answer.json()["destination"]) == (202, str(payee.id))


def test_a_handle_and_a_kept_beneficiary_cost_one_query_each(
    payer: Account, payee: Account, kept: Beneficiary, django_assert_num_queries: Any
) -> None:
    transfer(payer, str(payee.id))
    with CaptureQueriesContext(connection) as plain:
        transfer(payer, str(payee.id))
    with django_assert_num_queries(len(plain) + 1):
        assert transfer(payer, "ada").status_code == 202
    with CaptureQueriesContext(connection) as plain:
        withdraw(payer, {"name": "Ada", "iban": IBAN})
    with django_assert_num_queries(len(plain) + 1):
        assert withdraw(payer, str(kept.id)).status_code == 202


def test_twenty_transfers_to_a_handle_that_is_given_up_at_the_same_time_reach_its_holder_or_nobody(
    payer: Account, payee: Account
) -> None:
    holder = payee.customer
    assert holder is not None
    client = api_client(payer.customer)
    body = {"source": str(payer.id), "destination": "ada", "amount": 1_00, "currency": "EUR"}
    answers = at_once(
        *[partial(client.post, "/api/v1/transfers", body, headers=keyed()) for _ in range(20)],
        partial(give_up_handle, actor=actor_of(holder)),
    )[:20]
    assert {answer.status_code for answer in answers} <= {202, 404}
    made = [answer.json() for answer in answers if answer.status_code == 202]
    assert {row["destination"] for row in made} <= {str(payee.id)}
    assert Transaction.objects.filter(kind="transfer", debit_account=payer).count() == len(made)


def test_a_hold_and_a_group_may_name_handles_too(payer: Account, payee: Account) -> None:
    assert transfer(payer, "ada", capture="manual").json()["destination"] == str(payee.id)
    part = {"source": str(payer.id), "amount": 1_00, "currency": "EUR"}
    parts = [{**part, "destination": "@ada"}, {**part, "destination": str(payee.id)}]
    answer = api_client(payer.customer).post("/api/v1/groups", {"transfers": parts}, headers=keyed())
    assert answer.status_code == 202
    assert [row["destination"] for row in answer.json()["transactions"]] == [str(payee.id)] * 2
    parts[1] = {**part, "destination": "nobody1"}
    refused = api_client(payer.customer).post("/api/v1/groups", {"transfers": parts}, headers=keyed())
    assert (refused.status_code, refused.json()["code"], refused.json()["transfer"]) == (404, "payee_not_found", 1)


def test_a_handle_that_nobody_can_be_paid_by_leaves_the_key_free(payer: Account, payee: Account) -> None:
    key = keyed()
    for destination, currency in (("nobody1", "EUR"), ("ada", "USD")):
        refused = transfer(payer, destination, currency=currency, key=key)
        assert (refused.status_code, refused.json()["code"]) == (404, "payee_not_found")
    assert transfer(payer, "ada", key=key).status_code == 202


def test_a_transfer_is_answered_as_before_after_the_handle_was_given_up(payer: Account, payee: Account) -> None:
    key = keyed()
    made = transfer(payer, "@ada", key=key)
    assert payee.customer is not None
    give_up_handle(actor=actor_of(payee.customer))
    again = transfer(payer, "Ada", key=key)
    assert (again.status_code, again["Idempotent-Replayed"], again.json()["id"]) == (202, "true", made.json()["id"])
    reused = transfer(payer, "ada", key=key, amount=2_00)
    assert (reused.status_code, reused.json()["code"]) == (422, "idempotency_key_reused")
    assert transfer(payer, "ada").json()["code"] == "payee_not_found"
    assert Transaction.objects.filter(kind="transfer", debit_account=payer).count() == 1


def test_sending_to_ones_own_handle_from_the_account_it_leads_to_is_refused(payer: Account) -> None:
    assert payer.customer is not None
    claim_handle(actor=actor_of(payer.customer), handle="myself", now=timezone.now())
    answer = transfer(payer, "myself")
    assert (answer.status_code, answer.json()["code"]) == (422, "same_account")


@pytest.mark.parametrize("destination", ["a", "", "@@ada", "ada-l", 1, None, ["ada"], {"handle": "ada"}, "x" * 500])
def test_what_is_neither_an_account_nor_a_handle_is_refused(payer: Account, destination: Any) -> None:
    answer = transfer(payer, destination)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "destination")


def test_transfers_to_handles_count_as_questions_about_them(
    payer: Account, payee: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or whoever may not ask for more payees could try handles out by sending to them."""
    monkeypatch.setitem(api_settings.DEFAULT_THROTTLE_RATES, "payees", "2/hour")
    assert [transfer(payer, handle).status_code for handle in ("ada", "nobody1")] == [202, 404]
    for handle in ("ada", "nobody1"):
        slowed = transfer(payer, handle)
        assert (slowed.status_code, slowed.json()["code"]) == (429, "too_many_requests")
        assert 0 < int(slowed["Retry-After"]) <= 3600
    assert api_client(payer.customer).get("/api/v1/payees/ada").status_code == 429
    assert transfer(payer, str(payee.id)).status_code == 202


def test_staff_learn_nothing_of_handles(payer: Account, payee: Account) -> None:
    body = {"source": str(payer.id), "destination": "nobody1", "amount": 1, "currency": "EUR"}
    answer = api_client(make_user(is_staff=True)).post("/api/v1/transfers", body, headers=keyed())
    assert (answer.status_code, answer.json()["code"]) == (403, "not_a_customer")


def test_a_withdrawal_to_a_kept_beneficiary_keeps_what_it_went_by(payer: Account, kept: Beneficiary) -> None:
    answer = withdraw(payer, str(kept.id))
    assert answer.status_code == 202
    made = Transaction.objects.get(id=answer.json()["id"])
    assert made.beneficiary == {"id": str(kept.id), "name": "Ada Lovelace", "iban": IBAN}


def test_a_withdrawal_may_spell_the_bank_account_out(payer: Account) -> None:
    answer = withdraw(payer, {"name": "Ada Lovelace", "iban": "de89 3704 0044 0532 0130 00"})
    assert answer.status_code == 202
    made = Transaction.objects.get(id=answer.json()["id"])
    assert made.beneficiary == {"name": "Ada Lovelace", "iban": IBAN}


@pytest.mark.parametrize(
    ("beneficiary", "field"),
    [
        ("ada", "beneficiary"),
        (None, "beneficiary"),
        ([], "beneficiary"),
        ({}, "beneficiary.name"),
        ({"name": "Ada", "iban": "DE88370400440532013000"}, "beneficiary.iban"),
        ({"name": "Ada", "iban": IBAN, "id": "01980000-0000-7000-8000-000000000001"}, "beneficiary.id"),
    ],
)
def test_a_beneficiary_that_is_not_understood_is_refused(payer: Account, beneficiary: Any, field: str) -> None:
    answer = withdraw(payer, beneficiary)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, field)


def test_only_ones_own_kept_beneficiaries_can_be_paid(payer: Account, kept: Beneficiary) -> None:
    key, other = keyed(), make_account(funded=100_00)
    refused = withdraw(other, str(kept.id), key=key)
    assert (refused.status_code, refused.json()["code"]) == (404, "beneficiary_not_found")
    assert payer.customer is not None
    remove_beneficiary(actor=actor_of(payer.customer), beneficiary_id=kept.id)
    assert withdraw(payer, str(kept.id)).json()["code"] == "beneficiary_not_found"
    assert withdraw(other, {"name": "Ada", "iban": IBAN}, key=key).status_code == 202, "the key is free"


def test_a_withdrawal_is_answered_as_before_after_its_beneficiary_was_removed(
    payer: Account, kept: Beneficiary
) -> None:
    key = keyed()
    made = withdraw(payer, str(kept.id), key=key)
    assert payer.customer is not None
    remove_beneficiary(actor=actor_of(payer.customer), beneficiary_id=kept.id)
    again = withdraw(payer, str(kept.id), key=key)
    assert (again.status_code, again["Idempotent-Replayed"], again.json()["id"]) == (202, "true", made.json()["id"])
    assert Transaction.objects.get(id=made.json()["id"]).beneficiary["id"] == str(kept.id)
    assert Transaction.objects.filter(kind="withdrawal", debit_account=payer).count() == 1
