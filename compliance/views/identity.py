"""What customers send to show who they are, and the level that they have by it."""

from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.idempotency import IdempotencyKeyReused, RequestInProgress
from accounts.selectors import NotACustomer, customer_id_of
from compliance import documents
from compliance.levels import level_of
from compliance.models import Document
from compliance.serializers.identity import DocumentInput, DocumentOutput, LevelInput, LevelOutput
from compliance.services.documents import (
    DocumentInvalid,
    DocumentKnown,
    DocumentTooLarge,
    TooManyDocuments,
    TooManyDocumentsToday,
    add_document,
)
from compliance.services.levels import (
    REQUEST_LEVEL,
    DocumentsMissing,
    LevelReached,
    LevelRequested,
    NotVerified,
    TooManyLevelRequests,
    request_full_level,
)
from compliance.states import DocumentKind
from wallet_project.api.authentication import actor_of
from wallet_project.api.idempotency import idempotency_key, mark_replayed, request_hash
from wallet_project.api.schema import keyed, raises
from wallet_project.api.uploads import AROUND, UploadParser


class DocumentsView(ListAPIView[Document]):
    serializer_class = DocumentOutput
    parser_classes = (UploadParser,)
    throttle_scope = "documents"

    @staticmethod
    def max_body_bytes() -> int:
        """Of the whole form."""
        most: int = settings.DOCUMENT_MAX_BYTES
        return most + AROUND

    def get_queryset(self) -> QuerySet[Document]:
        return documents.documents_of(customer_id_of(actor_of(self.request)))

    @extend_schema(operation_id="list_documents", summary="What I have sent to show who I am, newest first")
    @raises(NotACustomer)
    def get(self, request: Request) -> Response:
        return self.list(request)

    @extend_schema(
        operation_id="add_document",
        summary="Send a document that shows who I am",
        description=(
            "As a form (`multipart/form-data`) with one file. Sending it again is safe: the same file is the same "
            "document, and is answered by 200. It is looked at when you ask for the level that needs it."
        ),
        request=DocumentInput,
        responses={201: DocumentOutput, 200: DocumentOutput},
    )
    @raises(NotACustomer, DocumentInvalid, DocumentKnown, DocumentTooLarge, TooManyDocuments, TooManyDocumentsToday)
    def post(self, request: Request) -> Response:
        body = DocumentInput(data=request.data)
        body.is_valid(raise_exception=True)
        added = add_document(
            actor=actor_of(request),
            kind=DocumentKind(body.validated_data["kind"]),
            expires_on=body.validated_data.get("expires_on"),
            content=body.validated_data["file"],
            now=timezone.now(),
        )
        answer = status.HTTP_200_OK if added.known else status.HTTP_201_CREATED
        return Response(DocumentOutput(added.document).data, status=answer)


class DocumentView(APIView):
    throttle_scope = "documents"

    @extend_schema(operation_id="document", summary="One of my documents, without its file", responses=DocumentOutput)
    @raises(NotACustomer, documents.DocumentNotFound)
    def get(self, request: Request, document_id: UUID) -> Response:
        return Response(DocumentOutput(documents.document_of(customer_id_of(actor_of(request)), document_id)).data)


class LevelView(APIView):
    @extend_schema(
        operation_id="level",
        summary="My level, what it lets me send, and what the next one needs",
        responses=LevelOutput,
    )
    @raises(NotACustomer)
    def get(self, request: Request) -> Response:
        return Response(level_of(customer_id_of(actor_of(request))))

    @extend_schema(
        operation_id="request_level",
        summary="Ask for the full level",
        description=(
            "Send the documents that it needs first. They are checked in the background; `request.status` says how "
            "that goes. Until then the limits of your present level hold."
        ),
        request=LevelInput,
        responses={202: LevelOutput},
    )
    @keyed
    @raises(
        NotACustomer,
        NotVerified,
        LevelReached,
        LevelRequested,
        RequestInProgress,
        DocumentsMissing,
        IdempotencyKeyReused,
        TooManyLevelRequests,
    )
    def post(self, request: Request) -> Response:
        key = idempotency_key(request)
        body = LevelInput(data=request.data)
        body.is_valid(raise_exception=True)
        actor = actor_of(request)
        replayed = request_full_level(
            actor=actor,
            key=key,
            request_hash=request_hash(REQUEST_LEVEL, {}, body.validated_data),
            now=timezone.now(),
        )
        response = Response(level_of(customer_id_of(actor)), status=status.HTTP_202_ACCEPTED)
        return mark_replayed(response) if replayed else response
