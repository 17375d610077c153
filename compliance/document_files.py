"""The files of documents: in a storage of their own that no address leads to, under names that we give them.

settings.STORAGES["documents"] says where; nothing that a customer sends becomes part of a path.
"""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Final
from uuid import UUID

from django.core.files.base import ContentFile
from django.core.files.storage import Storage, storages
from django.utils import timezone

from compliance.models import Document
from wallet_project.utils.errors import Unavailable

#: What a file begins with, by what it is. Its name and what a client calls it say nothing.
_BEGINNINGS: Final[Mapping[str, bytes]] = {
    "application/pdf": b"%PDF-",
    "image/jpeg": b"\xff\xd8\xff",
    "image/png": b"\x89PNG\r\n\x1a\n",
}
ENDINGS: Final[Mapping[str, str]] = {"application/pdf": "pdf", "image/jpeg": "jpg", "image/png": "png"}


class FileDamaged(Unavailable):
    """`document` is the one whose file is gone or not what was received."""

    code = "document_file_damaged"
    message = "The file is gone, or is not what was received; restore it from the backup."


def media_type_of(content: bytes) -> str | None:
    """By its first bytes; None: none of those that are taken."""
    return next((kind for kind, beginning in _BEGINNINGS.items() if content.startswith(beginning)), None)


def sha256_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def keep(customer_id: UUID, content: bytes) -> None:
    """Write the file, under its customer and its hash: whoever sends it again writes the same."""
    name = name_of(customer_id, sha256_of(content))
    if not _storage().exists(name):
        # Two at once: the storage gives the second another name, which nothing refers to.
        given = _storage().save(name, ContentFile(content))
        if given != name:
            _storage().delete(given)


def read(document: Document) -> bytes:
    """The file as it was received. Raises FileDamaged."""
    try:
        with _storage().open(name_of(document.customer_id, document.sha256)) as file:
            content: bytes = file.read()
    except OSError as error:
        raise FileDamaged(document=document.id) from error
    if sha256_of(content) != document.sha256:
        raise FileDamaged(document=document.id)
    return content


def settled_files() -> Iterator[tuple[str, str]]:
    """(customer, hash) of each file that has been there for a day."""
    storage = _storage()
    before = timezone.now() - timedelta(days=1)
    if not storage.exists(""):
        return
    for customer_id in storage.listdir("")[0]:
        for sha256 in storage.listdir(customer_id)[1]:
            if storage.get_modified_time(name_of(customer_id, sha256)) < before:
                yield customer_id, sha256


def remove(customer_id: UUID | str, sha256: str) -> None:
    _storage().delete(name_of(customer_id, sha256))


def _storage() -> Storage:
    return storages["documents"]


def name_of(customer_id: UUID | str, sha256: str) -> str:
    """In the storage."""
    return f"{customer_id}/{sha256}"
