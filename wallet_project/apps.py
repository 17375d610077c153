"""Composition at start-up: what the apps below must not know of each other is joined here."""

from django.apps import AppConfig, apps
from django.core import checks
from django.db.models.signals import post_migrate


class WalletConfig(AppConfig):
    name = "wallet_project"

    def ready(self) -> None:
        from wallet_project.api import paths
        from wallet_project.celery import send
        from wallet_project.chain import definitions
        from wallet_project.checks import check_settings
        from wallet_project.grants import apply_grants
        from wallet_project.utils import identity
        from wallet_project.utils.nudges import set_sender

        set_sender(send)
        paths.install()
        # A session or user that is changed is not served from the cache.
        identity.watch()
        checks.register(check_settings, deploy=True)
        # The uppermost app: by then every table is there.
        uppermost = apps.get_app_config("compliance")
        post_migrate.connect(definitions.after_migrate, sender=uppermost)
        post_migrate.connect(apply_grants, sender=uppermost)
