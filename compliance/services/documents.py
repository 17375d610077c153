"""What customers send to show who they are, and who of staff looks at it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import ClassVar, Final
from uuid import UUID

from django.conf import settings
from django.db import transaction

from accounts import selectors as people
from accounts import steps as accounts
from accounts.models import Customer, User
from accounts.staff import given_reason, require_colleague, require_permission
from accounts.states import KycStatus, Level
from compliance import document_files, steps
from compliance.document_files import FileDamaged
from compliance.documents import DocumentNotFound, level_is_shown
from compliance.models import Document, DocumentAccess
from compliance.models.documents import SHOWS_IDENTITY
from compliance.states import DocumentKind, DocumentStatus
from wallet_project.utils.context import Actor, request_id, system_actor
from wallet_project.utils.errors import Conflict, InvalidInput, Refused, TooLarge, TooMany
from wallet_project.utils.transitions import born, move

DOWNLOAD_DOCUMENT: Final = "compliance.download_document"
REJECT_DOCUMENT: Final = "compliance.reject_document"
#: Documents that one sweep's commit looks at.
BATCH: Final = 200


class DocumentTooLarge(TooLarge):
    """`limit_bytes` is the most that a file may have."""

    code = "document_too_large"
    message = "The file is too large."
    example_facts = {"limit_bytes": 5_242_880}


class DocumentInvalid(InvalidInput):
    code = "document_invalid"
    message = "The document is not valid; see `errors`."


class DocumentKnown(Conflict):
    """`document` is the one that has this file."""

    code = "document_known"
    message = "You have sent this file before, as another kind of document or with another date."
    example_facts = {"document": "01980000-0000-7000-8000-000000000001"}


class TooManyDocuments(Refused):
    """`limit` is how many a customer may send."""

    code = "too_many_documents"
    message = "You have sent as many documents as a customer may; contact support."


class TooManyDocumentsToday(TooMany):
    code = "too_many_documents_today"
    message = "You have sent many documents today; try again tomorrow."


@dataclass(frozen=True, slots=True)
class DocumentAdded:
    """`known`: the same file was sent before, and this is that document."""

    document: Document
    known: bool


def add_document(
    *, actor: Actor, kind: DocumentKind, expires_on: date | None, content: bytes, now: datetime
) -> DocumentAdded:
    """Keep a file that shows who the customer is, or where he lives.

    The file is written before its row, so that no row is without a file; one without a row is named by
    `manage.py check_documents`. Raises NotACustomer, DocumentTooLarge, DocumentInvalid, DocumentKnown,
    TooManyDocuments, TooManyDocumentsToday.
    """
    customer_id = people.customer_id_of(actor)
    media_type = _checked(kind, expires_on, content, today=now.date())
    sha256 = document_files.sha256_of(content)
    # Before anything is written: a customer who may send no more fills no disk.
    if known := _known(customer_id, sha256, kind, expires_on, now=now):
        return known
    document_files.keep(customer_id, content)
    with transaction.atomic(durable=True):
        customer = accounts.lock_customer(customer_id)
        # Somebody else with the same session may have been faster.
        if known := _known(customer_id, sha256, kind, expires_on, now=now):
            return known
        document = Document.objects.create(
            customer=customer,
            kind=kind,
            expires_on=expires_on,
            media_type=media_type,
            size=len(content),
            sha256=sha256,
        )
        born(document, actor=actor)
    return DocumentAdded(document, known=False)


def download(*, actor: Actor, document_id: UUID) -> tuple[Document, bytes]:
    """A document with its file, for a member of staff; that he had it goes on record first.

    Raises DocumentNotFound, PermissionMissing, FileDamaged.
    """
    with transaction.atomic(durable=True):
        document = Document.objects.filter(id=document_id).first()
        if document is None:
            raise DocumentNotFound
        require_permission(actor, DOWNLOAD_DOCUMENT)
        user = User.objects.get(principal=actor.principal_id)
        DocumentAccess.objects.create(document=document, user=user, request_id=request_id.get()[:64])
    return document, document_files.read(document)


def reject_document(*, actor: Actor, document_id: UUID, customer_reason: str, reason: str, now: datetime) -> None:
    """Staff no longer rely on a document, and the customer's level falls if it needs it. `customer_reason` is in words
    that he may see.

    Raises DocumentNotFound, PermissionMissing, AboutYourself, ReasonRequired, TransitionNotAllowed.
    """
    with transaction.atomic(durable=True):
        document = Document.objects.filter(id=document_id).first()
        if document is None:
            raise DocumentNotFound
        customer = accounts.lock_customer(document.customer_id)
        document = Document.objects.select_for_update(no_key=True).get(id=document_id)
        require_permission(actor, REJECT_DOCUMENT)
        require_colleague(actor, customer)
        document.reason, document.decided_at = given_reason(customer_reason)[:200], now
        move(document, "reject", actor=actor, reason=given_reason(reason), also=["reason", "decided_at"])
        keep_level(customer, actor=actor, reason="a document was rejected", now=now)


def expire_documents(*, now: datetime, limit: int = BATCH) -> int:
    """Take up to `limit` documents out of force whose last day is over; how many. A level that needs one falls, and an
    identity that was shown with one is checked again. Each in a commit of its own: it locks the customer."""
    over = Document.objects.filter(
        expires_on__lt=now.date(), status__in=[DocumentStatus.RECEIVED, DocumentStatus.ACCEPTED]
    ).order_by("expires_on")
    found = list(over.values_list("id", "customer_id")[:limit])
    for document_id, customer_id in found:
        with transaction.atomic(durable=True):
            _expire(document_id, customer_id, now=now)
    return len(found)


def keep_level(customer: Customer, *, actor: Actor, reason: str, now: datetime) -> None:
    """Let a locked customer's level fall if what is left of his documents does not show it any more."""
    level = accounts.lock_level(customer.id)
    if level is not None and level.level == Level.FULL and not level_is_shown(customer.id):
        steps.change_level(level, Level.BASIC, actor=actor, reason=reason, now=now)


