"""Public ids: UUIDv7 (RFC 9562), so that the primary key's order is the order of creation, near enough to page by."""

from uuid import UUID

from uuid6 import uuid7 as _uuid7


def uuid7() -> UUID:
    # A plain uuid.UUID: the package's subclass would fail exact type checks such as psycopg's dumpers'.
    return UUID(int=_uuid7().int)
