"""Reading transactions, entries, balances and statements."""

from collections.abc import Callable
from functools import partial
from typing import Any, Final
from uuid import UUID

from django.http.response import HttpResponseBase
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.generics import GenericAPIView
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import selectors as accounts_selectors
from accounts.models import Account
from accounts.selectors import AccountNotFound, NotACustomer, customer_id_of, format_time
from ledger.selectors import balances, entries, lists
from ledger.selectors.balances import Explanation, InTheFuture
from ledger.selectors.entries import EntryView, Statement
from ledger.selectors.lists import Filters, Page
from ledger.serializers.filters import (
    AccountTransactionFilter,
    BalanceQuery,
    EntryFilter,
    StatementQuery,
    TransactionFilter,
)
from ledger.serializers.outputs import (
    AccountTransactionOutput,
    BalanceAtOutput,
    EntryOutput,
    ExplanationOutput,
    PartOutput,
    ReservedOutput,
    StatementOutput,
    TransactionOutput,
)
from ledger.serializers.outputs import balances as balances_shown
from ledger.serializers.statement_csv import StatementTooLong, statement_file
from ledger.services import payments
from wallet_project.api.authentication import actor_of
from wallet_project.api.fields import MAX_METADATA_VALUE
from wallet_project.api.pagination import MAX_PAGE_SIZE, BadCursor, BadPageSize, IdCursorPagination
from wallet_project.api.queries import RepeatedParameter, UnknownParameter
from wallet_project.api.schema import raises
from wallet_project.api.serializers import QuerySerializer
from wallet_project.utils.errors import InvalidInput

