"""The API's people and accounts: translate, one service call, translate back."""

from typing import cast
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import selectors
from accounts.idempotency import IdempotencyKeyReused, RequestInProgress
from accounts.models import Account
from accounts.profiles import ProfileInvalid
from accounts.serializers import AccountInput, AccountOutput, MeOutput, ProfileInput
from accounts.services.accounts import CREATE_ACCOUNT, TooManyAccounts, create_account
from accounts.services.customers import TooManyProfileChanges, update_profile
from accounts.steps import IdentityRejected, ProfileRequired
from wallet_project.api.authentication import actor_of
from wallet_project.api.idempotency import idempotency_key, mark_replayed, request_hash
from wallet_project.api.schema import keyed, raises


class MeView(APIView):
    @extend_schema(
        operation_id="me",
        summary="Who I am, what is known of me, and what I may do",
        responses=MeOutput,
    )
    @raises(selectors.NotACustomer)
    def get(self, request: Request) -> Response:
        return Response(selectors.me(actor_of(request), cast(UUID, request.user.pk)))


class ProfileView(APIView):
    @extend_schema(
        operation_id="update_profile",
        summary="Say who I am",
        description=(
            "The whole profile, from which your identity is checked. The same profile again changes nothing. A change "
            "after you were verified starts a new check: open accounts go on working meanwhile, and accounts that you "
            "request wait for it; `may` and `notice` in the answer say so."
        ),
        request=ProfileInput,
        responses=MeOutput,
    )
    @raises(selectors.NotACustomer, ProfileInvalid, TooManyProfileChanges)
    def put(self, request: Request) -> Response:
        body = ProfileInput(data=request.data)
        body.is_valid(raise_exception=True)
        actor = actor_of(request)
        update_profile(actor=actor, profile=body.profile(), now=timezone.now())
        return Response(selectors.read_me(selectors.customer_id_of(actor)))


class AccountsView(ListAPIView[Account]):
    serializer_class = AccountOutput

    def get_queryset(self) -> QuerySet[Account]:
        return selectors.accounts_of(selectors.customer_id_of(actor_of(self.request)))

    @extend_schema(operation_id="list_accounts", summary="My accounts, newest first")
    @raises(selectors.NotACustomer)
    def get(self, request: Request) -> Response:
        return self.list(request)

    @extend_schema(
        operation_id="create_account",
        summary="Request an account",
        description=(
            "The answer comes at once. The account is `requested` until your identity has been verified, and then "
            "`open` or `rejected`; when it has been verified before, the account is `open` at once."
        ),
        request=AccountInput,
        responses={202: AccountOutput},
    )
    @keyed
    @raises(
        selectors.NotACustomer,
        ProfileRequired,
        RequestInProgress,
        IdentityRejected,
        TooManyAccounts,
        IdempotencyKeyReused,
    )
    def post(self, request: Request) -> Response:
        key = idempotency_key(request)
        body = AccountInput(data=request.data)
        body.is_valid(raise_exception=True)
        made = create_account(
            actor=actor_of(request),
            key=key,
            request_hash=request_hash(CREATE_ACCOUNT, {}, body.validated_data),
            **body.validated_data,
        )
        response = Response(AccountOutput(made.account).data, status=status.HTTP_202_ACCEPTED)
        return mark_replayed(response) if made.replayed else response


class AccountView(APIView):
    @extend_schema(operation_id="account", summary="One of my accounts", responses=AccountOutput)
    @raises(selectors.NotACustomer, selectors.AccountNotFound)
    def get(self, request: Request, account_id: UUID) -> Response:
        customer_id = selectors.customer_id_of(actor_of(request))
        return Response(AccountOutput(selectors.account_of(customer_id, account_id)).data)
