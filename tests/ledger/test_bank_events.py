"""What a bank tells us: forged, twice, in the wrong order, about nothing we know, or about another amount."""

from datetime import timedelta
from random import Random
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Account
from ledger.models import Escalation, InboundEvent, RailTransfer, Transaction
from ledger.rails import configured_rail
from ledger.resolutions import possible_resolutions
from ledger.services import events, rails
from ledger.steps import StillInSuspense
from tests.ledger import flows
from tests.ledger.test_escalations import resolve
from tests.support.factories import forget_nudges, make_account
from tests.support.pipeline import deliver, hurry, run_until, verify
from wallet_project.sandbox.embedding import RunningSandbox
from wallet_project.utils.retry import MAX_TRIES
from wallet_project.utils.signatures import sign

pytestmark = pytest.mark.django_db


def suspense(currency: str = "EUR") -> int:
    return Account.objects.get(purpose="suspense", currency=currency).cleared


def tell(sandbox: RunningSandbox, kind: str, data: dict[str, Any], *, event_id: str = "", raw: bytes = b"") -> Any:
    """Sign a message as the bank would and post it."""
    import json

    body = raw or json.dumps({"type": kind, "data": data}).encode()
    headers = sign(
        secret=sandbox.config.bank_webhook_secret, message_id=event_id or uuid4().hex, body=body, at=timezone.now()
    )
    return Client().post("/webhooks/bank", data=body, content_type="application/json", headers=headers)


def process() -> int:
    return events.process_bank_events(rail=configured_rail(), now=timezone.now(), rng=Random(3))


def dispatched(reference: str = "SBX-MANUAL", amount: int = 4_000) -> tuple[Account, Any, RailTransfer]:
    """A deposit that the bank has and has not decided on."""
    account = make_account()
    made = flows.deposit(account, amount, reference=reference)
    flows.approve(made)
    rails.dispatch_rails(rail=configured_rail(), now=timezone.now(), rng=Random(3))
    return account, made, RailTransfer.objects.get(transaction=made.id)


def report(row: RailTransfer, status: str, **changes: Any) -> dict[str, Any]:
    asked = {"amount": row.transaction.amount, "currency": row.transaction.currency}
    return {"id": "pay_1", "reference": row.key, "status": status, "reason": None, **asked, **changes}


def test_a_callback_settles_what_was_asked(sandbox: RunningSandbox) -> None:
    account, made, row = dispatched()
    sandbox.bank.decide(row.key, "settled")
    assert deliver(sandbox) == [200]
    process()
    flows.settle_everything()
    assert flows.status(made) == "cleared"
    assert flows.balances(account) == (4_000, 4_000)
    verify()


def test_a_callback_rejects_what_was_asked(sandbox: RunningSandbox) -> None:
    _account, made, row = dispatched()
    sandbox.bank.decide(row.key, "rejected", "no funds")
    deliver(sandbox)
    process()
    assert flows.status(made) == "failed: bank_rejected"
    verify()


def test_a_message_that_comes_twice_is_stored_and_acted_on_once(sandbox: RunningSandbox) -> None:
    account, _made, row = dispatched()
    sandbox.bank.decide(row.key, "settled")
    assert deliver(sandbox) + deliver(sandbox) == [200, 200]
    assert InboundEvent.objects.count() == 1
    process()
    assert deliver(sandbox) == [200]
    assert process() == 0
    flows.settle_everything()
    assert flows.balances(account) == (4_000, 4_000)
    verify()


def test_the_same_news_under_two_ids_moves_the_money_once(sandbox: RunningSandbox) -> None:
    account, _made, row = dispatched()
    sandbox.bank.decide(row.key, "settled")
    tell(sandbox, "payment.settled", report(row, "settled"))
    deliver(sandbox)
    process()
    flows.settle_everything()
    assert flows.balances(account) == (4_000, 4_000)
    assert not Escalation.objects.exists()
    verify()