@dataclass(frozen=True, slots=True)
class FileFinding:
    """A file, by its name in the storage, and what is wrong with it."""

    DAMAGED: ClassVar[str] = "gone, or not what was received"
    UNKNOWN: ClassVar[str] = "no row knows it"
    REMOVED: ClassVar[str] = "no row knew it; removed"

    problem: str
    name: str


def check_files(*, remove_unknown: bool) -> Iterator[FileFinding]:
    """Compare the storage with the rows. A file of less than a day may be one whose row is about to be written."""
    for document in Document.objects.order_by("id").iterator(chunk_size=500):
        try:
            document_files.read(document)
        except FileDamaged:
            yield FileFinding(FileFinding.DAMAGED, document_files.name_of(document.customer_id, document.sha256))
    for customer_id, sha256 in document_files.settled_files():
        if not Document.objects.filter(customer_id=customer_id, sha256=sha256).exists():
            if remove_unknown:
                document_files.remove(customer_id, sha256)
            problem = FileFinding.REMOVED if remove_unknown else FileFinding.UNKNOWN
            yield FileFinding(problem, document_files.name_of(customer_id, sha256))


def _expire(document_id: UUID, customer_id: UUID, *, now: datetime) -> None:
    customer = accounts.lock_customer(customer_id)
    document = Document.objects.select_for_update(no_key=True).get(id=document_id)
    if document.status not in (DocumentStatus.RECEIVED, DocumentStatus.ACCEPTED):
        return
    relied_on = document.status == DocumentStatus.ACCEPTED and document.kind in SHOWS_IDENTITY
    move(document, "expire", actor=system_actor(), reason=f"valid until {document.expires_on}")
    keep_level(customer, actor=system_actor(), reason="a document has expired", now=now)
    if relied_on and customer.kyc_status == KycStatus.VERIFIED:
        accounts.request_verification(
            customer_id=customer.id, actor=system_actor(), reason="the document that showed it has expired"
        )


def _checked(kind: DocumentKind, expires_on: date | None, content: bytes, *, today: date) -> str:
    """What the file is, by its first bytes."""
    if len(content) > settings.DOCUMENT_MAX_BYTES:
        raise DocumentTooLarge(limit_bytes=settings.DOCUMENT_MAX_BYTES)
    media_type = document_files.media_type_of(content)
    if media_type is None:
        raise DocumentInvalid(fields={"file": "Send a PDF, a JPEG or a PNG."})
    if expires_on is None and kind in SHOWS_IDENTITY:
        raise DocumentInvalid(fields={"expires_on": "Say until when it is valid."})
    if expires_on is not None and expires_on < today:
        raise DocumentInvalid(fields={"expires_on": "It has expired; send one that is valid."})
    return media_type


def _known(
    customer_id: UUID, sha256: str, kind: DocumentKind, expires_on: date | None, *, now: datetime
) -> DocumentAdded | None:
    """The document that has this file already; raises where there is no room for another one."""
    sent = Document.objects.filter(customer=customer_id)
    same = sent.filter(sha256=sha256).first()
    if same is not None:
        if (same.kind, same.expires_on) != (kind, expires_on):
            raise DocumentKnown(document=same.id)
        return DocumentAdded(same, known=True)
    if sent.count() >= settings.DOCUMENTS_PER_CUSTOMER:
        raise TooManyDocuments(limit=settings.DOCUMENTS_PER_CUSTOMER)
    if sent.filter(created_at__gt=now - timedelta(days=1)).count() >= settings.DOCUMENTS_PER_DAY:
        raise TooManyDocumentsToday(retry_after=int(timedelta(hours=1).total_seconds()))
    return None
