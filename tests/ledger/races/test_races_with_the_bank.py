"""The bank's word, and what is asked of the bank, by twenty at once: stored once, acted on once, asked for once."""

from functools import partial
from random import Random

import pytest
from django.utils import timezone

from ledger.models import InboundEvent, RailTransfer
from ledger.rails import configured_rail
from ledger.services import rails
from tests.ledger import flows
from tests.ledger.races.twenty import TWENTY
from tests.ledger.test_bank_events import dispatched, process, report, tell
from tests.ledger.test_races import at_once
from tests.support.factories import make_account
from tests.support.pipeline import run_until, verify
from wallet_project.sandbox.embedding import RunningSandbox

pytestmark = [pytest.mark.django_db, pytest.mark.thorough]


def dispatch() -> int:
    return rails.dispatch_rails(rail=configured_rail(), now=timezone.now(), rng=Random(3))


def test_the_same_word_twenty_times_is_stored_and_acted_on_once(race: int, sandbox: RunningSandbox) -> None:
    account, made, row = dispatched()
    sandbox.bank.decide(row.key, "settled")
    say = partial(tell, sandbox, "payment.settled", report(row, "settled"), event_id="evt_once")
    assert {answer.status_code for answer in at_once(*[say] * TWENTY)} == {200}
    assert InboundEvent.objects.count() == 1
    acted = at_once(*[process] * TWENTY)
    assert [result for result in acted if isinstance(result, Exception)] == []
    assert sum(acted) == 1
    flows.settle_everything()
    assert flows.status(made) == "cleared"
    assert flows.balances(account) == (4_000, 4_000)
    verify()


def test_twenty_workers_ask_the_bank_once_for_each_payout(race: int, sandbox: RunningSandbox) -> None:
    account = make_account()
    flows.fund_over_the_bank(account, 5_000, sandbox)
    payouts = [flows.withdraw(account, 500) for _ in range(5)]
    for payout in payouts:
        flows.approve(payout)
    asked = at_once(*[dispatch] * TWENTY)
    assert [result for result in asked if isinstance(result, Exception)] == []
    keys = RailTransfer.objects.filter(direction="payout").values_list("key", flat=True)
    at_the_bank = [line["reference"] for line in sandbox.book.movements("EUR", after=0, limit=100)]
    assert sorted(reference for reference in at_the_bank if reference in set(keys)) == sorted(keys)
    assert len(keys) == len(payouts)
    run_until(lambda: flows.balances(account) == (2_500, 2_500), sandbox=sandbox, ledger_only=True)
    verify()
