"""What `make run` and `make demo` keep below `.local/`, and the one lock that says who may."""

import base64
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from wallet_project.embedded.errors import EmbeddedError
from wallet_project.embedded.private_files import read_json, write_json, write_private


class DotLocal:
    """The folder and its files; none of them is ever committed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.logs = folder / "log"
        self.services = folder / "services.json"
        self.processes = folder / "processes.json"
        self.env = folder / "env"
        self.logins = folder / "logins"
        self.metrics = folder / "metrics"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Only one supervisor at a time. The kernel opens the lock again however its holder ends.

        Raises EmbeddedError when another has it."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except PermissionError as error:
            raise EmbeddedError(
                f"{self.folder} belongs to another user. Start as that user, or delete it (and its data)."
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            other = read_json(self.services)
            where = other.get("base_url", "it is still starting or stopping")
            raise EmbeddedError(
                f"A wallet is already running from this folder: {where} (pid {other.get('pid', 'unknown')}). "
                "Stop it with Ctrl-C in its terminal before you start another."
            ) from error
        else:
            yield
        finally:
            os.close(descriptor)

    def fresh_metrics(self) -> Path:
        """An empty folder for the counters that web and workers share while they run."""
        shutil.rmtree(self.metrics, ignore_errors=True)
        self.metrics.mkdir(parents=True)
        return self.metrics

    def secrets(self) -> dict[str, str]:
        """The development secrets of this folder, made on first use."""
        path = self.folder / "secrets.json"
        known = read_json(path)
        made = {name: value for name, value in _fresh_secrets().items() if name not in known}
        if made:
            write_json(path, {**known, **made})
        return {name: str(value) for name, value in {**known, **made}.items()}

    def publish(self, *, services: dict[str, Any], env: dict[str, str]) -> None:
        """Tell scripts and `manage.py` where everything is."""
        write_json(self.services, services)
        write_private(self.env, "".join(f"{name}={value}\n" for name, value in env.items()))

    def withdraw(self) -> None:
        """Nothing is there any more."""
        left = {name: value for name, value in read_json(self.services).items() if name not in {"base_url", "pid"}}
        if left:
            write_json(self.services, left)
        self.env.unlink(missing_ok=True)
        self.logins.unlink(missing_ok=True)


def _fresh_secrets() -> dict[str, str]:
    def webhook_secret() -> str:
        # Standard Webhooks: whsec_ and the base64 of 24 to 64 random bytes.
        return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()

    return {
        "SECRET_KEY": secrets.token_urlsafe(50),
        "IDENTITY_API_KEY": secrets.token_urlsafe(24),
        "IDENTITY_WEBHOOK_SECRET": webhook_secret(),
        "BANK_API_KEY": secrets.token_urlsafe(24),
        "BANK_WEBHOOK_SECRET": webhook_secret(),
    }
