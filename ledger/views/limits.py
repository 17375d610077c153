"""Reading what may still leave or reach an account."""

from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import selectors as accounts_selectors
from accounts.selectors import AccountNotFound, NotACustomer, customer_id_of
from ledger.selectors.limits import limits_of
from ledger.serializers.limits import AccountLimitsOutput, LimitOutput
from wallet_project.api.authentication import actor_of
from wallet_project.api.queries import RepeatedParameter, UnknownParameter
from wallet_project.api.schema import raises
from wallet_project.api.serializers import QuerySerializer


class LimitsView(APIView):
    @extend_schema(
        operation_id="account_limits",
        summary="The limits of one of my accounts, and what is left of them",
        description=(
            "Those of the account, and mine in its currency; all read at one instant. What I move between accounts of "
            "my own counts for the accounts and not for me."
        ),
        responses=AccountLimitsOutput,
    )
    @raises(NotACustomer, AccountNotFound, UnknownParameter, RepeatedParameter)
    def get(self, request: Request, account_id: UUID) -> Response:
        account = accounts_selectors.account_of(customer_id_of(actor_of(request)), account_id)
        QuerySerializer.of(request)
        assert account.customer_id is not None
        found = limits_of([account.id, account.customer_id], currency=account.currency)
        return Response(
            {
                "account": str(account.id),
                "currency": account.currency,
                "limits": [LimitOutput(view).data for view in found],
            }
        )