@pytest.mark.parametrize("fault", ["another secret", "another body", "no signature", "replayed an hour later"])
def test_a_forged_message_is_not_stored(sandbox: RunningSandbox, fault: str) -> None:
    account, _made, row = dispatched()
    sandbox.bank.decide(row.key, "settled")
    callback = sandbox.callbacks("bank")[0]
    headers, body = dict(callback.headers), callback.body
    match fault:
        case "another secret":
            headers = sign(
                secret=sandbox.config.identity_webhook_secret, message_id=callback.id, body=body, at=timezone.now()
            )
        case "another body":
            body = body.replace(b"4000", b"4001")
        case "no signature":
            del headers["webhook-signature"]
        case "replayed an hour later":
            long_ago = timezone.now() - timedelta(hours=1)
            secret = sandbox.config.bank_webhook_secret
            headers = sign(secret=secret, message_id=callback.id, body=body, at=long_ago)
    answer = Client().post("/webhooks/bank", data=body, content_type="application/json", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "bad_signature")
    assert not InboundEvent.objects.exists()
    process()
    assert flows.balances(account) == (0, 0)
    verify()
    deliver(sandbox)
    process()
    flows.settle_everything()
    assert flows.balances(account) == (4_000, 4_000)
    verify()


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"[]", 400),
        (b'{"type": "payment.settled"}', 400),
        (b'{"type": 1, "data": {}}', 400),
        (b'{"type": "a", "type": "b", "data": {}}', 400),
        (b'{"type": "x", "data": {"n": "\\u0000"}}', 400),
        (b"{" + b" " * 70_000 + b"}", 413),
    ],
)
def test_a_message_that_makes_no_sense_is_refused_clearly(sandbox: RunningSandbox, raw: bytes, status: int) -> None:
    answer = tell(sandbox, "", {}, raw=raw)
    assert answer.status_code == status
    assert answer["Content-Type"] == "application/problem+json"
    assert not InboundEvent.objects.exists()


def test_only_posts_are_taken(sandbox: RunningSandbox) -> None:
    assert Client().get("/webhooks/bank").status_code == 405


def test_rejected_and_then_settled_goes_to_suspense_and_never_flips(sandbox: RunningSandbox) -> None:
    account, made, row = dispatched()
    sandbox.bank.decide(row.key, "rejected", "no funds")
    deliver(sandbox)
    process()
    sandbox.bank.decide(row.key, "settled")
    deliver(sandbox)
    process()
    assert flows.status(made) == "failed: bank_rejected"
    assert flows.balances(account) == (0, 0)
    assert suspense() == 4_000
    assert Escalation.objects.get().kind == "unmatched_money"
    tell(sandbox, "payment.settled", report(row, "settled"))
    process()
    assert suspense() == 4_000
    verify()
    with pytest.raises(StillInSuspense):
        resolve(Escalation.objects.get(), "acknowledge")


def test_reordered_news_ends_where_the_bank_does(sandbox: RunningSandbox) -> None:
    """`rejected` arrives after the `settled` that followed it: what was settled stays, and a human is asked."""
    account, made, row = dispatched()
    sandbox.bank.decide(row.key, "rejected", "no funds")
    sandbox.bank.decide(row.key, "settled")
    rejected, settled = sandbox.callbacks("bank")
    for callback in (settled, rejected):
        Client().post("/webhooks/bank", data=callback.body, content_type="application/json", headers=callback.headers)
        process()
    flows.settle_everything()
    assert flows.status(made) == "cleared"
    assert flows.balances(account) == (4_000, 4_000)
    for _ in range(MAX_TRIES):
        hurry()
        process()
    assert Escalation.objects.get().kind == "event_failed"
    verify()


