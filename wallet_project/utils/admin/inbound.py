"""The page of what others told us; each app that has a webhook registers one for its own rows."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import Q

from wallet_project.utils.admin.columns import instant, named_values
from wallet_project.utils.admin.filters import CreatedFilter
from wallet_project.utils.admin.readonly import BigTableAdmin
from wallet_project.utils.admin.search import ExactSearchMixin


class ReceivedFilter(CreatedFilter):
    title = "received"
    column = "received_at"


class InboundEventAdmin(ExactSearchMixin, BigTableAdmin):
    page_hint = "What came in, raw and once, before anything acted on it."
    list_display = ["event_id", "kind", "received", "processed", "attempts", "last_error"]
    list_filter = [ReceivedFilter]
    search_ids = ("event_id",)
    search_texts = ("event_id",)
    search_help_text = "The sender's whole event id"
    fields = ["event_id", "kind", "payload_values", "received_at", "processed_at", "next_at", "attempts", "last_error"]
    ordering = ["-id"]

    def row_title(self, row: Any) -> str:
        return str(row.kind)

    def id_condition(self, identity: UUID) -> Q:
        return Q(event_id=str(identity))

    @admin.display(description="received (UTC)")
    def received(self, row: Any) -> str:
        at: datetime = row.received_at
        return instant(at)

    @admin.display(description="acted on (UTC)")
    def processed(self, row: Any) -> str:
        return instant(row.processed_at)

    @admin.display(description="message")
    def payload_values(self, row: Any) -> str:
        return named_values(row.payload, minor_units=True)
