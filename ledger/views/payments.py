"""Asking for money to be moved: deposits, withdrawals, transfers, groups of them, and what they would cost."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.selectors import BeneficiaryNotFound, NotACustomer, PayeeNotFound
from ledger.serializers.inputs import (
    DepositInput,
    GroupInput,
    MoneyInput,
    QuoteInput,
    TransferInput,
    WithdrawalInput,
)
from ledger.serializers.movements import GroupOutput, QuoteOutput
from ledger.serializers.outputs import TransactionOutput
from ledger.services import groups, payments
from wallet_project.api.authentication import actor_of
from wallet_project.api.idempotency import idempotency_key, mark_replayed, request_hash
from wallet_project.api.schema import keyed, raises
from wallet_project.api.throttling import count_call

_ACCEPTED = {202: TransactionOutput}
#: Fifty transfers with all the metadata that they may have.
_MAX_GROUP_BYTES: Final = 1024 * 1024


class RecordedRefusals(APIView):
    """A refusal that is on record is an answer like any other, and says when it was given before."""

    def handle_exception(self, exc: Exception) -> Response:
        response = super().handle_exception(exc)
        return mark_replayed(response) if getattr(exc, "replayed", False) else response


class MoneyView(RecordedRefusals):
    """A POST that asks for money to be moved: 202, and the transaction as it is now."""

    def accept(self, request: Request, operation: str, body: MoneyInput, use_case: Any) -> Response:
        key = idempotency_key(request)
        body.is_valid(raise_exception=True)
        _count_handles(request, [body.validated_data])
        accepted = use_case(
            actor=actor_of(request),
            key=key,
            request_hash=request_hash(operation, {}, body.validated_data),
            **body.arguments(),
        )
        response = Response(TransactionOutput(accepted.transaction).data, status=status.HTTP_202_ACCEPTED)
        return mark_replayed(response) if accepted.replayed else response


class DepositsView(MoneyView):
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
        return self.accept(request, "deposit", DepositInput(data=request.data), payments.deposit)


class WithdrawalsView(MoneyView):
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
        return self.accept(request, "withdrawal", WithdrawalInput(data=request.data), payments.withdraw)


class TransfersView(MoneyView):
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
        return self.accept(request, "transfer", TransferInput(data=request.data), payments.transfer)


class GroupsView(RecordedRefusals):
    max_body_bytes = _MAX_GROUP_BYTES

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
        key = idempotency_key(request)
        body = GroupInput(data=request.data)
        body.is_valid(raise_exception=True)
        _count_handles(request, body.validated_data["transfers"])
        group = groups.pay(
            actor=actor_of(request),
            key=key,
            request_hash=request_hash("group", {}, body.validated_data),
            **body.arguments(),
        )
        response = Response(GroupOutput(group).data, status=status.HTTP_202_ACCEPTED)
        return mark_replayed(response) if group.replayed else response


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


def _count_handles(request: Request, payments_asked: Sequence[Mapping[str, Any]]) -> None:
    """A transfer to a handle tells as much as asking for the payee does, so that it counts as that. Raises TooMany."""
    for payment in payments_asked:
        if isinstance(payment.get("destination"), str):
            count_call(request, "payees")
