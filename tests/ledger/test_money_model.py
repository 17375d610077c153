"""Whatever customers, officers and workers do in whatever order, the balances are those of a model in plain Python."""

from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from accounts.models import Account
from ledger.models import Escalation
from ledger.posting import AccountNotOpen
from ledger.selectors import TransactionView
from ledger.services import payments
from ledger.services.clearing import clear_due
from tests.ledger import flows
from tests.ledger.test_escalations import freeze, resolve, unfreeze
from tests.support.factories import fund, make_account
from tests.support.pipeline import verify

pytestmark = pytest.mark.django_db

ACCOUNTS = 3
which = st.integers(0, ACCOUNTS - 1)
amounts = st.integers(1, 600)


@dataclass
class Purse:
    """An account, as it ought to be."""

    cleared: int = 0
    reserved: int = 0
    frozen: bool = False


@dataclass
class Asked:
    view: TransactionView
    source: int
    destination: int
    amount: int
    status: str = "pending"
    approved: bool = False
    parked: bool = field(default=False)


class Wallet(RuleBasedStateMachine):
    @initialize()
    def open_accounts(self) -> None:
        self.accounts: list[Account] = [make_account() for _ in range(ACCOUNTS)]
        self.purses = [Purse() for _ in range(ACCOUNTS)]
        self.asked: list[Asked] = []

    @rule(to=which, amount=amounts)
    def money_comes_in(self, to: int, amount: int) -> None:
        fund(self.accounts[to], amount)
        self.purses[to].cleared += amount

    @rule(source=which, destination=which, amount=amounts)
    def transfer(self, source: int, destination: int, amount: int) -> None:
        purse = self.purses[source]
        wanted: type[Exception] | None = None
        if source == destination:
            wanted = payments.SameAccount
        elif purse.frozen:
            wanted = AccountNotOpen
        elif amount > purse.cleared - purse.reserved:
            wanted = payments.InsufficientFunds
        if wanted:
            with pytest.raises(wanted):
                flows.transfer(self.accounts[source], self.accounts[destination], amount)
            return
        view = flows.transfer(self.accounts[source], self.accounts[destination], amount)
        purse.reserved += amount
        self.asked.append(Asked(view, source, destination, amount))

    @rule()
    def screen(self) -> None:
        flows.approve()
        for asked in self.asked:
            asked.approved = True

    @rule()
    def clear(self) -> None:
        clear_due(limit=1_000)
        for asked in self.asked:
            if asked.status != "pending" or not asked.approved or asked.parked:
                continue
            if self.purses[asked.source].frozen:
                asked.parked = True
            else:
                self._move(asked)

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        asked = data.draw(st.sampled_from(self.asked))
        actor = flows.owner(self.accounts[asked.source])
        if asked.status == "cleared":
            with pytest.raises(payments.NotCancellable):
                payments.cancel(actor=actor, transaction_id=asked.view.id)
            return
        assert payments.cancel(actor=actor, transaction_id=asked.view.id).failure == "cancelled"
        if asked.status == "pending":
            asked.status = "failed"
            self.purses[asked.source].reserved -= asked.amount

    @rule(account=which)
    def freeze_or_thaw(self, account: int) -> None:
        purse = self.purses[account]
        (unfreeze if purse.frozen else freeze)(self.accounts[account])
        purse.frozen = not purse.frozen

    @rule()
    def an_officer_tries_what_was_set_aside_again(self) -> None:
        parked = {asked.view.id: asked for asked in self.asked if asked.parked and asked.status == "pending"}
        for escalation in Escalation.objects.filter(status="open", transaction__in=parked):
            resolve(escalation, "retry")
            parked[escalation.transaction_id].parked = False

    @invariant()
    def the_balances_are_those_of_the_model(self) -> None:
        for account, purse in zip(getattr(self, "accounts", []), getattr(self, "purses", []), strict=True):
            account.refresh_from_db()
            assert (account.cleared, account.reserved) == (purse.cleared, purse.reserved)
            assert account.available >= 0

    def _move(self, asked: Asked) -> None:
        asked.status = "cleared"
        payer = self.purses[asked.source]
        payer.cleared, payer.reserved = payer.cleared - asked.amount, payer.reserved - asked.amount
        self.purses[asked.destination].cleared += asked.amount


def test_the_wallet_behaves_as_its_model(db: None) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Wallet,
        settings=settings(
            max_examples=12,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
        ),
    )
    verify("--no-bank")
