"""Asking for money to be moved: deposits, withdrawals, transfers, groups of them, and what they would cost."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.selectors import BeneficiaryNotFound, NotACustomer, PayeeNotFound
from ledger.serializers.bulk import BulkInput, BulkOutput, bulk_shown
from ledger.serializers.inputs import (
    DepositInput,
    GroupInput,
    MoneyInput,
    QuoteInput,
    TransferInput,
    WithdrawalInput,
)
from ledger.serializers.movements import GroupOutput, QuoteOutput
from ledger.serializers.outputs import TransactionOutput, shown
from ledger.services import bulk, groups, payments
from wallet_project.api.authentication import actor_of
from wallet_project.api.direct import Answer, Call, DirectView, JointView
from wallet_project.api.idempotency import checked_key, request_hash
from wallet_project.api.parsers import MAX_BODY_BYTES
from wallet_project.api.schema import keyed, raises
from wallet_project.api.throttling import count_call

_ACCEPTED = {202: TransactionOutput}
#: Fifty transfers with all the metadata that they may have, or a thousand without.
_MAX_LIST_BYTES: Final = 1024 * 1024


class MoneyView(JointView):
    """A POST that asks for money to be moved: 202, and the transaction as it is now."""

    max_body_bytes = MAX_BODY_BYTES
    operation: ClassVar[str]
    #: Made once, and used by all threads: validating keeps nothing on it. Making one costs as much as a payment.
    shape: ClassVar[MoneyInput]
    ask: ClassVar[Callable[..., payments.Asked]]

    @classmethod
    def asked(cls, call: Call) -> payments.Asked:
        key = checked_key(call.key)
        values = cls.shape.run_validation(call.body)
        _count_handles(call.user_id, [values])
        return cls.ask(
            actor=call.actor,
            key=key,
            request_hash=request_hash(cls.operation, {}, values),
            **cls.shape.arguments_of(values),
        )

    @staticmethod
    def alone(asked: payments.Asked) -> payments.Answer:
        return payments.post_alone(asked)

    @staticmethod
    def together(asked: Sequence[payments.Asked]) -> list[payments.Answer | Exception | None]:
        return payments.post_together(asked)

    @classmethod
    def told(cls, asked: payments.Asked, outcome: payments.Answer) -> Answer:
        accepted = payments.accepted(asked, outcome)
        return Answer(status.HTTP_202_ACCEPTED, shown(accepted.transaction), accepted.replayed)


class DepositsView(MoneyView):
    operation = "deposit"
    shape = DepositInput()
    ask = staticmethod(payments.ask_deposit)

    @extend_schema(
        operation_id="deposit",
        summary="Pay money in",
        description="It is collected from your bank, and yours to spend once it has cleared.",
        request=DepositInput,
        responses=_ACCEPTED,
    )
    @keyed
    @raises(NotACustomer, *payments.REFUSALS)
    def post(self, request: Request) -> Response:
        return self.respond(request)


class WithdrawalsView(MoneyView):
    operation = "withdrawal"
    shape = WithdrawalInput()
    ask = staticmethod(payments.ask_withdrawal)

    @extend_schema(
        operation_id="withdraw",
        summary="Pay money out to a bank account",
        description="The amount and its fee are reserved at once, and leave the account when the bank has confirmed.",
        request=WithdrawalInput,
        responses=_ACCEPTED,
    )
    @keyed
    @raises(NotACustomer, *payments.REFUSALS, *payments.ON_RECORD, BeneficiaryNotFound, payments.FeeChanged)
    def post(self, request: Request) -> Response:
        return self.respond(request)


class TransfersView(MoneyView):
    operation = "transfer"
    shape = TransferInput()
    ask = staticmethod(payments.ask_transfer)

    @extend_schema(
        operation_id="transfer",
        summary="Send money to another account, or to somebody by his handle",
        description=(
            "The amount and its fee are reserved at once. The receiver sees the transfer when it has cleared; "
            "with `capture: manual` when it is held for him, and has the money when he has captured it. Ask "
            "`GET /payees/{handle}` whom a handle means before you send to it."
        ),
        request=TransferInput,
        responses=_ACCEPTED,
    )
    @keyed
    @raises(
        NotACustomer, *payments.REFUSALS, *payments.ON_RECORD, PayeeNotFound, payments.FeeChanged, payments.SameAccount
    )
    def post(self, request: Request) -> Response:
        return self.respond(request)


class GroupsView(DirectView):
    max_body_bytes = _MAX_LIST_BYTES

    @extend_schema(
        operation_id="pay_group",
        summary="Send several transfers that happen together or not at all",
        description=(
            "All are reserved at once, or none: they clear together, fail together, and cancelling one cancels all."
        ),
        request=GroupInput,
        responses={202: GroupOutput},
    )
    @keyed
    @raises(NotACustomer, *groups.GROUP_REFUSALS)
    def post(self, request: Request) -> Response:
        return self.respond(request)

    @classmethod
    def answer(cls, call: Call) -> Answer:
        key = checked_key(call.key)
        body = GroupInput(data=call.body)
        body.is_valid(raise_exception=True)
        _count_handles(call.user_id, body.validated_data["transfers"])
        group = groups.pay(
            actor=call.actor,
            key=key,
            request_hash=request_hash("group", {}, body.validated_data),
            **body.arguments(),
        )
        return Answer(status.HTTP_202_ACCEPTED, GroupOutput(group).data, group.replayed)


class BulkTransfersView(DirectView):
    max_body_bytes = _MAX_LIST_BYTES
    #: Made once, as those of single payments are.
    shape = BulkInput()

    @extend_schema(
        operation_id="transfer_bulk",
        summary="Send up to a thousand transfers at once",
        description=(
            "Each has a `key` of its own, and is as if it were sent alone: with `independent` each is accepted, "
            "refused or rejected for itself, in order; with `atomic` all are accepted, or none is and nothing is "
            "recorded. Accepted ones clear one by one. Sent again, each is answered as it is now, and what had not "
            "been recorded is tried again."
        ),
        request=BulkInput,
        responses={202: BulkOutput},
    )
    @keyed
    @raises(NotACustomer, *bulk.BULK_REFUSALS)
    def post(self, request: Request) -> Response:
        return self.respond(request)

    @classmethod
    def answer(cls, call: Call) -> Answer:
        key = checked_key(call.key)
        values = cls.shape.run_validation(call.body)
        _count_handles(call.user_id, values["transfers"])
        made = bulk.transfer_bulk(
            actor=call.actor,
            key=key,
            request_hash=request_hash("bulk", {}, values),
            **cls.shape.arguments_of(values),
        )
        return Answer(status.HTTP_202_ACCEPTED, bulk_shown(made), made.replayed)


class GroupView(APIView):
    @extend_schema(operation_id="group", summary="One of my groups of transactions", responses=GroupOutput)
    @raises(NotACustomer, groups.GroupNotFound)
    def get(self, request: Request, group_id: UUID) -> Response:
        return Response(GroupOutput(groups.see_group(actor=actor_of(request), group_id=group_id)).data)


class QuotesView(APIView):
    @extend_schema(
        operation_id="quote",
        summary="What a payment would cost",
        description="Nothing is reserved or kept. Send the `fee` with the payment to be sure of it.",
        request=QuoteInput,
        responses=QuoteOutput,
    )
    @raises(NotACustomer)
    def post(self, request: Request) -> Response:
        body = QuoteInput(data=request.data)
        body.is_valid(raise_exception=True)
        return Response(QuoteOutput(payments.quote(actor=actor_of(request), **body.arguments())).data)


def _count_handles(user_id: UUID, payments_asked: Sequence[Mapping[str, Any]]) -> None:
    """A transfer to a handle tells as much as asking for the payee does, so that it counts as that. Raises TooMany."""
    for payment in payments_asked:
        if isinstance(payment.get("destination"), str):
            count_call(user_id, "payees")
