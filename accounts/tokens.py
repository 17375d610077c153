"""allauth's session tokens."""

import re
from typing import Final

from allauth.headless.internal.sessionkit import lookup_session
from allauth.headless.tokens.strategies.sessions import SessionTokenStrategy
from django.contrib.sessions.backends.base import SessionBase

# Django's session keys; the database refuses some of what a header can hold.
_TOKEN: Final = re.compile(r"[a-z0-9]{32}", re.ASCII)


class SessionTokens(SessionTokenStrategy):  # type: ignore[misc]
    """Named in settings.HEADLESS_TOKEN_STRATEGY."""

    def lookup_session(self, session_token: str) -> SessionBase | None:
        if not _TOKEN.fullmatch(session_token):
            return None
        session: SessionBase | None = lookup_session(session_token)
        return session
