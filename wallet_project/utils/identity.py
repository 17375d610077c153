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
import random
import re
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from allauth.core.internal.sessionkit import get_session_user
from allauth.headless.internal.sessionkit import session_store
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models.signals import post_delete, post_save
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.module_loading import import_string

from wallet_project.utils import volatile
from wallet_project.utils.context import Actor

#: How long an entry is believed at most, and half as long at least; so long can a forgotten one survive when Redis
#: could not be told.
ENTRY_SECONDS: Final = 30
# Longer than any entry or any request in flight that might still write one.
_FORGOTTEN_SECONDS: Final = 120
_TOMBSTONE: Final = "gone"
_FIRST_GENERATION: Final = ""
_UNCOUNTED: Final = ("", "", "")
# Django's session keys; anything else is not worth a query.
_TOKEN = re.compile(r"[a-z0-9]{32}", re.ASCII)

# One round trip: of each token the entry, if its user's generation is still the one it was written in, and where
# somebody counts, the user's calls with this one among them. Who is not remembered is not counted.
# KEYS: the tokens' entries. ARGV: what the names of generations begin with; then for each token what its counter's name
# begins and ends with around the user's id, and the seconds that it lives, or three times nothing.
_ADMIT: Final = volatile.Script(
    """
    local function admitted(entry, before, after, seconds)
        if not entry then return false end
        local identity = cjson.decode(entry)
        if type(identity) ~= 'table' then return false end
        local generation = redis.call('GET', ARGV[1] .. identity[1])
        generation = generation and cjson.decode(generation) or ''
        if generation ~= identity[4] then return false end
        if before == '' then return {entry, false} end
        local counter = before .. identity[1] .. after
        local calls = redis.call('INCR', counter)
        if calls == 1 then redis.call('EXPIRE', counter, seconds) end
        return {entry, calls}
    end
    local told = {}
    for number, key in ipairs(KEYS) do
        local at = 3 * number - 1
        told[number] = admitted(redis.call('GET', key), ARGV[at], ARGV[at + 1], ARGV[at + 2])
    end
    return told
    """
)


@dataclass(frozen=True, slots=True)
class Person:
    """A user with his principal and, unless he is staff, his customer."""

    user: Any
    principal_id: UUID
    customer_id: UUID | None


IdentityLoader = Callable[[Collection[UUID]], Mapping[UUID, Person]]


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
    [remembered] = admit([(token, None)])
    if remembered:
        return remembered[0]
    [found] = look_up([token])
    return found


def look_up(tokens: Sequence[str]) -> list[Identity | None]:
    """`resolve` for tokens that Redis does not know, and has it know them: two queries, two round trips to Redis."""
    sessions = _sessions({token for token in tokens if _TOKEN.fullmatch(token)})
    if not sessions:
        return [None] * len(tokens)
    users = {token: str(session[SESSION_KEY]) for token, session in sessions.items()}
    # Read before the users are: what changes from here on makes this generation old.
    generations = volatile.fetch(*{_user_key(user_id) for user_id in users.values()})
    people = _loader()({UUID(user_id) for user_id in users.values()})
    found: dict[str, Identity] = {}
    for token, user_id in users.items():
        person = people.get(UUID(user_id))
        if person is not None and _may_log_in(sessions[token], person.user):
            found[token] = Identity(person.user.pk, person.principal_id, person.customer_id)
    if generations is not None and found:
        volatile.add_all(
            {
                _token_key(token): (
                    _entry(who, generations.get(_user_key(who.user_id), _FIRST_GENERATION)),
                    _entry_seconds(sessions[token]),
                )
                for token, who in found.items()
            }
        )
    return [found.get(token) for token in tokens]


def admit(asked: Sequence[tuple[str, Counter | None]]) -> list[tuple[Identity, int | None] | None]:
    """Whose each token is as far as Redis knows, and how often he has called; in one round trip for all.

    None when Redis does not know, and then nothing was counted: `resolve` finds out."""
    known = [number for number, (token, _) in enumerate(asked) if _TOKEN.fullmatch(token)]
    admitted: list[tuple[Identity, int | None] | None] = [None] * len(asked)
    if not known:
        return admitted
    arguments: list[str | int] = [volatile.stored_name(_user_key(""))]
    for number in known:
        counter = asked[number][1]
        arguments += [volatile.stored_name(counter.before), counter.after, counter.seconds] if counter else _UNCOUNTED
    found = volatile.run(_ADMIT, [_token_key(asked[number][0]) for number in known], arguments)
    for number, told in zip(known, found or (), strict=False):
        if told is not None:
            admitted[number] = _identity(told[0]), told[1]
    return admitted


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


def _entry(who: Identity, generation: object) -> list[object]:
    customer = str(who.customer_id) if who.customer_id else None
    return [str(who.user_id), str(who.principal_id), customer, generation]


@lru_cache(maxsize=10_000)
def _identity(entry: bytes | str) -> Identity:
    """The same each time, so whoever comes again is not read again."""
    user_id, principal_id, customer_id, _ = json.loads(entry)
    return Identity(UUID(user_id), UUID(principal_id), UUID(customer_id) if customer_id else None)


def _sessions(tokens: Collection[str]) -> dict[str, SessionBase]:
    """By token, the sessions that somebody has logged in to and that have not expired; one query.

    As `allauth.headless.internal.sessionkit.lookup_session` finds each."""
    found = {}
    if tokens:
        for row in Session.objects.filter(session_key__in=tokens, expire_date__gt=timezone.now()):
            session = session_store(row.session_key)
            session._session_cache = session.decode(row.session_data)
            if session.get(SESSION_KEY):
                found[row.session_key] = session
    return found


def _may_log_in(session: SessionBase, user: Any) -> bool:
    """Whether it is an active user's own, of his present password; what is not plainly so, allauth decides."""
    own = session.get(HASH_SESSION_KEY, "")
    plain = session.get(BACKEND_SESSION_KEY) in settings.AUTHENTICATION_BACKENDS and user.is_active and own
    if plain and constant_time_compare(own, user.get_session_auth_hash()):
        return True
    return get_session_user(session) is not None


def _entry_seconds(session: SessionBase) -> int:
    # Those that came together, as after a start, are not to be asked for together again.
    drawn = random.randint(ENTRY_SECONDS // 2, ENTRY_SECONDS)  # noqa: S311 - not a secret
    return max(1, min(drawn, session.get_expiry_age()))


def _loader() -> IdentityLoader:
    loader: IdentityLoader = import_string(settings.API_IDENTITY_LOADER)
    return loader


def _token_key(token: str) -> str:
    # Whoever reads Redis must not find tokens in it.
    return f"identity:token:{hashlib.sha256(token.encode('ascii')).hexdigest()}"


def _user_key(user_id: UUID | str) -> str:
    return f"identity:user:{user_id}"
