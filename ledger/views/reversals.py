"""Giving back what was received."""

from functools import partial
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.selectors import NotACustomer, customer_id_of
from ledger.selectors import movements
from ledger.serializers.inputs import ReversalInput
from ledger.serializers.outputs import TransactionOutput
from ledger.services import payments, reversals
from wallet_project.api.authentication import actor_of
from wallet_project.api.direct import RecordedRefusals
from wallet_project.api.idempotency import idempotency_key, mark_replayed, request_hash
from wallet_project.api.pagination import IdCursorPagination
from wallet_project.api.schema import keyed, raises


class ReversalsView(RecordedRefusals, GenericAPIView[Any]):
    serializer_class = TransactionOutput

    @extend_schema(
        operation_id="list_reversals",
        summary="What was given back of one of my transactions, newest first",
        responses=TransactionOutput(many=True),
    )
    @raises(NotACustomer, payments.TransactionNotFound)
    def get(self, request: Request, transaction_id: UUID) -> Response:
        actor = actor_of(request)
        payments.see(actor=actor, transaction_id=transaction_id)
        read = partial(movements.reversals_of, customer_id_of(actor), transaction_id)
        paginator = self.paginator
        assert isinstance(paginator, IdCursorPagination)
        rows = paginator.paginate_rows(lambda before, limit: read(before=before, limit=limit), request)
        return paginator.get_paginated_response([TransactionOutput(row).data for row in rows])

    @extend_schema(
        operation_id="reverse_transaction",
        summary="Give a transfer that I received back to its payer, in full or in part",
        description=(
            "A transaction of its own, of the kind `reversal`. As often as you like, up to what was cleared. The fee "
            "that its payer paid is not given back."
        ),
        request=ReversalInput,
        responses={202: TransactionOutput},
    )
    @keyed
    @raises(NotACustomer, *reversals.REVERSAL_REFUSALS)
    def post(self, request: Request, transaction_id: UUID) -> Response:
        actor = actor_of(request)
        received = reversals.find_received(actor=actor, transaction_id=transaction_id)
        key = idempotency_key(request)
        body = ReversalInput(data=request.data)
        body.is_valid(raise_exception=True)
        accepted = reversals.reverse(
            actor=actor,
            received=received,
            amount=body.validated_data.get("amount"),
            reason=body.validated_data["reason"],
            key=key,
            request_hash=request_hash("reversal", {"transaction": transaction_id}, body.validated_data),
        )
        response = Response(TransactionOutput(accepted.transaction).data, status=status.HTTP_202_ACCEPTED)
        return mark_replayed(response) if accepted.replayed else response
