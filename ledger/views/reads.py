"""Reading transactions and entries."""

from functools import partial
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.generics import GenericAPIView, ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import selectors as accounts_selectors
from accounts.selectors import AccountNotFound, NotACustomer, customer_id_of
from ledger import selectors
from ledger.models import Entry
from ledger.serializers.filters import TransactionFilter
from ledger.serializers.outputs import AccountTransactionOutput, EntryOutput, TransactionOutput
from ledger.services import payments
from wallet_project.api.authentication import actor_of
from wallet_project.api.pagination import IdCursorPagination
from wallet_project.api.schema import raises


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


def _filters(request: Request) -> dict[str, Any]:
    wanted = TransactionFilter(data=request.query_params)
    wanted.is_valid(raise_exception=True)
    return dict(wanted.validated_data)


def _page(view: GenericAPIView[Any], request: Request, read: Any, shape: type[TransactionOutput]) -> Response:
    paginator = view.paginator
    assert isinstance(paginator, IdCursorPagination)
    rows = paginator.paginate_rows(lambda before, limit: read(before=before, limit=limit), request)
    return paginator.get_paginated_response([shape(row).data for row in rows])
