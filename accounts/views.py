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
from accounts.handles import HandleInvalid, HandleReserved
from accounts.idempotency import IdempotencyKeyReused, RequestInProgress
from accounts.models import Account, Beneficiary
from accounts.profiles import ProfileInvalid
from accounts.serializers import (
    AccountInput,
    AccountOutput,
    BeneficiaryLabelInput,
    BeneficiaryOutput,
    HandleInput,
    MeOutput,
    NewBeneficiaryInput,
    PayeeOutput,
    PayeeQuery,
    ProfileInput,
)
from accounts.services.accounts import CREATE_ACCOUNT, TooManyAccounts, create_account
from accounts.services.beneficiaries import (
    ADD_BENEFICIARY,
    BeneficiaryKept,
    TooManyBeneficiaries,
    add_beneficiary,
    change_beneficiary,
    remove_beneficiary,
)
from accounts.services.customers import TooManyProfileChanges, update_profile
from accounts.services.handles import HandleTaken, TooManyHandleChanges, claim_handle, give_up_handle
from accounts.steps import IdentityRejected, ProfileRequired
from wallet_project.api.authentication import actor_of
from wallet_project.api.idempotency import idempotency_key, mark_replayed, request_hash
from wallet_project.api.queries import RepeatedParameter, UnknownParameter
from wallet_project.api.schema import keyed, raises
from wallet_project.utils.errors import InvalidInput


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


class HandleView(APIView):
    throttle_scope = "handle"

    @extend_schema(
        operation_id="claim_handle",
        summary="Claim a handle, by which others find and pay me",
        description=(
            "Letters are folded to small ones. Others find you by it once your identity is verified and you have an "
            "open account; they see your first name and the initial of your last name. A handle that you held before "
            "is given up, and nobody else can claim it for two years. How often you may change it is limited."
        ),
        request=HandleInput,
        responses=MeOutput,
    )
    @raises(selectors.NotACustomer, HandleInvalid, HandleReserved, HandleTaken, TooManyHandleChanges)
    def put(self, request: Request) -> Response:
        body = HandleInput(data=request.data)
        body.is_valid(raise_exception=True)
        actor = actor_of(request)
        claim_handle(actor=actor, handle=body.validated_data["handle"], now=timezone.now())
        return Response(selectors.read_me(selectors.customer_id_of(actor)))

    @extend_schema(
        operation_id="give_up_handle",
        summary="Give my handle up",
        description="Nobody finds you by it any more, and nobody else can claim it for two years.",
        request=None,
        responses={204: None},
    )
    @raises(selectors.NotACustomer)
    def delete(self, request: Request) -> Response:
        give_up_handle(actor=actor_of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)


class PayeeView(APIView):
    throttle_scope = "payees"

    @extend_schema(
        operation_id="payee",
        summary="Who would be paid by a handle",
        description=(
            "To be shown before a transfer: is this whom you mean? Then send the handle as the transfer's "
            "`destination`. It leads to the same person or to nobody: a handle that was given up changes hands after "
            "two years at the earliest."
        ),
        parameters=[PayeeQuery],
        responses=PayeeOutput,
    )
    @raises(selectors.NotACustomer, selectors.PayeeNotFound, UnknownParameter, RepeatedParameter, InvalidInput)
    def get(self, request: Request, handle: str) -> Response:
        selectors.customer_id_of(actor_of(request))
        return Response(selectors.payee(handle, **PayeeQuery.of(request)))


class BeneficiariesView(ListAPIView[Beneficiary]):
    serializer_class = BeneficiaryOutput
    throttle_scope = "beneficiaries"

    def get_queryset(self) -> QuerySet[Beneficiary]:
        return selectors.beneficiaries_of(selectors.customer_id_of(actor_of(self.request)))

    @extend_schema(operation_id="list_beneficiaries", summary="Bank accounts that I pay out to, newest first")
    @raises(selectors.NotACustomer)
    def get(self, request: Request) -> Response:
        return self.list(request)

    @extend_schema(
        operation_id="add_beneficiary",
        summary="Keep a bank account to pay out to",
        description="Then send its `id` as the `beneficiary` of a withdrawal. Each IBAN is kept once.",
        request=NewBeneficiaryInput,
        responses={201: BeneficiaryOutput},
    )
    @keyed
    @raises(selectors.NotACustomer, BeneficiaryKept, RequestInProgress, TooManyBeneficiaries, IdempotencyKeyReused)
    def post(self, request: Request) -> Response:
        key = idempotency_key(request)
        body = NewBeneficiaryInput(data=request.data)
        body.is_valid(raise_exception=True)
        added = add_beneficiary(
            actor=actor_of(request),
            key=key,
            request_hash=request_hash(ADD_BENEFICIARY, {}, body.validated_data),
            **body.validated_data,
        )
        response = Response(BeneficiaryOutput(added.beneficiary).data, status=status.HTTP_201_CREATED)
        return mark_replayed(response) if added.replayed else response


class BeneficiaryView(APIView):
    throttle_scope = "beneficiaries"

    @extend_schema(
        operation_id="beneficiary", summary="One of the bank accounts that I pay out to", responses=BeneficiaryOutput
    )
    @raises(selectors.NotACustomer, selectors.BeneficiaryNotFound)
    def get(self, request: Request, beneficiary_id: UUID) -> Response:
        customer_id = selectors.customer_id_of(actor_of(request))
        return Response(BeneficiaryOutput(selectors.beneficiary_of(customer_id, beneficiary_id)).data)

    @extend_schema(
        operation_id="change_beneficiary",
        summary="Change my own name for a beneficiary",
        description="IBAN and holder stay what they are: another bank account is another beneficiary.",
        request=BeneficiaryLabelInput,
        responses=BeneficiaryOutput,
    )
    @raises(selectors.NotACustomer, selectors.BeneficiaryNotFound)
    def patch(self, request: Request, beneficiary_id: UUID) -> Response:
        body = BeneficiaryLabelInput(data=request.data)
        body.is_valid(raise_exception=True)
        changed = change_beneficiary(actor=actor_of(request), beneficiary_id=beneficiary_id, **body.validated_data)
        return Response(BeneficiaryOutput(changed).data)

    @extend_schema(
        operation_id="remove_beneficiary",
        summary="Keep a beneficiary no longer",
        description="Withdrawals that went to it stay as they are. What is removed already stays so.",
        request=None,
        responses={204: None},
    )
    @raises(selectors.NotACustomer, selectors.BeneficiaryNotFound)
    def delete(self, request: Request, beneficiary_id: UUID) -> Response:
        remove_beneficiary(actor=actor_of(request), beneficiary_id=beneficiary_id)
        return Response(status=status.HTTP_204_NO_CONTENT)