def test_news_that_comes_after_the_bank_was_asked_changes_nothing(sandbox: RunningSandbox) -> None:
    """Late: by the time of the callback the answer had been fetched, and the money posted."""
    account, made, row = dispatched()
    sandbox.bank.decide(row.key, "settled")
    hurry()
    flows.settle_everything()
    assert flows.status(made) == "cleared"
    assert deliver(sandbox) == [200]
    process()
    flows.settle_everything()
    assert (flows.balances(account), suspense()) == ((4_000, 4_000), 0)
    assert not Escalation.objects.exists()
    verify()


def test_a_withdrawal_rejected_and_then_settled_is_money_that_left(sandbox: RunningSandbox) -> None:
    account = make_account()
    flows.fund_over_the_bank(account, 5_000, sandbox)
    made = flows.withdraw(account, 2_000, name="SBX-MANUAL")
    flows.approve(made)
    rails.dispatch_rails(rail=configured_rail(), now=timezone.now(), rng=Random(3))
    row = RailTransfer.objects.get(transaction=made.id)
    for outcome in ("rejected", "settled"):
        sandbox.bank.decide(row.key, outcome)
        deliver(sandbox)
        process()
    assert flows.balances(account) == (5_000, 5_000)
    assert suspense() == -2_000
    assert Escalation.objects.get().kind == "unmatched_money"
    verify()


def test_a_deposit_settled_for_another_amount_fails_and_its_money_waits_in_suspense(sandbox: RunningSandbox) -> None:
    account = make_account()
    made = flows.deposit(account, 4_000, reference="SBX-SHORT")
    flows.approve(made)
    run_until(flows.is_status(made, "failed: bank_amount_differs"), sandbox=sandbox, ledger_only=True)
    assert flows.balances(account) == (0, 0)
    assert suspense() == 2_000
    escalation = Escalation.objects.get()
    assert (escalation.kind, escalation.subject_type, escalation.transaction_id) == (
        "unmatched_money",
        "transaction",
        made.id,
    )
    assert escalation.details == {
        "why": "the bank moved another amount than was asked for",
        "asked": {"amount": 4_000, "currency": "EUR"},
        "moved": {"amount": 2_000, "currency": "EUR"},
        "bank_reference": RailTransfer.objects.get().bank_reference,
        "suspense_item": str(Transaction.objects.exclude(id=made.id).get().id),
    }
    deliver(sandbox)
    process()
    assert suspense() == 2_000
    verify()


def test_a_withdrawal_settled_for_another_amount_waits_for_a_human(sandbox: RunningSandbox) -> None:
    account = make_account()
    flows.fund_over_the_bank(account, 5_000, sandbox)
    made = flows.withdraw(account, 2_000, name="SBX-SHORT")
    flows.approve(made)
    run_until(Escalation.objects.exists, sandbox=sandbox, ledger_only=True)
    assert flows.status(made) == "pending"
    assert flows.balances(account) == (5_000, 3_000)
    assert suspense() == -1_000
    verify()
    for action in ("fail", "retry", "acknowledge"):
        with pytest.raises(StillInSuspense):
            resolve(Escalation.objects.get(), action)
    assert possible_resolutions(Escalation.objects.get()) == ()


@pytest.mark.parametrize("word", ["settled", "rejected"])
def test_after_another_amount_the_bank_does_not_settle_or_reject_what_was_asked(
    sandbox: RunningSandbox, word: str
) -> None:
    """The money that moved is in suspense; believing both would book it twice, or give back what has gone."""
    account = make_account()
    flows.fund_over_the_bank(account, 5_000, sandbox)
    made = flows.withdraw(account, 2_000, name="SBX-SHORT")
    flows.approve(made)
    run_until(Escalation.objects.exists, sandbox=sandbox, ledger_only=True)
    tell(sandbox, f"payment.{word}", report(RailTransfer.objects.get(transaction=made.id), word))
    for _ in range(MAX_TRIES):
        hurry()
        process()
    flows.settle_everything()
    assert (flows.status(made), flows.balances(account), suspense()) == ("pending", (5_000, 3_000), -1_000)
    assert sorted(Escalation.objects.values_list("kind", flat=True)) == ["event_failed", "unmatched_money"]
    verify()


