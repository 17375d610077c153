"""Staff login. Guessing is slowed down; a second factor for staff is noted for later (docs/decisions)."""

import hashlib
from typing import Any, Final

from django.core.exceptions import ValidationError
from unfold.forms import AuthenticationForm

from wallet_project.utils import volatile

WINDOW_SECONDS: Final = 15 * 60
#: Attempts in a window without a success. An account has room for more than one address may use up, so that a stranger
#: can't easily lock an officer out of the queue.
ATTEMPTS_OF_ADDRESS_ON_ACCOUNT: Final = 5
ATTEMPTS_ON_ACCOUNT: Final = 30
ATTEMPTS_OF_ADDRESS: Final = 60


class ThrottledLoginForm(AuthenticationForm):  # type: ignore[misc]
    """Refuses, before a password is looked at, once there were too many attempts. While Redis is away nothing is
    counted; the slow password hash remains as the brake."""

    def clean(self) -> dict[str, Any]:
        # E-mail addresses are kept in lower case, and a differently written one must not be a fresh counter.
        name = str(self.cleaned_data.get("username") or "").strip().lower()
        self.cleaned_data["username"] = name
        address = str(self.request.META.get("REMOTE_ADDR", "")) if self.request else ""
        limits = {
            _key("both", name, address): ATTEMPTS_OF_ADDRESS_ON_ACCOUNT,
            _key("account", name): ATTEMPTS_ON_ACCOUNT,
            _key("address", address): ATTEMPTS_OF_ADDRESS,
        }
        # Counted before the answer is known: guesses made at the same moment must not slip past together.
        counts = {key: volatile.count(key, seconds=WINDOW_SECONDS) or 0 for key in limits}
        if any(counts[key] > limit for key, limit in limits.items()):
            raise ValidationError("Too many attempts. Wait a quarter of an hour and try again.", code="throttled")
        values: dict[str, Any] = super().clean()
        for key in limits:
            volatile.drop(key)
        return values


def _key(*parts: str) -> str:
    # Hashed: neither a name nor an address belongs in Redis in the clear, and keys must not have spaces.
    return f"admin-login:{hashlib.sha256('|'.join(parts).encode()).hexdigest()[:32]}"
