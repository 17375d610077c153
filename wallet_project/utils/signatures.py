"""Standard Webhooks (https://www.standardwebhooks.com): the signed HTTP messages that we receive and send.

A message carries `webhook-id`, `webhook-timestamp` and `webhook-signature`; the signature is an HMAC-SHA256 over id,
timestamp and body, so none of them can be changed or reused later than `TOLERANCE`.
"""

import base64
import binascii
import secrets as randomness
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from standardwebhooks import Webhook, WebhookVerificationError

from wallet_project.utils.errors import Unauthenticated

# What the package enforces, in both directions; named here because receivers must remember ids at least this long.
TOLERANCE = timedelta(minutes=5)
SECRET_PREFIX = "whsec_"  # noqa: S105
# The specification asks for 24 to 64 random bytes.
MIN_SECRET_BYTES = 24
MAX_SECRET_BYTES = 64
MAX_ID_LENGTH = 255


class BadSignature(Unauthenticated):
    """The message is not from whom it says, was changed, or is too old or too new. Nothing in it may be believed."""

    code = "bad_signature"
    message = "The message's signature is missing, wrong, or outside of the tolerated time."


def new_secret() -> str:
    """A fresh signing secret, in the form that both sides put into their settings."""
    return SECRET_PREFIX + base64.b64encode(randomness.token_bytes(32)).decode()


def configured_secrets(setting: str) -> list[str]:
    """The secrets in a setting: one, or several with commas between them while one replaces another."""
    return [secret.strip() for secret in setting.split(",") if secret.strip()]


def check_secret(secret: str) -> None:
    """Raises ValueError, without the secret in it, when it is malformed."""
    _webhook(secret)


def sign(*, secret: str, message_id: str, body: bytes, at: datetime) -> dict[str, str]:
    """The three headers to send with `body`. `at` must be aware."""
    # The package reads the clock face of what it is given as UTC, whatever its zone.
    moment = at.astimezone(UTC).replace(microsecond=0)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": _webhook(secret).sign(message_id, moment, body.decode()),
    }


def verify(*, secrets: Sequence[str], headers: Mapping[str, str], body: bytes) -> str:
    """The id of a message that one of `secrets` signed within the last five minutes, by the machine's clock.

    Give the raw bytes of the body as they came. Several secrets are valid at once while one replaces another. The id
    is the sender's: the same id again is the same message again. Raises BadSignature; ValueError when a secret is
    malformed or there is none (a mistake of ours, which must not look like one of the sender's).
    """
    if not secrets:
        raise ValueError("no webhook secret is configured")
    webhooks = [_webhook(secret) for secret in secrets]
    lowered = {name.lower(): value for name, value in headers.items()}
    message_id = lowered.get("webhook-id", "")
    if not 1 <= len(message_id) <= MAX_ID_LENGTH or not (message_id.isascii() and message_id.isprintable()):
        raise BadSignature
    for webhook in webhooks:
        try:
            webhook.verify(body, lowered, json_parse=False)
        # A ValueError is how the package meets a malformed signature header or a body that is not UTF-8.
        except (WebhookVerificationError, ValueError):
            continue
        return message_id
    raise BadSignature


def _webhook(secret: str) -> Webhook:
    # The package drops characters that are not base64, which could leave a key that anyone guesses.
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("a webhook secret is base64, with or without the prefix whsec_") from error
    if not MIN_SECRET_BYTES <= len(key) <= MAX_SECRET_BYTES:
        raise ValueError(f"a webhook secret has {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} bytes, this one {len(key)}")
    return Webhook(key)
