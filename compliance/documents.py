"""Which documents a customer has, and what they show."""

from collections.abc import Collection, Sequence
from typing import Final
from uuid import UUID

from django.db.models import QuerySet

from compliance.models import Document
from compliance.models.documents import SHOWS_IDENTITY
from compliance.states import DocumentKind, DocumentStatus
from wallet_project.utils.errors import NotFound

#: What the full level needs: of each, one document.
NEEDED: Final = {"identity": frozenset(SHOWS_IDENTITY), "address": frozenset({DocumentKind.PROOF_OF_ADDRESS})}


class DocumentNotFound(NotFound):
    code = "document_not_found"
    message = "There is no such document, or it is not yours."


def documents_of(customer_id: UUID) -> QuerySet[Document]:
    """The index `document_by_customer` serves it."""
    return Document.objects.filter(customer_id=customer_id)


def document_of(customer_id: UUID, document_id: UUID) -> Document:
    """Raises DocumentNotFound, also for somebody else's."""
    document = documents_of(customer_id).filter(id=document_id).first()
    if document is None:
        raise DocumentNotFound
    return document


def usable(customer_id: UUID) -> Sequence[Document]:
    """Those that a check may go by: neither rejected nor expired, the newest first."""
    standing = [DocumentStatus.RECEIVED, DocumentStatus.ACCEPTED]
    return list(documents_of(customer_id).filter(status__in=standing).order_by("-id"))


def missing(documents: Collection[Document]) -> list[str]:
    """What the full level needs and these don't show: `identity`, `address`."""
    kinds = {document.kind for document in documents}
    return [what for what, shown_by in NEEDED.items() if not kinds & shown_by]


def chosen(documents: Sequence[Document]) -> list[Document]:
    """Those that a check of the full level goes by: of what is needed the newest that shows it, and of where money
    comes from."""
    kinds = (*NEEDED.values(), frozenset({DocumentKind.SOURCE_OF_FUNDS}))
    newest = (next((each for each in documents if each.kind in of), None) for of in kinds)
    return [each for each in newest if each is not None]


def level_is_shown(customer_id: UUID) -> bool:
    """Whether documents that were accepted, and are still in force, show the full level."""
    return not missing([each for each in usable(customer_id) if each.status == DocumentStatus.ACCEPTED])
