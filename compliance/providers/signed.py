"""Any identity provider behind HTTP, by messages that each side signs: docs/kyc.md is the contract for the other side.

What goes out and what calls back carries the same three headers (Standard Webhooks). Files go one by one before the
check that names them, so that no call is larger than one of them.
"""

import base64
from collections.abc import Mapping
from dataclasses import asdict
from functools import lru_cache
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from compliance.providers.identity import IdentityAnswer, IdentityDocument, IdentityRequest, read_answer
from wallet_project.utils.http_client import CallLimits, JsonObject, ProviderClient, ProviderNotConfigured
from wallet_project.utils.ids import uuid7
from wallet_project.utils.signatures import sign

#: An answer is kept as it came, for ever: more than this is no answer.
SIGNED_LIMITS: Final = CallLimits(max_response_bytes=64 * 1024)


class Paths(NamedTuple):
    """Below the provider's address. `check` has `{reference}` in it."""

    checks: str = "/checks"
    check: str = "/checks/{reference}"
    documents: str = "/documents"


class SignedIdentityProvider:
    """Threads may share it."""

    def __init__(self, client: ProviderClient, paths: Paths) -> None:
        self._client, self._paths = client, paths

    def submit(self, check: IdentityRequest) -> IdentityAnswer:
        for document in check.documents:
            self._send(check.reference, document)
        body: JsonObject = {
            "reference": check.reference,
            "level": check.level,
            "callback_url": check.callback_url,
            "profile": asdict(check.profile),
            "documents": [document.described() for document in check.documents],
        }
        raw = self._client.post(self._paths.checks, body, idempotency_key=check.reference)
        return read_answer(raw, reference=check.reference)

    def status(self, reference: str) -> IdentityAnswer | None:
        raw = self._client.find(self._paths.check.format(reference=quote(reference, safe="")))
        return None if raw is None else read_answer(raw, reference=reference)

    def _send(self, reference: str, document: IdentityDocument) -> None:
        body = {
            "reference": reference,
            **document.described(),
            "content": base64.b64encode(document.content()).decode(),
        }
        self._client.post(self._paths.documents, body, idempotency_key=f"{reference}-{document.id}")


def from_settings() -> SignedIdentityProvider:
    """The one at IDENTITY_URL, which knows us by what we sign with IDENTITY_SIGNING_SECRET. Raises
    ProviderNotConfigured."""
    if not settings.IDENTITY_URL or not settings.IDENTITY_SIGNING_SECRET:
        raise ProviderNotConfigured("No identity provider is configured (IDENTITY_URL, IDENTITY_SIGNING_SECRET).")
    return signed_provider(settings.IDENTITY_URL, settings.IDENTITY_SIGNING_SECRET, paths(settings.IDENTITY_PATHS))


@lru_cache(maxsize=8)
def signed_provider(base_url: str, secret: str, at: Paths) -> SignedIdentityProvider:
    """One per provider and process, so that its connections are reused."""

    def signer(key: str, content: bytes) -> Mapping[str, str]:
        # Under the key of what is sent, so that a message that is sent again is known by its id.
        return sign(secret=secret, message_id=key or str(uuid7()), body=content, at=timezone.now())

    return SignedIdentityProvider(ProviderClient(base_url=base_url, signer=signer, limits=SIGNED_LIMITS), at)


def paths(own: Any) -> Paths:
    """The default paths overlaid with settings.IDENTITY_PATHS. Raises ImproperlyConfigured."""
    if not isinstance(own, dict) or not own.keys() <= set(Paths._fields):
        raise ImproperlyConfigured(f"IDENTITY_PATHS is an object of paths for {', '.join(Paths._fields)}.")
    at = Paths()._replace(**own)
    if not all(isinstance(path, str) and path.startswith("/") for path in at) or "{reference}" not in at.check:
        raise ImproperlyConfigured("IDENTITY_PATHS: each begins with /, and that of `check` has {reference} in it.")
    return at
