"""The API's money: translate, one service call, translate back."""

from functools import partial
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.generics import GenericAPIView, ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import selectors as accounts_selectors
from accounts.selectors import AccountNotFound, NotACustomer, customer_id_of
from accounts.serializers import AccountOutput
from accounts.steps import AccountNotEmpty, WrongState
from ledger import selectors
from ledger.models import Entry
from ledger.serializers import (
    AccountTransactionOutput,
    DepositInput,
    EntryOutput,
    MoneyInput,
    TransactionFilter,
    TransactionOutput,
    TransferInput,
    WithdrawalInput,
)
from ledger.services import payments
from ledger.services.accounts import AccountHasPending, close_account
from wallet_project.api.authentication import actor_of
from wallet_project.api.idempotency import idempotency_key, mark_replayed, request_hash
from wallet_project.api.pagination import IdCursorPagination
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


class TransactionsView(GenericAPIView[Any]):
    serializer_class = TransactionOutput

    @extend_schema(
        operation_id="list_transactions",
        summary="My transactions, newest first",
        parameters=[TransactionFilter],
        responses=TransactionOutput(many=True),
    )
    @raises(NotACustomer)
    def get(self, request: Request) -> Response:
        customer_id = customer_id_of(actor_of(request))
        read = partial(selectors.transactions_of_customer, customer_id, **_filters(request))
        return _page(self, request, read, TransactionOutput)


class AccountTransactionsView(GenericAPIView[Any]):
    serializer_class = AccountTransactionOutput

    @extend_schema(
        operation_id="list_account_transactions",
        summary="Transactions of one of my accounts, newest first, as seen from it",
        parameters=[TransactionFilter],
        responses=AccountTransactionOutput(many=True),
    )
    @raises(NotACustomer, AccountNotFound)
    def get(self, request: Request, account_id: UUID) -> Response:
        customer_id = customer_id_of(actor_of(request))
        accounts_selectors.account_of(customer_id, account_id)
        read = partial(selectors.transactions_of_account, account_id, customer_id=customer_id, **_filters(request))
        return _page(self, request, read, AccountTransactionOutput)


class EntriesView(ListAPIView[Entry]):
    serializer_class = EntryOutput
    page_position = "sequence"

    def get_queryset(self) -> QuerySet[Entry]:
        customer_id = customer_id_of(actor_of(self.request))
        account = accounts_selectors.account_of(customer_id, self.kwargs["account_id"])
        return selectors.entries_of_account(account.id)

    @extend_schema(
        operation_id="list_entries",
        summary="What has cleared on one of my accounts, newest first, with the running balance",
    )
    @raises(NotACustomer, AccountNotFound)
    def get(self, request: Request, account_id: UUID) -> Response:
        return self.list(request)


class TransactionView(APIView):
    @extend_schema(operation_id="transaction", summary="One of my transactions", responses=TransactionOutput)
    @raises(NotACustomer, payments.TransactionNotFound)
    def get(self, request: Request, transaction_id: UUID) -> Response:
        seen = payments.see(actor=actor_of(request), transaction_id=transaction_id)
        return Response(TransactionOutput(seen).data)


class CancelView(APIView):
    @extend_schema(
        operation_id="cancel_transaction",
        summary="Call off a transaction that no bank has yet",
        description="It ends as `failed` with the code `cancelled`. What is cancelled already stays so.",
        request=None,
        responses=TransactionOutput,
    )
    @raises(NotACustomer, payments.TransactionNotFound, payments.NotCancellable)
    def post(self, request: Request, transaction_id: UUID) -> Response:
        seen = payments.cancel(actor=actor_of(request), transaction_id=transaction_id)
        return Response(TransactionOutput(seen).data)


class CloseAccountView(APIView):
    @extend_schema(
        operation_id="close_account",
        summary="Close one of my accounts for good",
        description="At a balance of zero and with nothing pending, on either side. What is closed already stays so.",
        request=None,
        responses=AccountOutput,
    )
    @raises(NotACustomer, AccountNotFound, AccountNotEmpty, AccountHasPending, WrongState)
    def post(self, request: Request, account_id: UUID) -> Response:
        account = close_account(actor=actor_of(request), account_id=account_id)
        return Response(AccountOutput(account).data)


def _filters(request: Request) -> dict[str, Any]:
    wanted = TransactionFilter(data=request.query_params)
    wanted.is_valid(raise_exception=True)
    return dict(wanted.validated_data)


def _page(view: GenericAPIView[Any], request: Request, read: Any, shape: type[TransactionOutput]) -> Response:
    paginator = view.paginator
    assert isinstance(paginator, IdCursorPagination)
    rows = paginator.paginate_rows(lambda before, limit: read(before=before, limit=limit), request)
    return paginator.get_paginated_response([shape(row).data for row in rows])