def test_after_it_has_settled_the_bank_does_not_settle_another_amount(sandbox: RunningSandbox) -> None:
    """What was asked for is booked; that another amount moved under the same key is for a human to find out."""
    account, made, row = dispatched()
    sandbox.bank.decide(row.key, "settled")
    deliver(sandbox)
    process()
    flows.settle_everything()
    tell(sandbox, "payment.settled", report(row, "settled", amount=3_000))
    process()
    told = InboundEvent.objects.latest("id")
    assert (told.attempts, told.processed_at) == (1, None)
    assert told.last_error.startswith("BankContradictsItself")
    for _ in range(MAX_TRIES):
        hurry()
        process()
    assert Escalation.objects.get().kind == "event_failed"
    assert (flows.status(made), flows.balances(account), suspense()) == ("cleared", (4_000, 4_000), 0)
    verify()


def test_another_currency_is_another_amount(sandbox: RunningSandbox) -> None:
    _account, made, row = dispatched()
    tell(sandbox, "payment.settled", report(row, "settled", currency="USD"))
    process()
    assert flows.status(made) == "failed: bank_amount_differs"
    assert (suspense("EUR"), suspense("USD")) == (0, 4_000)
    assert Escalation.objects.get().kind == "unmatched_money"
    verify("--no-bank")


def test_a_currency_that_the_wallet_does_not_keep_is_escalated_alone(sandbox: RunningSandbox) -> None:
    tell(sandbox, "credit.received", {"id": "crd_1", "amount": 100, "currency": "XAU", "reference": ""})
    process()
    escalation = Escalation.objects.get()
    assert (escalation.kind, escalation.subject_type) == ("unmatched_money", "bank_payment")
    assert "suspense_item" not in escalation.details
    assert not Transaction.objects.exists()
    verify()


def test_money_that_nobody_expected_goes_to_suspense_once(sandbox: RunningSandbox) -> None:
    sandbox.bank.credit({"amount": 777, "currency": "EUR", "reference": "invoice 12"})
    sandbox.bank.credit({"amount": 111, "currency": "EUR", "reference": "invoice 12"})
    assert deliver(sandbox) == [200, 200]
    process()
    assert suspense() == 888
    told = Escalation.objects.filter(kind="unmatched_money").values_list("details__why", flat=True)
    assert list(told) == ["money came in that nobody expected"] * 2
    deliver(sandbox)
    process()
    assert suspense() == 888
    verify()


def test_a_payment_that_we_never_asked_for_is_booked_as_the_banks_book_says(sandbox: RunningSandbox) -> None:
    from ledger.rails import RailOrder

    data = {"id": "p", "reference": "wallet-of-an-older-backup", "status": "settled", "amount": 900, "currency": "EUR"}
    tell(sandbox, "payment.settled", data)
    process()
    assert InboundEvent.objects.get().last_error.startswith("PaymentNotInBook")
    configured_rail().submit(
        RailOrder(
            reference="wallet-of-an-older-backup",
            direction="payout",
            amount=900,
            currency="EUR",
            beneficiary={"name": "SBX-SETTLE", "iban": flows.IBAN},
        )
    )
    hurry()
    process()
    told = InboundEvent.objects.get()
    assert (told.last_error, told.next_at, told.processed_at is None) == ("", None, False)
    assert suspense() == -900
    booked = Transaction.objects.get()
    assert Escalation.objects.get().details == {
        "why": "the bank settled a payment that we have not asked for",
        "direction": "out",
        "moved": {"amount": 900, "currency": "EUR"},
        "bank_reference": "p",
        "bank_key": "wallet-of-an-older-backup",
        "suspense_item": str(booked.id),
    }
    verify()


