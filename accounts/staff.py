"""Members of staff as actors, and the check that belongs under a use case's lock."""

from typing import Final

from django.contrib.auth.models import AnonymousUser

from accounts.models import Customer, Principal, User
from wallet_project.utils.context import Actor
from wallet_project.utils.errors import InvalidInput, NotAllowed

FREEZE_ACCOUNT: Final = "accounts.freeze_account"
RESTART_VERIFICATION: Final = "accounts.restart_verification"
LOWER_LEVEL: Final = "accounts.lower_level"


class PermissionMissing(NotAllowed):
    """`permission` is the one that is missing."""

    code = "permission_missing"
    message = "You may not do this (any more); ask an administrator."


class AboutYourself(NotAllowed):
    code = "about_yourself"
    message = "This is about yourself; a colleague does it."


class ReasonRequired(InvalidInput):
    code = "reason_required"
    message = "Say why; the reason is kept for good."


def staff_actor(user: User | AnonymousUser) -> Actor:
    """Who acts when this member of staff does something. Raises PermissionMissing for somebody who is not logged in."""
    if not isinstance(user, User):
        raise PermissionMissing()
    principal_id = Principal.objects.values_list("id", flat=True).get(user=user)
    return Actor(principal_id=principal_id, customer_id=None, kind="user")


def require_permission(actor: Actor, permission: str) -> None:
    """Ask the database, not the session: to be called once the use case holds its lock, as the last word.

    The system may do everything. Raises PermissionMissing.
    """
    if actor.kind == "system":
        return
    # A fresh object, so that no permission cached earlier in the request is believed.
    user = User.objects.filter(principal=actor.principal_id, is_active=True, is_staff=True).first()
    if user is None or not user.has_perm(permission):
        raise PermissionMissing(permission=permission)


def require_colleague(actor: Actor, customer: Customer | None) -> None:
    """Members of staff do nothing about themselves. Raises AboutYourself."""
    if customer is not None and Principal.objects.filter(id=actor.principal_id, user=customer.user_id).exists():
        raise AboutYourself()


def given_reason(text: str) -> str:
    """What a member of staff gave as the reason, trimmed. Raises ReasonRequired."""
    if not text.strip():
        raise ReasonRequired(fields={"reason": "This may not be empty."})
    return text.strip()
