"""What the application may write of the tables that Django and libraries bring."""

from collections.abc import Mapping

from django.apps import apps
from django.conf import settings

import accounts.grants
import compliance.grants
import ledger.grants
import wallet_project.chain.grants
from wallet_project.chain.declarations import XACT, declared
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


def listed() -> tuple[list[Mapping[str, str]], list[str]]:
    """All that the application may do besides reading: privileges by table, and functions that it may call."""
    ours = (accounts.grants, ledger.grants, compliance.grants, wallet_project.chain.grants)
    return [library_tables(), *(module.TABLES for module in ours)], [name for each in ours for name in each.FUNCTIONS]


def withheld() -> dict[str, list[str]]:
    """Columns that the application never fills in. By which transaction a row was written is for the database to say:
    the chain seals by it."""
    return {table.table: [XACT] for table in declared()}


def apply_grants(*, using: str, **_: object) -> None:
    """After `migrate`: nothing that a migration brought is writable unless it is listed."""
    tables, functions = listed()
    grants.apply(
        using=using, role=str(settings.WALLET_APP_ROLE), tables=tables, functions=functions, withheld=withheld()
    )
    grants.allow_reading(
        using=using, role=str(settings.WALLET_NOTARY_ROLE), tables=wallet_project.chain.grants.NOTARY_TABLES
    )