def test_of_money_that_came_in_unasked_whoever_the_bank_says_has_paid_it_is_told(sandbox: RunningSandbox) -> None:
    from ledger.rails import RailOrder

    order = RailOrder(reference="wallet-of-an-older-one", direction="collection", amount=50, currency="EUR")
    configured_rail().submit(order)
    sandbox.bank.decide(order.reference, "settled", "", {"name": "Ada Byron", "country": "DE"})
    deliver(sandbox)
    process()
    details = Escalation.objects.get().details
    assert (details["direction"], details["payer"]["name"], suspense()) == ("in", "Ada Byron", 50)
    verify()


def test_a_payment_that_nobody_knows_is_tried_again_and_then_given_to_a_human(sandbox: RunningSandbox) -> None:
    data = {"id": "p", "reference": "wallet-nothing", "status": "settled", "amount": 900, "currency": "EUR"}
    tell(sandbox, "payment.settled", data)
    for tries in range(1, MAX_TRIES + 1):
        assert process() == 1
        assert InboundEvent.objects.get().attempts == tries
        assert Escalation.objects.exists() == (tries == MAX_TRIES)
        hurry()
    assert process() == 0
    escalation = Escalation.objects.get()
    assert escalation.kind == "event_failed"
    assert suspense() == 0
    verify()
    resolve(escalation, "retry")
    assert process() == 1
    resolve_again = InboundEvent.objects.get()
    assert (resolve_again.attempts, resolve_again.processed_at) == (1, None)
    verify()


def test_an_event_given_up_can_be_acknowledged(sandbox: RunningSandbox) -> None:
    tell(
        sandbox, "payment.settled", {"id": "p", "reference": "r", "status": "settled", "amount": -1, "currency": "EUR"}
    )
    process()
    escalation = Escalation.objects.get()
    assert escalation.kind == "event_failed"
    verify()
    resolve(escalation, "acknowledge")
    assert InboundEvent.objects.get().processed_at is not None
    verify()


def test_one_bad_event_does_not_stop_the_others(sandbox: RunningSandbox) -> None:
    _account, made, row = dispatched()
    tell(sandbox, "credit.received", {"id": "", "amount": "a lot"})
    sandbox.bank.decide(row.key, "settled")
    deliver(sandbox)
    process()
    flows.settle_everything()
    assert flows.status(made) == "cleared"
    verify()


def test_a_kind_of_message_that_we_do_not_know_is_kept_and_passed_over(sandbox: RunningSandbox) -> None:
    assert tell(sandbox, "holiday.announced", {"on": "2026-12-25"}).status_code == 200
    process()
    event = InboundEvent.objects.get()
    assert (event.last_error, event.next_at) == ("unknown kind, nothing done", None)
    assert not Escalation.objects.exists()
    verify()


def test_a_full_batch_asks_for_another(sandbox: RunningSandbox, nudges: list[str]) -> None:
    for day in ("2026-12-25", "2026-12-26"):
        tell(sandbox, "holiday.announced", {"on": day})
    for limit, heard in (1, ["ledger.process_bank_events"]), (2, []):
        forget_nudges(nudges)
        assert events.process_bank_events(rail=None, now=timezone.now(), rng=Random(3), limit=limit) == 1
        assert nudges == heard


def test_an_event_that_another_worker_has_is_passed_over(sandbox: RunningSandbox, owner_dsn: str) -> None:
    for day in ("2026-12-25", "2026-12-26"):
        tell(sandbox, "holiday.announced", {"on": day})
    with psycopg.connect(owner_dsn) as another:
        another.execute(
            "SELECT FROM ledger_inboundevent WHERE payload #>> '{data,on}' = '2026-12-25' FOR NO KEY UPDATE"
        )
        assert process() == 1
        assert InboundEvent.objects.get(processed_at=None).payload["data"] == {"on": "2026-12-25"}
    assert process() == 1