#: How the document shows `metadata[key]=value`.
_METADATA: Final = OpenApiParameter(
    "metadata",
    {"type": "object", "additionalProperties": {"type": "string", "maxLength": MAX_METADATA_VALUE}},
    style="deepObject",
    explode=True,
    description="`metadata[invoice]=2026-118`: what has these members in your own metadata.",
)
#: Said of each list that is filtered.
_SHORT_PAGES: Final = (
    "A page looks at a few thousand rows at most: where a filter fits few of them, it may have fewer results than "
    "`limit`, or none, and still a `next`. The list ends where `next` is null."
)
_PARAMETERS: Final = (UnknownParameter, RepeatedParameter, InvalidInput)
#: What comes in pages besides a list: the document shows these of lists by itself.
_PAGING: Final = [
    OpenApiParameter("cursor", str, description="From `next` of the page before. Opaque."),
    OpenApiParameter(
        "limit",
        {"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE, "default": IdCursorPagination.page_size},
        description="Results on a page.",
    ),
]


class ListView(GenericAPIView[Any]):
    """Pages of what a selector finds: `find(before, limit)`."""

    query_shape: type[QuerySerializer]

    def wanted(self) -> Filters:
        return Filters(**self.query_shape.of(self.request, besides=IdCursorPagination.own_parameters))

    def page(self, find: Callable[[Any, int], Page], *, numbered: bool = False) -> Response:
        paginator = self.paginator
        assert isinstance(paginator, IdCursorPagination)
        rows = paginator.paginate_rows(find, self.request, numbered=numbered, checked=True)
        shape = self.get_serializer_class()
        return paginator.get_paginated_response([shape(row).data for row in rows])


class TransactionsView(ListView):
    serializer_class = TransactionOutput
    query_shape = TransactionFilter

    @extend_schema(
        operation_id="list_transactions",
        summary="My transactions, newest first",
        description=_SHORT_PAGES,
        parameters=[TransactionFilter, _METADATA],
        responses=TransactionOutput(many=True),
    )
    @raises(NotACustomer)
    def get(self, request: Request) -> Response:
        customer_id = customer_id_of(actor_of(request))
        find = partial(lists.transactions_of_customer, customer_id, wanted=self.wanted())
        return self.page(lambda before, limit: find(before=before, limit=limit))


class AccountTransactionsView(ListView):
    serializer_class = AccountTransactionOutput
    query_shape = AccountTransactionFilter

    @extend_schema(
        operation_id="list_account_transactions",
        summary="Transactions of one of my accounts, newest first, as seen from it",
        description=_SHORT_PAGES,
        parameters=[AccountTransactionFilter, _METADATA],
        responses=AccountTransactionOutput(many=True),
    )
    @raises(NotACustomer, AccountNotFound)
    def get(self, request: Request, account_id: UUID) -> Response:
        account = _account(request, account_id)
        assert account.customer_id is not None
        find = partial(lists.transactions_of_account, account.id, customer_id=account.customer_id, wanted=self.wanted())
        return self.page(lambda before, limit: find(before=before, limit=limit))


class EntriesView(ListView):
    serializer_class = EntryOutput
    query_shape = EntryFilter

    @extend_schema(
        operation_id="list_entries",
        summary="What has cleared on one of my accounts, newest first, with the running balance",
        description=_SHORT_PAGES,
        parameters=[EntryFilter, _METADATA],
        responses=EntryOutput(many=True),
    )
    @raises(NotACustomer, AccountNotFound)
    def get(self, request: Request, account_id: UUID) -> Response:
        account = _account(request, account_id)
        find = partial(entries.entries_of_account, account, wanted=self.wanted())
        return self.page(lambda before, limit: find(before=before, limit=limit), numbered=True)


class TransactionView(APIView):
    @extend_schema(operation_id="transaction", summary="One of my transactions", responses=TransactionOutput)
    @raises(NotACustomer, payments.TransactionNotFound)
    def get(self, request: Request, transaction_id: UUID) -> Response:
        seen = payments.see(actor=actor_of(request), transaction_id=transaction_id)
        return Response(TransactionOutput(seen).data)


class BalanceView(APIView):
    @extend_schema(
        operation_id="balance_at",
        summary="The balances of one of my accounts as they were at an instant",
        description=(
            "Cleared, reserved and available, as they were when all that happened up to `at` had happened, computed "
            "from the entries and transactions. Before the account's first line all are 0."
        ),
        parameters=[BalanceQuery],
        responses=BalanceAtOutput,
    )
    @raises(NotACustomer, AccountNotFound, InTheFuture, *_PARAMETERS)
    def get(self, request: Request, account_id: UUID) -> Response:
        now = timezone.now()
        account = _account(request, account_id)
        asked = BalanceQuery.of(request)
        was = balances.balance_at(account.id, at=asked.get("at", now), now=now)
        return Response(
            {
                "account": str(account.id),
                "currency": account.currency,
                "at": format_time(was.at),
                "balances": balances_shown(was.cleared, was.reserved),
                "final": was.final,
            }
        )


class ExplainView(GenericAPIView[Any]):
    serializer_class = ExplanationOutput

    @extend_schema(
        operation_id="explain_balance",
        summary="Why the available balance of one of my accounts is what it is",
        description=(
            "Each pending payment and each hold, and what it reserves, newest first, in pages. A page is read at one "
            "instant, with the balances of that instant: what it shows and what it says of the other pages add up."
        ),
        parameters=_PAGING,
        responses=ExplanationOutput,
    )
    @raises(NotACustomer, AccountNotFound, BadCursor, BadPageSize, UnknownParameter, RepeatedParameter)
    def get(self, request: Request, account_id: UUID) -> Response:
        account = _account(request, account_id)
        customer_id = account.customer_id
        assert customer_id is not None
        paginator = self.paginator
        assert isinstance(paginator, IdCursorPagination)
        read: list[Explanation] = []

        def find(before: UUID | None, limit: int) -> Explanation:
            # The paginator asks for one more to know whether there are more; this page counts the others anyway.
            why = balances.explain(account.id, customer_id=customer_id, before=before, limit=limit - 1)
            read.append(why)
            return why

        rows = paginator.paginate_rows(find, request)
        [why] = read
        return Response(
            {
                "account": str(account.id),
                "currency": account.currency,
                "balances": balances_shown(why.cleared, why.reserved),
                "newer": PartOutput(why.newer).data,
                "reservations": [ReservedOutput(view).data for view in rows],
                "older": PartOutput(why.older).data,
                "next": paginator.next_link(),
            }
        )


class CsvRenderer(JSONRenderer):
    """Stands for the file in the negotiation. The file streams past it; what it renders itself are refusals."""

    media_type = "text/csv"
    format = "csv"
    charset = None


class StatementView(GenericAPIView[Any]):
    renderer_classes = (JSONRenderer, CsvRenderer)
    serializer_class = StatementOutput

    def perform_content_negotiation(self, request: Request, force: bool = False) -> tuple[BaseRenderer, str]:
        """`format` goes before Accept: who opens a link in a browser can't choose that."""
        for renderer in self.get_renderers():
            if renderer.format == request.query_params.get("format"):
                return renderer, renderer.media_type
        chosen: tuple[BaseRenderer, str] = super().perform_content_negotiation(request, force)
        return chosen

    @extend_schema(
        operation_id="statement",
        summary="The statement of one of my accounts for a period",
        description=(
            "What was posted from `from` on and before `to` (November: `from=2026-11-01&to=2026-12-01`), with the "
            "balance before and after: opening and lines add up to closing, and the closing of one period is the "
            "opening of the next. JSON comes in pages by `cursor`, all of the same lines whatever is posted meanwhile. "
            "As CSV it is one file (RFC 4180, UTF-8) with amounts as decimal numbers of the currency, debits negative. "
            "Its first line is the opening balance and its last the closing one: a file that ends with `incomplete, "
            "ask again` instead was cut off by an error on the way. A reference that a spreadsheet would take for a "
            "formula has an apostrophe before it."
        ),
        parameters=[StatementQuery, *_PAGING],
        responses={
            (200, "application/json"): StatementOutput,
            (200, "text/csv"): OpenApiResponse(OpenApiTypes.STR),
        },
    )
    @raises(NotACustomer, AccountNotFound, StatementTooLong, BadCursor, BadPageSize, *_PARAMETERS)
    def get(self, request: Request, account_id: UUID) -> HttpResponseBase:
        account = _account(request, account_id)
        asked = StatementQuery.of(request, besides=IdCursorPagination.own_parameters)
        if request.accepted_renderer.format == "csv":
            return statement_file(
                entries.statement_of(account, since=asked["since"], until=asked["until"], now=timezone.now())
            )
        return self._page(account, asked)

    def _page(self, account: Account, asked: dict[str, Any]) -> Response:
        paginator = self.paginator
        assert isinstance(paginator, IdCursorPagination)
        shown: list[Statement] = []

        def find(position: UUID | None, limit: int) -> Page:
            # The cursor names the last line of the period besides the last one that was shown: pages of a period that
            # is not over are of the same lines.
            after, last = divmod(position.int, 2**64) if position else (None, None)
            statement = entries.statement_of(
                account, since=asked["since"], until=asked["until"], now=timezone.now(), last=last
            )
            shown.append(statement)
            start = max(statement.first, after) if after is not None else statement.first
            return Page(entries.lines_of(statement, after=start, limit=limit))

        def position_of(line: EntryView) -> UUID:
            return UUID(int=line.sequence * 2**64 + shown[0].last)

        lines = paginator.paginate_rows(find, self.request, checked=True, position_of=position_of)
        [statement] = shown
        return Response(
            {
                "account": str(account.id),
                "currency": account.currency,
                "from": format_time(statement.since),
                "to": format_time(statement.until),
                "opening": statement.opening,
                "closing": statement.closing,
                "count": statement.count,
                "final": statement.final,
                "lines": [EntryOutput(line).data for line in lines],
                "next": paginator.next_link(),
            }
        )


def _account(request: Request, account_id: UUID) -> Account:
    return accounts_selectors.account_of(customer_id_of(actor_of(request)), account_id)
