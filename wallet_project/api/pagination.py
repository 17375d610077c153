"""Pages by key: `{"results": […], "next": url or null}`. A page costs the same at the start and a million rows in.

Ids are UUIDv7 (or bigint identities), so `ORDER BY id DESC` is newest first and the id alone is the position: no
offset, no count, and nothing shown twice when rows are added meanwhile.
"""

import base64
import binascii
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol
from uuid import UUID

from django.db.models import QuerySet
from django.db.models.fields import UUIDField
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from wallet_project.api.queries import parameters
from wallet_project.utils.errors import InvalidInput

if TYPE_CHECKING:
    # The framework's views import this module while they are being imported themselves.
    from rest_framework.views import APIView

MAX_PAGE_SIZE: Final = 100
_MAX_BIGINT: Final = 2**63 - 1


class Rows(Protocol):
    """What a reader of its own found, newest first."""

    @property
    def rows(self) -> Sequence[Any]: ...

    @property
    def stopped_at(self) -> UUID | int | None:
        """Where it stopped to look, when it looked at as many rows as it may at once; None at the end of the list."""
        ...


class BadCursor(InvalidInput):
    code = "bad_cursor"
    message = "The cursor is not one that we gave; start from the first page."


class BadPageSize(InvalidInput):
    code = "bad_page_size"
    message = f"A page has 1 to {MAX_PAGE_SIZE} results: send limit=1..{MAX_PAGE_SIZE}."


class IdCursorPagination(BasePagination):
    """Newest first. A view may set `page_position`, the field to page by, when it is not `id`, and `query_shape`
    (api.serializers.QuerySerializer) when it reads parameters of its own; any other parameter is refused."""

    page_size: ClassVar[int] = 50
    cursor_parameter: ClassVar[str] = "cursor"
    limit_parameter: ClassVar[str] = "limit"
    own_parameters: ClassVar[tuple[str, ...]] = (cursor_parameter, limit_parameter)

    def paginate_queryset(self, queryset: Any, request: Request, view: "APIView | None" = None) -> list[Any]:
        """Raises BadCursor, BadPageSize, UnknownParameter, RepeatedParameter."""
        if getattr(view, "query_shape", None) is None:
            parameters(request, self.own_parameters.__contains__)
        self._url = request.build_absolute_uri()
        self._field = getattr(view, "page_position", "id")
        limit = _limit(request.query_params.get(self.limit_parameter), self.page_size)
        if cursor := request.query_params.get(self.cursor_parameter):
            position = decode_cursor(cursor, uuid=isinstance(_position_field(queryset, self._field), UUIDField))
            queryset = queryset.filter(**{f"{self._field}__lt": position})
        rows = list(queryset.order_by(f"-{self._field}")[: limit + 1])
        page = rows[:limit]
        self._next = getattr(page[-1], self._field) if len(rows) > limit else None
        return page

    def paginate_rows(
        self,
        read: Callable[[Any, int], Rows | list[Any]],
        request: Request,
        *,
        numbered: bool = False,
        checked: bool = False,
        position_of: Callable[[Any], UUID | int] | None = None,
    ) -> list[Any]:
        """The same for rows that `read(before, limit)` finds by itself. Their position is `id`, or `sequence` where
        they are numbered, or what `position_of` makes of them. A search that may stop early says where
        (`Rows.stopped_at`): the page is then shorter than it could be, and not the last one.

        `checked`: the view has looked at the parameters. Raises BadCursor, BadPageSize, UnknownParameter,
        RepeatedParameter."""
        if not checked:
            parameters(request, self.own_parameters.__contains__)
        self._url = request.build_absolute_uri()
        limit = _limit(request.query_params.get(self.limit_parameter), self.page_size)
        cursor = request.query_params.get(self.cursor_parameter)
        found = read(decode_cursor(cursor, uuid=not numbered) if cursor else None, limit + 1)
        rows, stopped_at = (found, None) if isinstance(found, list) else (found.rows, found.stopped_at)
        position_of = position_of or attrgetter("sequence" if numbered else "id")
        self._next = position_of(rows[limit - 1]) if len(rows) > limit else stopped_at
        return list(rows[:limit])

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"results": data, "next": self.next_link()})

    def next_link(self) -> str | None:
        if self._next is None:
            return None
        link: str = replace_query_param(self._url, self.cursor_parameter, encode_cursor(self._next))
        return link

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        return {
            "type": "object",
            "required": ["results", "next"],
            "properties": {
                "results": schema,
                "next": {
                    "type": ["string", "null"],
                    "format": "uri",
                    "description": "The next page; null on the last one.",
                },
            },
        }

    def get_schema_operation_parameters(self, view: "APIView") -> list[dict[str, Any]]:
        return [
            {
                "name": self.cursor_parameter,
                "in": "query",
                "required": False,
                "description": "From `next` of the page before. Opaque.",
                "schema": {"type": "string"},
            },
            {
                "name": self.limit_parameter,
                "in": "query",
                "required": False,
                "description": "Results on a page.",
                "schema": {"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE, "default": self.page_size},
            },
        ]


def encode_cursor(position: UUID | int) -> str:
    raw = position.bytes if isinstance(position, UUID) else position.to_bytes(8, "big")
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def decode_cursor(cursor: str, *, uuid: bool) -> UUID | int:
    """The position that `encode_cursor` was given. It names a place in the caller's own list and grants nothing, so
    it is checked for its form and not signed. Raises BadCursor."""
    size = 16 if uuid else 8
    try:
        raw = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise BadCursor() from None
    if len(raw) != size:
        raise BadCursor()
    position: UUID | int = UUID(bytes=raw) if uuid else int.from_bytes(raw, "big")
    if not uuid and int.from_bytes(raw, "big") > _MAX_BIGINT:
        raise BadCursor()
    if encode_cursor(position) != cursor:
        raise BadCursor()
    return position


def _position_field(queryset: QuerySet[Any], name: str) -> Any:
    return queryset.model._meta.get_field(name)


def _limit(text: str | None, default: int) -> int:
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= MAX_PAGE_SIZE):
        raise BadPageSize()
    return int(text)
