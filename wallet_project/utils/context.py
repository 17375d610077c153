"""Who acts, and in which request."""

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

SYSTEM_PRINCIPAL_ID = UUID("00000000-0000-7000-8000-000000000001")

ActorKind = Literal["user", "client", "system"]

# Set by the middleware for a request and by the worker for a task; logs and state changes carry it.
request_id: ContextVar[str] = ContextVar("request_id", default="")


@dataclass(frozen=True, slots=True)
class Actor:
    """Whoever acts. `customer_id` is None for staff, clients and the system."""

    principal_id: UUID
    customer_id: UUID | None
    kind: ActorKind


def system_actor() -> Actor:
    return Actor(principal_id=SYSTEM_PRINCIPAL_ID, customer_id=None, kind="system")
