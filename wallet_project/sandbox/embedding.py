"""The sandbox inside another process, for tests."""

import secrets
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from wallet_project.sandbox.bank import Bank
from wallet_project.sandbox.book import Book
from wallet_project.sandbox.callbacks import SignedCallback
from wallet_project.sandbox.config import SandboxConfig, Timing
from wallet_project.sandbox.identity import IdentityProvider
from wallet_project.sandbox.sandbox import Sandbox
from wallet_project.sandbox.server import bind

# Everything happens at once, and a hang is over before a test grows old.
QUICK = Timing(settle=0.01, slow=0.2, hang=0.5, callback_backoff=0.02, callback_backoff_cap=0.1, callback_timeout=5.0)


@dataclass(frozen=True, slots=True)
class RunningSandbox:
    """`url` is the base for both services. The parts may be asked and told directly, beside HTTP."""

    url: str
    config: SandboxConfig
    sandbox: Sandbox

    @property
    def book(self) -> Book:
        return self.sandbox.book

    @property
    def bank(self) -> Bank:
        return self.sandbox.bank

    @property
    def identity(self) -> IdentityProvider:
        return self.sandbox.identity

    def callbacks(self, service: str | None = None) -> list[SignedCallback]:
        """Every callback so far, signed as of now: for a test that hands them to the wallet itself."""
        return self.sandbox.callbacks(service)

    def wallet_settings(self) -> dict[str, str]:
        """What the wallet's settings say so that it talks to this sandbox and believes its callbacks."""
        return {
            "IDENTITY_URL": self.url,
            "IDENTITY_API_KEY": self.config.identity_api_key,
            "IDENTITY_WEBHOOK_SECRET": self.config.identity_webhook_secret,
            "BANK_URL": self.url,
            "BANK_API_KEY": self.config.bank_api_key,
            "BANK_WEBHOOK_SECRET": self.config.bank_webhook_secret,
        }


def fresh_config(
    data: Path, *, wallet_url: str | None = None, timing: Timing = QUICK, port: int | None = 0
) -> SandboxConfig:
    """A configuration with new keys; used again, it opens the same book to the same callers."""
    return SandboxConfig(
        data=data,
        identity_api_key=secrets.token_urlsafe(24),
        bank_api_key=secrets.token_urlsafe(24),
        identity_webhook_secret="whsec_" + b64encode(secrets.token_bytes(32)).decode(),
        bank_webhook_secret="whsec_" + b64encode(secrets.token_bytes(32)).decode(),
        wallet_url=wallet_url,
        port=port,
        timing=timing,
    )


@contextmanager
def running_sandbox(config: SandboxConfig) -> Iterator[RunningSandbox]:
    """Serve on a free port of the loopback address until the block ends."""
    sandbox = Sandbox(config)
    server = bind(sandbox, config, log=False)
    sandbox.start()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="sandbox-http", daemon=True)
    thread.start()
    try:
        yield RunningSandbox(f"http://{config.host}:{server.server_port}", config, sandbox)
    finally:
        server.end()
        thread.join()
        sandbox.stop()
