"""allauth's session token (header X-Session-Token), answered from the cache in `wallet_project.utils.identity`."""

from dataclasses import dataclass
from typing import ClassVar, Final
from uuid import UUID

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from wallet_project.api.problems import WWW_AUTHENTICATE
from wallet_project.utils import identity
from wallet_project.utils.context import Actor
from wallet_project.utils.errors import Unauthenticated

HEADER: Final = "X-Session-Token"


@dataclass(frozen=True, slots=True)
class ApiUser:
    """What a view needs of the user; the row is not loaded for it."""

    pk: UUID
    is_authenticated: ClassVar[bool] = True
    is_anonymous: ClassVar[bool] = False
    is_active: ClassVar[bool] = True

    @property
    def id(self) -> UUID:
        return self.pk

    def __str__(self) -> str:
        return str(self.pk)


class SessionTokenAuthentication(BaseAuthentication):
    """Sets `request.user` (ApiUser) and `request.actor` (Actor)."""

    def authenticate(self, request: Request) -> tuple[ApiUser, None] | None:
        token: str | None = request.headers.get(HEADER)
        if not token:
            return None
        who = identity.resolve(token)
        if who is None:
            raise AuthenticationFailed()
        # On Django's request: the framework's looks attributes up there, and middleware sees it too.
        request._request.actor = who.actor()  # type: ignore[attr-defined]
        return ApiUser(who.user_id), None

    def authenticate_header(self, request: Request) -> str:
        return WWW_AUTHENTICATE


def actor_of(request: Request) -> Actor:
    """Who acts. Raises Unauthenticated when nobody is logged in."""
    actor = getattr(request._request, "actor", None)
    if not isinstance(actor, Actor):
        raise Unauthenticated()
    return actor
