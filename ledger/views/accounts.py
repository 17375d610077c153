"""What the ledger has to say before an account changes."""

from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.selectors import AccountNotFound, NotACustomer
from accounts.serializers import AccountOutput
from accounts.steps import AccountNotEmpty, WrongState
from ledger.services.accounts import AccountHasPending, close_account
from wallet_project.api.authentication import actor_of
from wallet_project.api.schema import raises


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
