"""Mistakes in the settings that nobody would notice until a customer, a provider or an officer met them.

`manage.py check --deploy` names them, and neither web nor workers start with one. Other commands do: a backup needs no
provider."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from wallet_project.utils.signatures import check_secret, configured_secrets

#: A call of a provider has to end within its lease, or the next worker makes it again beside the first.
MIN_LEASE_SECONDS = 30


def refuse_mistakes() -> None:
    """Raises ImproperlyConfigured with every error that the checks find."""
    found = checks.run_checks(include_deployment_checks=True)
    if errors := [str(message) for message in found if message.level >= checks.ERROR]:
        raise ImproperlyConfigured("Not started, as settings are wrong:\n" + "\n".join(errors))


def check_settings(**_: object) -> list[checks.CheckMessage]:
    found: list[checks.CheckMessage] = [checks.Error(mistake, id="wallet.E001") for mistake in _mistakes()]
    if settings.LEASE.total_seconds() < MIN_LEASE_SECONDS:
        found.append(checks.Warning(f"LEASE_SECONDS is below {MIN_LEASE_SECONDS}.", id="wallet.W001"))
    return found


def _mistakes() -> Iterator[str]:
    for name in ("PUBLIC_URL", "CALLBACK_URL", "IDENTITY_URL", "BANK_URL"):
        if (url := getattr(settings, name)) and not _is_address(url):
            yield f"{name} is an address like https://host or https://host:port/path."
    if settings.SECURE_SSL_REDIRECT:
        # A callback that is redirected is a callback lost: hardly any provider follows with a POST.
        for name in ("PUBLIC_URL", "CALLBACK_URL"):
            if not getattr(settings, name).startswith("https://"):
                yield f"{name} is https://…, as plain http is redirected (but for ALLOW_HTTP=on with http in both)."
    if not _is_callable(settings.PAYMENT_RAIL):
        yield "PAYMENT_RAIL is the dotted path of a callable that gives a payment rail (docs/rails.md)."
    for name in ("IDENTITY_WEBHOOK_SECRET", "BANK_WEBHOOK_SECRET"):
        for secret in configured_secrets(getattr(settings, name)):
            try:
                check_secret(secret)
            except ValueError as error:
                yield f"{name}: {error}."


def _is_callable(path: str) -> bool:
    try:
        return callable(import_string(path))
    except ImportError:
        return False


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
