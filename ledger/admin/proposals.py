"""The buttons with which staff propose a movement: on accounts, transactions, and escalations of money in suspense."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.http import HttpRequest

from accounts.models import Account
from accounts.staff import staff_actor
from ledger.admin.forms import AssignForm, ChargeForm, CorrectionForm, ReturnForm, ReversalForm
from ledger.models import Adjustment, Escalation, Transaction
from ledger.resolutions import left_in_suspense
from ledger.services import proposals, suspense
from ledger.services.proposals import PROPOSE_ADJUSTMENT, REVERSIBLE
from ledger.states import AdjustmentStatus, EscalationStatus, TransactionStatus
from wallet_project.utils.admin import StaffAction, register_action

#: An escalation, or a row that has one.
EscalationOf = Callable[[Any], Escalation | None]

_NOTHING_YET = "Nothing happens yet: this is a proposal, and a second person has to agree. Then: "
_PROPOSED = "Proposed. Somebody else who may agree finds it under Adjustments."


def _correct(request: HttpRequest, account: Account, values: dict[str, Any]) -> str:
    debit, credit = account, values["other"]
    if values["direction"] == "in":
        debit, credit = credit, debit
    proposals.propose_correction(
        actor=staff_actor(request.user),
        debit=debit.id,
        credit=credit.id,
        amount=values["amount"],
        reason=values["reason"],
        reference=values["reference"],
    )
    return _PROPOSED


def _reverse(*, at_loss: bool) -> Callable[[HttpRequest, Any, dict[str, Any]], str]:
    def perform(request: HttpRequest, row: Transaction, values: dict[str, Any]) -> str:
        proposals.propose_reversal(
            actor=staff_actor(request.user),
            transaction_id=row.id,
            amount=values["amount"],
            reason=values["reason"],
            at_loss=at_loss,
        )
        return _PROPOSED

    return perform


def _is_reversible(request: HttpRequest, row: Transaction) -> bool:
    return row.kind in REVERSIBLE and row.status == TransactionStatus.CLEARED


@dataclass(frozen=True, slots=True)
class _InSuspense:
    """What staff propose for money in suspense, on a page of an escalation or of what has one."""

    escalation_of: EscalationOf
    allowed: Callable[[HttpRequest, Any], bool]

    def came_in(self, request: HttpRequest, row: Any) -> bool:
        return self.allowed(request, row) and self._left(row) > 0

    def went_out(self, request: HttpRequest, row: Any) -> bool:
        return self.allowed(request, row) and self._left(row) < 0

    def assign(self, request: HttpRequest, row: Any, values: dict[str, Any]) -> str:
        suspense.propose_assignment(
            actor=staff_actor(request.user),
            escalation_id=self._id(row),
            account_id=values["account"].id,
            reason=values["reason"],
        )
        return _PROPOSED

    def give_back(self, request: HttpRequest, row: Any, values: dict[str, Any]) -> str:
        suspense.propose_return(
            actor=staff_actor(request.user),
            escalation_id=self._id(row),
            beneficiary={"name": values["name"], "iban": values["iban"]},
            reason=values["reason"],
        )
        return _PROPOSED

    def charge(self, request: HttpRequest, row: Any, values: dict[str, Any]) -> str:
        named = values["account"] if values["bearer"] == "account" else None
        suspense.propose_charge(
            actor=staff_actor(request.user),
            escalation_id=self._id(row),
            account_id=named.id if named is not None else None,
            at_loss=values["bearer"] == "loss",
            reason=values["reason"],
        )
        return _PROPOSED

    def _left(self, row: Any) -> int:
        escalation = self.escalation_of(row)
        if escalation is None or escalation.status != EscalationStatus.OPEN:
            return 0
        standing = Adjustment.objects.filter(escalation=escalation, status=AdjustmentStatus.PROPOSED)
        return 0 if standing.exists() else left_in_suspense(escalation)

    def _id(self, row: Any) -> UUID:
        escalation = self.escalation_of(row)
        assert escalation is not None, "the button is there for an escalation"
        return escalation.id


def suspense_actions(escalation_of: EscalationOf, allowed: Callable[[HttpRequest, Any], bool]) -> list[StaffAction]:
    """Assign, return and charge, for a page of an escalation or of what has one."""
    money = _InSuspense(escalation_of, allowed)
    return [
        StaffAction(
            name="assign",
            label="Assign to a customer",
            permission=PROPOSE_ADJUSTMENT,
            consequence=f"{_NOTHING_YET}the money in suspense is credited to the account, and this is resolved.",
            perform=money.assign,
            available=money.came_in,
            form=AssignForm,
            tone="primary",
        ),
        StaffAction(
            name="return",
            label="Return to its sender",
            permission=PROPOSE_ADJUSTMENT,
            consequence=f"{_NOTHING_YET}the bank is asked to pay it out to the IBAN, which can't be undone, and this "
            "is resolved. If the bank rejects it, the money is in suspense still and a new case says so.",
            perform=money.give_back,
            available=money.came_in,
            form=ReturnForm,
        ),
        StaffAction(
            name="charge",
            label="Charge what was paid out",
            permission=PROPOSE_ADJUSTMENT,
            consequence=f"{_NOTHING_YET}a payout that still waits fails and what it reserved is released; what the "
            "bank has paid is taken from whoever bears it, in the same commit; this is resolved. A customer who has "
            "less than that can't be charged: the wallet may bear it.",
            perform=money.charge,
            available=money.went_out,
            form=ChargeForm,
            tone="primary",
        ),
    ]


register_action(
    Account,
    StaffAction(
        name="correct",
        label="Propose a correction",
        permission=PROPOSE_ADJUSTMENT,
        consequence=f"{_NOTHING_YET}the amount moves between this account and the other one at once.",
        perform=_correct,
        available=lambda request, row: True,
        form=CorrectionForm,
    ),
)
register_action(
    Transaction,
    StaffAction(
        name="reverse",
        label="Propose a reversal",
        permission=PROPOSE_ADJUSTMENT,
        consequence=f"{_NOTHING_YET}the amount is taken from who received it and given back to who paid it.",
        perform=_reverse(at_loss=False),
        available=_is_reversible,
        form=ReversalForm,
    ),
)
register_action(
    Transaction,
    StaffAction(
        name="reverse-at-loss",
        label="Reversal at our loss",
        permission=PROPOSE_ADJUSTMENT,
        consequence=f"{_NOTHING_YET}the amount is given back to who paid it, out of the wallet's loss account. Only "
        "when who received it does not have it any more.",
        perform=_reverse(at_loss=True),
        available=_is_reversible,
        form=ReversalForm,
        tone="danger",
    ),
)
for _action in suspense_actions(lambda row: row, lambda request, row: True):
    register_action(Escalation, _action)
