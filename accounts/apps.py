"""People and their accounts."""

from typing import TYPE_CHECKING

from django.apps import AppConfig
from django.conf import settings
from django.db import connections
from django.db.models.signals import post_migrate, post_save

if TYPE_CHECKING:
    from accounts.models import Customer, CustomerLevel, User


class AccountsConfig(AppConfig):
    name = "accounts"

    def ready(self) -> None:
        from accounts import attempts
        from accounts.models import Customer, CustomerLevel, User

        post_migrate.connect(ensure_system_accounts, sender=self)
        post_save.connect(_customer_changed, sender=Customer)
        post_save.connect(_level_changed, sender=CustomerLevel)
        post_save.connect(_user_changed, sender=User)
        attempts.install()


def _customer_changed(instance: "Customer", **_: object) -> None:
    from accounts.selectors import forget_me

    forget_me(instance.user_id)


def _level_changed(instance: "CustomerLevel", **_: object) -> None:
    from accounts.selectors import forget_me

    forget_me(instance.customer.user_id)


def _user_changed(instance: "User", **_: object) -> None:
    from accounts.selectors import forget_me

    forget_me(instance.id)


def ensure_system_accounts(*, using: str, **_: object) -> None:
    """The wallet's own accounts, one of each purpose per kept currency; a currency added later gets its own."""
    from accounts.states import SystemPurpose
    from wallet_project.utils.context import SYSTEM_PRINCIPAL_ID
    from wallet_project.utils.ids import uuid7

    with connections[using].cursor() as cursor:
        if "accounts_account" not in connections[using].introspection.table_names(cursor):
            return  # after `migrate accounts zero`
        cursor.executemany(
            """
            WITH made AS (
                INSERT INTO accounts_account
                    (id, kind, purpose, currency, label, status, status_reason, cleared, reserved, last_sequence)
                SELECT %s, 'system', %s, %s, '', 'open', '', 0, 0, 0
                WHERE NOT EXISTS (SELECT FROM accounts_account WHERE purpose = %s AND currency = %s)
                RETURNING id
            )
            INSERT INTO accounts_statechange (machine, subject_id, from_state, to_state, actor_id, reason, request_id)
            SELECT 'account', id, '', 'open', %s, '', '' FROM made
            """,
            [
                (uuid7(), purpose, currency, purpose, currency, SYSTEM_PRINCIPAL_ID)
                for purpose in SystemPurpose.values
                for currency in settings.WALLET_CURRENCIES
            ],
        )
