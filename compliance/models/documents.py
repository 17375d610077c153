"""What customers have sent to show who they are. The files lie in a private storage (compliance/document_files.py)."""

from typing import Final

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django_fsm import FSMField, transition

from accounts.models import Customer
from compliance.states import DocumentKind, DocumentStatus
from wallet_project.utils.ids import uuid7

#: Who somebody is; each of them ends some day.
SHOWS_IDENTITY: Final = (
    DocumentKind.PASSPORT,
    DocumentKind.ID_CARD,
    DocumentKind.DRIVING_LICENCE,
    DocumentKind.RESIDENCE_PERMIT,
)


class Document(models.Model):
    """One file, once: the same bytes again are the same document. What was sent is never changed, only judged."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="documents", db_index=False)
    kind = models.CharField(max_length=20, choices=DocumentKind.choices)
    expires_on = models.DateField(null=True, blank=True, help_text="the last day on which it is valid; null: no end")
    media_type = models.CharField(max_length=40, help_text="by its first bytes, whatever it was called")
    size = models.PositiveIntegerField(help_text="bytes")
    sha256 = models.CharField(max_length=64, help_text="of the file, hexadecimal")
    status = FSMField(default=DocumentStatus.RECEIVED, choices=DocumentStatus.choices)
    reason = models.CharField(max_length=200, blank=True, help_text="why it was rejected; the customer sees it")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    decided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["customer", "id"], name="document_by_customer"),
            # What looks for those that have run out.
            models.Index(
                fields=["expires_on"],
                condition=Q(expires_on__isnull=False, status__in=["received", "accepted"]),
                name="document_runs_out",
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["customer", "sha256"], name="document_kept_once"),
            models.CheckConstraint(
                name="document_of_identity_has_an_end",
                condition=~Q(kind__in=[kind.value for kind in SHOWS_IDENTITY]) | Q(expires_on__isnull=False),
            ),
            models.CheckConstraint(name="document_hash_has_its_form", condition=Q(sha256__regex="^[0-9a-f]{64}$")),
        ]
        permissions = [
            ("download_document", "Can download what customers have sent"),
            ("reject_document", "Can reject what a customer has sent"),
        ]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return self.get_kind_display()

    @transition(field=status, source=DocumentStatus.RECEIVED, target=DocumentStatus.ACCEPTED)
    def accept(self) -> None:
        """With the check that it was sent for."""

    @transition(field=status, source=[DocumentStatus.RECEIVED, DocumentStatus.ACCEPTED], target=DocumentStatus.REJECTED)
    def reject(self) -> None:
        """With that check, or by staff who look at it again."""

    @transition(field=status, source=[DocumentStatus.RECEIVED, DocumentStatus.ACCEPTED], target=DocumentStatus.EXPIRED)
    def expire(self) -> None:
        """Its last day is over."""


class DocumentAccess(models.Model):
    """Who of staff has had a document's file, and when. Append-only."""

    id = models.BigAutoField(primary_key=True)
    document = models.ForeignKey(Document, on_delete=models.PROTECT, related_name="accesses")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    request_id = models.CharField(max_length=64, blank=True)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ("view",)
        ordering = ["id"]
        verbose_name = "look at a document"
        verbose_name_plural = "looks at documents"

    def __str__(self) -> str:
        return f"{self.document_id} by {self.user_id}"
