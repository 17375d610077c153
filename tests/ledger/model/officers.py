"""What officers do, by the use cases and steps that the admin calls."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from accounts import steps as accounts
from accounts.selectors import system_account_id
from ledger import posting, steps
from ledger.models import Escalation
from ledger.services import adjustments, proposals, suspense
from tests.ledger.model.bank import CURRENCY
from tests.ledger.model.model import Name
from tests.ledger.model.town import OWNERS
from tests.ledger.model.wallet import BENEFICIARY, Told, Wallet, code_of
from wallet_project.utils.context import system_actor
from wallet_project.utils.errors import DomainError


class Officers(Wallet):
    def set_limit(
        self,
        account: int | None,
        customer: int | None,
        direction: str,
        per_transaction: int | None,
        per_day: int | None,
        per_30_days: int | None,
    ) -> Told:
        owned = self._accounts[account] if account is not None else self._accounts[OWNERS.index(customer or 0)]
        posting.set_limit(
            owner_id=owned.customer_id if account is None else owned.id,
            scope="customer" if account is None else "account",
            direction=direction,
            currency=CURRENCY,
            per_transaction=per_transaction,
            per_day=per_day,
            per_30_days=per_30_days,
            actor=system_actor(),
            reason="a test",
            request_id="",
        )
        return "ok", None

    def officer(self, number: int, verdict: str) -> Told:
        return self._judge(self._unit(number), verdict, None)

    def propose_correction(self, number: int, by: int, debit: Name, credit: Name, amount: int) -> Told:
        return self._proposed(
            number,
            lambda: proposals.propose_correction(
                actor=self._seniors[by],
                debit=self._account(debit),
                credit=self._account(credit),
                amount=amount,
                reason="a test",
            ),
        )

    def propose_reversal(self, number: int, by: int, of: int, amount: int | None, at_loss: bool) -> Told:
        return self._proposed(
            number,
            lambda: proposals.propose_reversal(
                actor=self._seniors[by],
                transaction_id=self._main(of),
                amount=amount,
                reason="a test",
                at_loss=at_loss,
            ),
        )

    def propose_assignment(self, number: int, by: int, about: str, account: int) -> Told:
        to = self._accounts[account].id
        return self._asked_whose(number, by, about, suspense.propose_assignment, account_id=to)

    def propose_return(self, number: int, by: int, about: str) -> Told:
        return self._asked_whose(number, by, about, suspense.propose_return, beneficiary=BENEFICIARY)

    def propose_charge(self, number: int, by: int, about: str, account: int | None, at_loss: bool) -> Told:
        payer = None if account is None else self._accounts[account].id
        return self._asked_whose(number, by, about, suspense.propose_charge, account_id=payer, at_loss=at_loss)

    def agree(self, proposal: int, by: int) -> Told:
        try:
            answered = adjustments.approve(
                actor=self._seniors[by], adjustment_id=self._proposals[proposal], now=timezone.now()
            )
        except DomainError as refusal:
            return code_of(refusal), None
        return f"refused: {answered.refusal.code}" if answered.refusal else "ok", None

    def disagree(self, proposal: int, by: int) -> Told:
        return self._answer(adjustments.decline, proposal, by)

    def take_back(self, proposal: int, by: int) -> Told:
        return self._answer(adjustments.withdraw, proposal, by)

    def freeze(self, account: int) -> Told:
        return self._turn(account, "freeze")

    def unfreeze(self, account: int) -> Told:
        return self._turn(account, "unfreeze")

    def close_by_staff(self, account: int) -> Told:
        def act() -> None:
            with transaction.atomic(durable=True):
                accounts.close_account(account_id=self._accounts[account].id, actor=system_actor(), reason="a test")

        return self._done(act)

    def pass_days(self, days: int) -> Told:
        self._town.pass_days(days)
        return "ok", None

    def resolve(self, number: int | str, kind: str, action: Any) -> Told:
        about = Escalation.objects.filter(status="open", kind=kind, transaction__in=self._transactions[str(number)])
        found = about.first()
        if found is None:
            return "nothing", None

        def act() -> None:
            with transaction.atomic(durable=True):
                steps.resolve_escalation(
                    escalation_id=found.id, action=action, actor=system_actor(), reason="a test", now=timezone.now()
                )

        told = self._done(act)
        # Somebody else came first.
        return ("nothing", None) if told[0] == "escalation_already_resolved" else told

    def _answer(self, use_case: Callable[..., Any], proposal: int, by: int) -> Told:
        about = self._proposals[proposal]
        return self._done(
            lambda: use_case(actor=self._seniors[by], adjustment_id=about, reason="a test", now=timezone.now())
        )

    def _proposed(self, number: int, act: Callable[[], Any]) -> Told:
        try:
            self._proposals[number] = act().id
        except DomainError as refusal:
            return code_of(refusal), None
        return "ok", None

    def _asked_whose(self, number: int, by: int, about: str, use_case: Callable[..., Any], **more: Any) -> Told:
        asked = Escalation.objects.filter(
            status="open", kind="unmatched_money", transaction__in=self._transactions[about]
        ).first()
        if asked is None:
            return "nothing", None
        actor = self._seniors[by]
        return self._proposed(number, lambda: use_case(actor=actor, escalation_id=asked.id, reason="a test", **more))

    def _account(self, name: Name) -> UUID:
        return self._accounts[name].id if isinstance(name, int) else system_account_id(name, CURRENCY)

    def _turn(self, account: int, transition: str) -> Told:
        def act() -> None:
            with transaction.atomic(durable=True):
                found = accounts.lock_account(self._accounts[account].id)
                accounts.move_account(found, transition, actor=system_actor(), reason="a test")

        return self._done(act)
