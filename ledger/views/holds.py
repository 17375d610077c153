"""What is done with a transaction that is still pending."""

from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.selectors import NotACustomer
from ledger.serializers.outputs import TransactionOutput
from ledger.services import payments
from wallet_project.api.authentication import actor_of
from wallet_project.api.schema import raises


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
