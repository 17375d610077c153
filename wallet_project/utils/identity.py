"""Who a session token belongs to, without asking the database on every request.

allauth's app client sends the key of a Django session as its token. What the database says of it is remembered in
Redis for a short while, under the token's hash. It is forgotten at once when the session goes (logout, a changed
password, a session ended elsewhere) and when the user is saved (deactivated, another password); when Redis cannot be
told of that, the short life bounds the error.

A slow reader must not bring back what was forgotten meanwhile. Of a session, a tombstone stays behind, and filling
never overwrites. Of a user, a generation is changed after the commit; an entry of an older generation is not believed.
"""

import hashlib
import json
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from allauth.core.internal.sessionkit import get_session_user
from allauth.headless.internal.sessionkit import lookup_session
from django.conf import settings
from django.contrib.auth import SESSION_KEY, get_user_model
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models.signals import post_delete, post_save
from django.utils.module_loading import import_string

from wallet_project.utils import volatile
from wallet_project.utils.context import Actor

#: How long an entry is believed; the longest that a forgotten one can survive when Redis could not be told.
ENTRY_SECONDS: Final = 30
# Longer than any entry or any request in flight that might still write one.
_FORGOTTEN_SECONDS: Final = 120
_TOMBSTONE: Final = "gone"
_FIRST_GENERATION: Final = ""
# Django's session keys; anything else is not worth a query.
_TOKEN = re.compile(r"[a-z0-9]{32}", re.ASCII)

# One round trip: the token's entry if its user's generation is still the one it was written in and, where somebody
# counts, the user's calls with this one among them. Who is not remembered is not counted.
# KEYS: the token's entry. ARGV: what the names of generations begin with; what the counter's name begins and ends with
# around the user's id, and the seconds that it lives, or nothing.
_ADMIT: Final = volatile.Script(
    """
    local entry = redis.call('GET', KEYS[1])
    if not entry then return false end
    local identity = cjson.decode(entry)
    if type(identity) ~= 'table' then return false end
    local generation = redis.call('GET', ARGV[1] .. identity[1])
    generation = generation and cjson.decode(generation) or ''
    if generation ~= identity[4] then return false end
    if not ARGV[2] then return {entry, false} end
    local counter = ARGV[2] .. identity[1] .. ARGV[3]
    local calls = redis.call('INCR', counter)
    if calls == 1 then redis.call('EXPIRE', counter, ARGV[4]) end
    return {entry, calls}
    """
)

IdentityLoader = Callable[[UUID], tuple[UUID, UUID | None]]


@dataclass(frozen=True, slots=True)
class Identity:
    """`customer_id` is None for staff."""

    user_id: UUID
    principal_id: UUID
    customer_id: UUID | None

    def actor(self) -> Actor:
        return Actor(principal_id=self.principal_id, customer_id=self.customer_id, kind="user")


@dataclass(frozen=True, slots=True)
class Counter:
    """A counter of a user's calls: its name around the user's id, and the seconds that it lives."""

    before: str
    after: str
    seconds: int


def resolve(token: str) -> Identity | None:
    """Whose token this is; None when it is nobody's, has expired, or its user may not log in."""
    if not _TOKEN.fullmatch(token):
        return None
    key = _token_key(token)
    found = _remembered(key)
    return found[0] if found else _looked_up(token, key)


def admit(token: str, counter: Counter | None) -> tuple[Identity, int | None] | None:
    """Whose token this is as far as Redis knows, and how often he has called; in one round trip.

    None when Redis does not know, and then nothing was counted: `resolve` finds out."""
    return _remembered(_token_key(token), counter) if _TOKEN.fullmatch(token) else None


def forget_session(token: str) -> None:
    volatile.overwrite(_token_key(token), _TOMBSTONE, seconds=_FORGOTTEN_SECONDS)


def forget_user(user_id: UUID) -> None:
    """Once what is open here has committed, believe nothing older about this user. For changes that no signal of the
    user's row tells of: a new customer, `QuerySet.update()`."""
    generation = secrets.token_hex(8)
    transaction.on_commit(
        lambda: volatile.overwrite(_user_key(user_id), generation, seconds=_FORGOTTEN_SECONDS), robust=True
    )


def watch() -> None:
    """Called once, when the project starts: forget what is deleted or saved through the ORM."""
    post_delete.connect(_session_deleted, sender=Session, dispatch_uid="identity.session")
    for signal in (post_save, post_delete):
        signal.connect(_user_changed, sender=get_user_model(), dispatch_uid="identity.user")


def _session_deleted(instance: Session, **_: Any) -> None:
    forget_session(instance.session_key)


def _user_changed(instance: Any, **_: Any) -> None:
    forget_user(instance.pk)


def _remembered(key: str, counter: Counter | None = None) -> tuple[Identity, int | None] | None:
    arguments: list[str | int] = [volatile.stored_name(_user_key(""))]
    if counter is not None:
        arguments += [volatile.stored_name(counter.before), counter.after, counter.seconds]
    found = volatile.run(_ADMIT, [key], arguments)
    if found is None:
        return None
    user_id, principal_id, customer_id, _ = json.loads(found[0])
    return Identity(UUID(user_id), UUID(principal_id), UUID(customer_id) if customer_id else None), found[1]


def _looked_up(token: str, key: str) -> Identity | None:
    session = lookup_session(token)
    if session is None or not (raw_user_id := session.get(SESSION_KEY)):
        return None
    # Read before the user is: what changes from here on makes this generation old.
    generation = _generation(str(raw_user_id))
    user = get_session_user(session)
    if user is None:
        return None
    principal_id, customer_id = _loader()(user.pk)
    if generation is not None:
        entry = [str(user.pk), str(principal_id), str(customer_id) if customer_id else None, generation]
        volatile.add(key, entry, seconds=_entry_seconds(session))
    return Identity(user.pk, principal_id, customer_id)


def _generation(user_id: str) -> str | None:
    """None when Redis cannot be asked."""
    found = volatile.fetch(_user_key(user_id))
    return None if found is None else str(found.get(_user_key(user_id), _FIRST_GENERATION))


def _entry_seconds(session: SessionBase) -> int:
    return max(1, min(ENTRY_SECONDS, session.get_expiry_age()))


def _loader() -> IdentityLoader:
    loader: IdentityLoader = import_string(settings.API_IDENTITY_LOADER)
    return loader


def _token_key(token: str) -> str:
    # Whoever reads Redis must not find tokens in it.
    return f"identity:token:{hashlib.sha256(token.encode('ascii')).hexdigest()}"


def _user_key(user_id: UUID | str) -> str:
    return f"identity:user:{user_id}"
