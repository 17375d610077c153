"""Asking for money to be moved: deposits, withdrawals, transfers."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.selectors import NotACustomer
from ledger.serializers.inputs import DepositInput, MoneyInput, TransferInput, WithdrawalInput
from ledger.serializers.outputs import TransactionOutput
from ledger.services import payments
from wallet_project.api.authentication import actor_of
from wallet_project.api.idempotency import idempotency_key, mark_replayed, request_hash
from wallet_project.api.schema import keyed, raises

_ACCEPTED = {202: TransactionOutput}


class MoneyView(APIView):
    """A POST that asks for money to be moved: 202, and the transaction as it is now."""

    def handle_exception(self, exc: Exception) -> Response:
        response = super().handle_exception(exc)
        # A refusal that is on record is an answer like any other, and says when it was given before.
        return mark_replayed(response) if getattr(exc, "replayed", False) else response

    def accept(self, request: Request, operation: str, body: MoneyInput, use_case: Any) -> Response:
        key = idempotency_key(request)
        body.is_valid(raise_exception=True)
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
        description="The amount is reserved at once, and leaves the account when the bank has confirmed.",
        request=WithdrawalInput,
        responses=_ACCEPTED,
    )
    @keyed
    @raises(NotACustomer, *payments.REFUSALS, payments.InsufficientFunds)
    def post(self, request: Request) -> Response:
        return self.accept(request, "withdrawal", WithdrawalInput(data=request.data), payments.withdraw)


class TransfersView(MoneyView):
    @extend_schema(
        operation_id="transfer",
        summary="Send money to another account",
        description="The amount is reserved at once. The receiver sees the transfer when it has cleared.",
        request=TransferInput,
        responses=_ACCEPTED,
    )
    @keyed
    @raises(NotACustomer, *payments.REFUSALS, payments.InsufficientFunds, payments.SameAccount)
    def post(self, request: Request) -> Response:
        return self.accept(request, "transfer", TransferInput(data=request.data), payments.transfer)
