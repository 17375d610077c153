"""What customers have sent: how it was judged, who has looked at it, and the file for those who may have it."""

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminTextareaWidget

from accounts.admin.history import history_panel
from accounts.models import Customer
from accounts.staff import staff_actor
from compliance.document_files import ENDINGS, FileDamaged
from compliance.models import Document, DocumentAccess, KycCheck, StateChange
from compliance.services.documents import DOWNLOAD_DOCUMENT, REJECT_DOCUMENT, download, reject_document
from compliance.states import DocumentStatus
from wallet_project.utils.admin import (
    BigTableAdmin,
    CreatedFilter,
    ExactSearchMixin,
    Panel,
    StaffAction,
    StaffActionsMixin,
    badge,
    instant,
    link,
    link_to,
    register_panel,
    table,
)
from wallet_project.utils.admin.actions import ReasonForm

SHOWN = 50


class RejectionForm(ReasonForm):
    customer_reason = forms.CharField(
        label="What the customer is told",
        max_length=200,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}),
        help_text="In words for him: what to send instead.",
    )


def _reject(request: HttpRequest, document: Document, values: dict[str, Any]) -> str:
    reject_document(
        actor=staff_actor(request.user),
        document_id=document.id,
        customer_reason=values["customer_reason"],
        reason=values["reason"],
        now=timezone.now(),
    )
    return "The document is rejected."


@admin.register(Document)
class DocumentAdmin(StaffActionsMixin, ExactSearchMixin, BigTableAdmin):
    page_hint = "One file that a customer has sent. It is judged, never changed; who downloads it goes on record."
    list_title = "Documents"
    list_display = ["name", "customer_link", "state", "expires_on", "created"]
    list_filter = ["status", "kind", CreatedFilter]
    search_ids = ("id", "customer_id")
    search_emails = ("customer__user__email__startswith",)
    search_help_text = "The beginning of an e-mail address, or a whole document or customer id"
    fields = [
        "id", "customer_link", "kind", "state", "reason", "expires_on", "media_type", "size", "sha256", "file_link",
        "created_at", "decided_at",
    ]  # fmt: skip
    ordering = ["-id"]
    staff_actions = (
        StaffAction(
            name="reject",
            label="Reject",
            permission=REJECT_DOCUMENT,
            consequence="Nobody relies on this document any more. If the customer's level needs it, he has the basic "
            "level from now on, with its limits. He sees what you tell him.",
            perform=_reject,
            available=lambda request, row: row.status in (DocumentStatus.RECEIVED, DocumentStatus.ACCEPTED),
            form=RejectionForm,
            tone="danger",
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Document]:
        rows: QuerySet[Document] = super().get_queryset(request)
        return rows.select_related("customer__user", "customer__profile")

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.file_view)
        return [path("<uuid:document_id>/file/", view, name="compliance_document_file"), *super().get_urls()]

    def file_view(self, request: HttpRequest, document_id: Any) -> HttpResponse:
        """The file, as something to keep and never as something to show: it came from a stranger."""
        if request.method != "GET":
            return HttpResponseNotAllowed(["GET"])
        if not request.user.has_perm(DOWNLOAD_DOCUMENT):
            raise PermissionDenied
        if not Document.objects.filter(id=document_id).exists():
            raise Http404("there is no such document")
        try:
            document, content = download(actor=staff_actor(request.user), document_id=document_id)
        except FileDamaged as error:
            return HttpResponse(error.message, status=503, content_type="text/plain; charset=utf-8")
        name = f"{document.kind}-{document.id}.{ENDINGS[document.media_type]}"
        return HttpResponse(
            content,
            content_type=document.media_type,
            headers={
                "Content-Disposition": f'attachment; filename="{name}"',
                "X-Content-Type-Options": "nosniff",
                "Content-Security-Policy": "default-src 'none'; sandbox",
                "Cache-Control": "no-store",
            },
        )

    def row_title(self, row: Document) -> str:
        return f"{row} of {row.customer}"

    @admin.display(description="document")
    def name(self, row: Document) -> str:
        return str(row)

    @admin.display(description="customer")
    def customer_link(self, row: Document) -> str:
        return link_to(row.customer)

    @admin.display(description="status")
    def state(self, row: Document) -> str:
        return badge(row.status)

    @admin.display(description="sent (UTC)")
    def created(self, row: Document) -> str:
        return instant(row.created_at)

    @admin.display(description="file")
    def file_link(self, row: Document) -> str:
        return format_html('<a href="{}">Download</a> (goes on record)', file_address(row))


@admin.register(DocumentAccess)
class DocumentAccessAdmin(ExactSearchMixin, BigTableAdmin):
    page_hint = "Who has had a document's file."
    list_title = "Looks at documents"
    list_display = ["when", "user", "document_link"]
    search_ids = ("document_id", "user_id")
    search_emails = ("user__email__startswith",)
    search_help_text = "The beginning of an e-mail address of staff, or a whole document or user id"
    fields = ["when", "user", "document_link", "request_id"]
    list_select_related = ("user", "document")
    ordering = ["-id"]

    def row_title(self, row: DocumentAccess) -> str:
        return f"look of {instant(row.at)}"

    @admin.display(description="when (UTC)")
    def when(self, row: DocumentAccess) -> str:
        return instant(row.at)

    @admin.display(description="document")
    def document_link(self, row: DocumentAccess) -> str:
        return link(Document, row.document_id, str(row.document))


def file_address(document: Document) -> str:
    return reverse("admin:compliance_document_file", args=[document.id])


def documents_table(documents: QuerySet[Document]) -> SafeString:
    rows = [
        (
            link(Document, each.id, str(each)),
            badge(each.status),
            each.expires_on.isoformat() if each.expires_on else "–",
            f"{each.size:,} bytes, {each.media_type}",
            instant(each.created_at),
        )
        for each in documents.order_by("-id")[:SHOWN]
    ]
    return table(["Document", "Status", "Valid until", "File", "Sent (UTC)"], rows, empty="None was sent.")


def documents_of_customer(request: HttpRequest, row: Customer) -> SafeString:
    return documents_table(Document.objects.filter(customer=row))


def documents_of_check(request: HttpRequest, row: KycCheck) -> SafeString | None:
    return documents_table(row.documents.all()) if row.documents.exists() else None


def looks_at(request: HttpRequest, row: Document) -> SafeString:
    looks = DocumentAccess.objects.filter(document=row).select_related("user").order_by("-id")[:SHOWN]
    return table(["Who", "When (UTC)"], [(each.user, instant(each.at)) for each in looks], empty="Nobody yet.")


register_panel(Customer, Panel("Documents", documents_of_customer, "compliance.view_document", order=32))
register_panel(KycCheck, Panel("Documents", documents_of_check, "compliance.view_document", order=20))
register_panel(Document, Panel("Who has had the file", looks_at, "compliance.view_documentaccess", order=20))
register_panel(Document, history_panel(StateChange, permission="compliance.view_statechange"))
