"""What the sandbox needs to know, read from its environment."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

FIRST_PORT = 8090
LAST_PORT = 8189


class BadConfiguration(Exception):
    """The environment is not one that the sandbox can run in; the message says which variable."""


@dataclass(frozen=True, slots=True)
class Timing:
    """All in seconds. A hang outlasts the wallet's bound on a call (10 s) unless a test makes both short."""

    settle: float = 0.2
    slow: float = 30.0
    hang: float = 15.0
    callback_backoff: float = 0.5
    callback_backoff_cap: float = 60.0
    callback_timeout: float = 5.0
    callback_tries: int = 12


@dataclass(frozen=True, slots=True)
class SandboxConfig:
    """`port` 0 is any free one and None the first free one from FIRST_PORT. Without `wallet_url` no callback is sent;
    they are still kept, for whoever reads them at the control endpoint."""

    data: Path
    identity_api_key: str = field(repr=False)
    bank_api_key: str = field(repr=False)
    identity_webhook_secret: str = field(repr=False)
    bank_webhook_secret: str = field(repr=False)
    wallet_url: str | None = None
    host: str = "127.0.0.1"
    port: int | None = None
    timing: Timing = Timing()


_REQUIRED = (
    "SANDBOX_DATA",
    "SANDBOX_IDENTITY_API_KEY",
    "SANDBOX_BANK_API_KEY",
    "SANDBOX_IDENTITY_WEBHOOK_SECRET",
    "SANDBOX_BANK_WEBHOOK_SECRET",
)


def from_environment(environ: Mapping[str, str]) -> SandboxConfig:
    """Raises BadConfiguration."""
    if missing := [name for name in _REQUIRED if not environ.get(name)]:
        raise BadConfiguration(f"set {', '.join(missing)}")
    for name in ("SANDBOX_IDENTITY_WEBHOOK_SECRET", "SANDBOX_BANK_WEBHOOK_SECRET"):
        _check_secret(name, environ[name])
    wallet_url = environ.get("SANDBOX_WALLET_URL", "").rstrip("/") or None
    if wallet_url is not None and (
        urlsplit(wallet_url).scheme not in ("http", "https") or not urlsplit(wallet_url).netloc
    ):
        raise BadConfiguration("SANDBOX_WALLET_URL is http(s)://host[:port][/path]")
    timing = Timing()
    return SandboxConfig(
        data=Path(environ["SANDBOX_DATA"]),
        identity_api_key=environ["SANDBOX_IDENTITY_API_KEY"],
        bank_api_key=environ["SANDBOX_BANK_API_KEY"],
        identity_webhook_secret=environ["SANDBOX_IDENTITY_WEBHOOK_SECRET"],
        bank_webhook_secret=environ["SANDBOX_BANK_WEBHOOK_SECRET"],
        wallet_url=wallet_url,
        host=environ.get("SANDBOX_HOST", "127.0.0.1"),
        port=_port(environ.get("SANDBOX_PORT", "")),
        timing=replace(
            timing,
            settle=_seconds(environ, "SANDBOX_SETTLE_SECONDS", timing.settle),
            slow=_seconds(environ, "SANDBOX_SLOW_SECONDS", timing.slow),
            hang=_seconds(environ, "SANDBOX_HANG_SECONDS", timing.hang),
        ),
    )


def _check_secret(name: str, secret: str) -> None:
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not 24 <= len(key) <= 64:
        raise BadConfiguration(f"{name} is whsec_ and the base64 of 24 to 64 random bytes")


def _port(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit()) or int(text) > 65535:
        raise BadConfiguration("SANDBOX_PORT is a number from 0 to 65535")
    return int(text)


def _seconds(environ: Mapping[str, str], name: str, default: float) -> float:
    try:
        seconds = float(environ.get(name) or default)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 86_400:
        raise BadConfiguration(f"{name} is a number of seconds")
    return seconds
