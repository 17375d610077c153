"""Views with nothing behind them, one for each rule of the API's base. Reached through the project's own middleware."""

from typing import Any

import psycopg
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import IntegrityError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers
from rest_framework.exceptions import NotFound
from rest_framework.exceptions import PermissionDenied as DrfPermissionDenied
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import User
from wallet_project.api.authentication import actor_of
from wallet_project.api.fields import (
    AmountField,
    CurrencyField,
    IdField,
    MetadataField,
    StrictBooleanField,
    StrictDateField,
    TextField,
    WholeNumberField,
)
from wallet_project.api.idempotency import idempotency_key, key_if_given, mark_replayed
from wallet_project.api.schema import keyed, may_be_keyed, raises
from wallet_project.api.serializers import StrictSerializer
from wallet_project.utils import errors


class InsufficientFunds(errors.Refused):
    code = "insufficient_funds"
    message = "The account does not have that much available."


class PartSerializer(StrictSerializer):
    name = TextField(max_length=10)


class EverythingSerializer(StrictSerializer):
    amount = AmountField(required=False)
    currency = CurrencyField(required=False)
    account = IdField(required=False)
    label = TextField(max_length=10, required=False)
    note = TextField(max_length=5, allow_blank=True, required=False)
    code = TextField(max_length=2, min_length=2, pattern="[A-Z]+", required=False)
    born = StrictDateField(required=False)
    agreed = StrictBooleanField(required=False)
    metadata = MetadataField(required=False)
    seconds = WholeNumberField(least=60, most=3600, required=False)
    status = serializers.CharField(read_only=True)
    part = PartSerializer(required=False)
    parts = PartSerializer(many=True, required=False)


class Open(APIView):
    authentication_classes = ()
    permission_classes = (AllowAny,)
    throttle_classes = ()


class EchoView(Open):
    def post(self, request: Request) -> Response:
        serializer = EverythingSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        return Response({name: repr(value) for name, value in serializer.validated_data.items()})


class RawView(Open):
    """What the parser made of the body."""

    def post(self, request: Request) -> Response:
        return Response(request.data)


class KeyView(Open):
    @extend_schema(request=EverythingSerializer, responses={202: EverythingSerializer})
    @keyed
    @raises(InsufficientFunds)
    def post(self, request: Request) -> Response:
        """Take a key."""
        return mark_replayed(Response({"key": idempotency_key(request)}, status=202))


class MaybeKeyView(Open):
    @extend_schema(request=EverythingSerializer, responses=EverythingSerializer)
    @may_be_keyed
    def post(self, request: Request) -> Response:
        """Take a key, or none."""
        return Response({"key": key_if_given(request)})


FAILURES: dict[str, Any] = {
    "domain": lambda: InsufficientFunds(transaction="0198", available=3, status="not mine"),
    "conflict": errors.Conflict,
    "fields": lambda: errors.InvalidInput(fields={"iban": "This is not an IBAN."}),
    "many": lambda: errors.TooMany(retry_after=7),
    "away": lambda: errors.Unavailable(retry_after=3),
    "forbidden": PermissionDenied,
    "drf-forbidden": DrfPermissionDenied,
    "gone": Http404,
    "drf-gone": NotFound,
    "suspicious": lambda: SuspiciousOperation("the secret of the house"),
    "too-big": lambda: RequestDataTooBig("the secret of the house"),
    "bug": lambda: RuntimeError("the secret of the house"),
    "familyless": lambda: errors.DomainError(),
    "refused-connection": lambda: OperationalError("connection to server at 10.0.0.1 failed"),
    "constraint": lambda: _caused(IntegrityError("the secret of the house"), psycopg.errors.UniqueViolation()),
    "lock": lambda: _caused(OperationalError(), psycopg.errors.LockNotAvailable()),
    "statement": lambda: _caused(OperationalError(), psycopg.errors.QueryCanceled()),
    "deadlock": lambda: _caused(OperationalError(), psycopg.errors.DeadlockDetected()),
}


def _caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


class FailView(Open):
    def get(self, request: Request, kind: str) -> Response:
        raise FAILURES[kind]()


def plain_fail(request: HttpRequest, kind: str) -> HttpResponse:
    raise FAILURES[kind]()


class UserSerializer(serializers.Serializer[User]):
    id = serializers.UUIDField()


class UsersView(generics.ListAPIView[User]):
    authentication_classes = ()
    permission_classes = (AllowAny,)
    throttle_classes = ()
    queryset = User.objects.all()
    serializer_class = UserSerializer


class WhoView(APIView):
    """Needs a session; says who it took the caller for."""

    def get(self, request: Request) -> Response:
        actor = actor_of(request)
        return Response(
            {
                "user": str(request.user.pk),
                "principal": str(actor.principal_id),
                "customer": str(actor.customer_id) if actor.customer_id else None,
                "kind": actor.kind,
            }
        )


class LimitedView(APIView):
    authentication_classes = ()
    permission_classes = (AllowAny,)
    throttle_scope = "three-a-minute"

    def get(self, request: Request) -> Response:
        return Response({})
