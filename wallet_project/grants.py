"""What the application may write of the tables that Django and libraries bring."""

from django.apps import apps
from django.conf import settings

import accounts.grants
import compliance.grants
import ledger.grants
from wallet_project.utils import grants

#: Apps whose rows the application keeps by itself: sessions, sign-up, second factors, staff groups.
KEPT_BY_LIBRARIES = ("auth", "sessions", "account", "mfa", "usersessions")
READ_ONLY = ("auth_permission",)


def library_tables() -> dict[str, str]:
    models = [
        m for label in KEPT_BY_LIBRARIES for m in apps.get_app_config(label).get_models(include_auto_created=True)
    ]
    tables = {m._meta.db_table: "INSERT, UPDATE, DELETE" for m in models if m._meta.db_table not in READ_ONLY}
    # The admin's own log is a log.
    return {**tables, "django_admin_log": "INSERT"}


def apply_grants(*, using: str, **_: object) -> None:
    """After `migrate`: nothing that a migration brought is writable unless it is listed."""
    ours = (accounts.grants, ledger.grants, compliance.grants)
    grants.apply(
        using=using,
        role=str(settings.WALLET_APP_ROLE),
        tables=[library_tables(), *(module.TABLES for module in ours)],
        functions=[name for module in ours for name in module.FUNCTIONS],
    )
