"""What is done with a transaction that is still pending: capture, void, cancel."""

from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.selectors import NotACustomer
from ledger.serializers.inputs import CaptureInput
from ledger.serializers.outputs import TransactionOutput
from ledger.services import holds, payments
from wallet_project.api.authentication import actor_of
from wallet_project.api.idempotency import key_if_given, mark_replayed, request_hash
from wallet_project.api.schema import may_be_keyed, raises


class CaptureView(APIView):
    @extend_schema(
        operation_id="capture_transaction",
        summary="Take what is held for one of my accounts",
        description=(
            "All of it or a part, once; the rest goes back to its payer at once. The same request again is the same "
            "answer, with an Idempotency-Key or without."
        ),
        request=CaptureInput,
        responses=TransactionOutput,
    )
    @may_be_keyed
    @raises(NotACustomer, *holds.CAPTURE_REFUSALS)
    def post(self, request: Request, transaction_id: UUID) -> Response:
        key = key_if_given(request)
        body = CaptureInput(data=request.data)
        body.is_valid(raise_exception=True)
        accepted = holds.capture(
            actor=actor_of(request),
            transaction_id=transaction_id,
            amount=body.validated_data.get("amount"),
            key=key,
            request_hash=request_hash("capture", {"transaction": transaction_id}, body.validated_data),
        )
        response = Response(TransactionOutput(accepted.transaction).data)
        return mark_replayed(response) if accepted.replayed else response


class VoidView(APIView):
    @extend_schema(
        operation_id="void_transaction",
        summary="Release what is held",
        description=(
            "Its payee may at any time before he has captured it, its payer once it has expired. It ends as `failed` "
            "with the code `voided` or `expired`. What is released already stays so."
        ),
        request=None,
        responses=TransactionOutput,
    )
    @raises(NotACustomer, *holds.VOID_REFUSALS)
    def post(self, request: Request, transaction_id: UUID) -> Response:
        seen = holds.void(actor=actor_of(request), transaction_id=transaction_id)
        return Response(TransactionOutput(seen).data)


class CancelView(APIView):
    @extend_schema(
        operation_id="cancel_transaction",
        summary="Call off a transaction that no bank and no payee counts on yet",
        description=(
            "It ends as `failed` with the code `cancelled`, and so do the others of its group. What is cancelled "
            "already stays so."
        ),
        request=None,
        responses=TransactionOutput,
    )
    @raises(NotACustomer, payments.TransactionNotFound, payments.NotCancellable)
    def post(self, request: Request, transaction_id: UUID) -> Response:
        seen = payments.cancel(actor=actor_of(request), transaction_id=transaction_id)
        return Response(TransactionOutput(seen).data)
