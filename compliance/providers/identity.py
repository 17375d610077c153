"""Identity providers: who tells us whether a person is who they say.

A provider is asked once per check, under a reference derived from our own row, as often as need be. An answer that is
about anything else, or in a word that we do not know, is an error, never an approval.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Literal, Protocol, cast, get_args
from urllib.parse import quote

from django.conf import settings
from django.utils.module_loading import import_string

from wallet_project.utils.http_client import (
    DEFAULT_LIMITS,
    CallLimits,
    JsonObject,
    ProviderAnswerMismatch,
    ProviderClient,
    ProviderNotConfigured,
)

IdentityStatus = Literal["approved", "rejected", "review", "processing"]


@dataclass(frozen=True, slots=True)
class IdentityProfile:
    """What a provider is told of a person. `date_of_birth` is an ISO date, `country` ISO 3166 alpha-2.

    Personal: kept out of the repr, so that no log or traceback shows it.
    """

    first_name: str = field(repr=False)
    last_name: str = field(repr=False)
    date_of_birth: str = field(repr=False)
    country: str = field(repr=False)
    address: str = field(repr=False)
    document_type: str = field(repr=False)
    document_number: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class IdentityDocument:
    """What the customer sent for the check. `content` reads the file, which is never in a log or a traceback."""

    id: str
    kind: str
    media_type: str
    size: int
    sha256: str = field(repr=False)
    expires_on: str | None
    content: Callable[[], bytes] = field(repr=False, compare=False)

    def described(self) -> JsonObject:
        """Without the file itself."""
        return {name: getattr(self, name) for name in self.__slots__ if name != "content"}


@dataclass(frozen=True, slots=True)
class IdentityRequest:
    """`reference` is our derived key, one per check for ever; `callback_url` is where a later answer may be sent. A
    check of the full level comes with documents."""

    reference: str
    callback_url: str
    profile: IdentityProfile
    level: str = "basic"
    documents: tuple[IdentityDocument, ...] = ()


@dataclass(frozen=True, slots=True)
class IdentityAnswer:
    """What a provider said about a check, found to be about that check. `raw` is its answer as it came."""

    status: IdentityStatus
    provider_reference: str
    reason: str
    raw: JsonObject


class IdentityProvider(Protocol):
    def submit(self, check: IdentityRequest) -> IdentityAnswer:
        """Ask for the check. Safe to repeat: the reference is the idempotency key.

        Raises ProviderUnavailable (ask again), ProviderRefused and ProviderAnswerMismatch (a human looks).
        """
        ...

    def status(self, reference: str) -> IdentityAnswer | None:
        """What became of the check; None when the provider has never heard of it. Raises as `submit` does."""
        ...


class HttpIdentityProvider:
    """The provider's HTTP API. Threads may share it."""

    def __init__(self, client: ProviderClient) -> None:
        self._client = client

    def submit(self, check: IdentityRequest) -> IdentityAnswer:
        body: JsonObject = {
            "reference": check.reference,
            "callback_url": check.callback_url,
            "profile": asdict(check.profile),
        }
        if check.documents:
            # A check of the identity is asked for as ever, by providers that know of nothing else.
            body["level"] = check.level
            body["documents"] = [document.described() for document in check.documents]
        raw = self._client.post("/identity/v1/checks", body, idempotency_key=check.reference)
        return read_answer(raw, reference=check.reference)

    def status(self, reference: str) -> IdentityAnswer | None:
        raw = self._client.find(f"/identity/v1/checks/{quote(reference, safe='')}")
        return None if raw is None else read_answer(raw, reference=reference)


def read_answer(raw: JsonObject, *, reference: str) -> IdentityAnswer:
    """A check as the provider describes it in answers and callbacks. Raises ProviderAnswerMismatch when it is
    malformed or about another check than `reference`."""
    status, provider_reference, reason = raw.get("status"), raw.get("id"), raw.get("reason")
    if raw.get("reference") != reference:
        raise ProviderAnswerMismatch("the provider speaks of another check", raw=raw)
    if status not in get_args(IdentityStatus):
        raise ProviderAnswerMismatch("a status that we do not know", raw=raw)
    if not isinstance(provider_reference, str) or not provider_reference:
        raise ProviderAnswerMismatch("no id", raw=raw)
    return IdentityAnswer(
        status=cast(IdentityStatus, status),
        provider_reference=provider_reference,
        reason=reason if isinstance(reason, str) else "",
        raw=raw,
    )


def configured_identity_provider() -> IdentityProvider:
    """The provider of this deployment: what the factory that IDENTITY_PROVIDER names gives. Raises
    ProviderNotConfigured when there is none."""
    factory: Callable[[], IdentityProvider] = import_string(settings.IDENTITY_PROVIDER)
    return factory()


def from_settings() -> HttpIdentityProvider:
    """The one at IDENTITY_URL, which knows us by IDENTITY_API_KEY. Raises ProviderNotConfigured."""
    if not settings.IDENTITY_URL or not settings.IDENTITY_API_KEY:
        raise ProviderNotConfigured("No identity provider is configured (IDENTITY_URL, IDENTITY_API_KEY).")
    return http_identity_provider(settings.IDENTITY_URL, settings.IDENTITY_API_KEY)


@lru_cache(maxsize=8)
def http_identity_provider(base_url: str, api_key: str, limits: CallLimits = DEFAULT_LIMITS) -> HttpIdentityProvider:
    """One provider object per provider and process, so that its connections are reused."""
    return HttpIdentityProvider(ProviderClient(base_url=base_url, api_key=api_key, limits=limits))
