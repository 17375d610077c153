"""The chain app."""

from django.apps import AppConfig


class ChainConfig(AppConfig):
    name = "wallet_project.chain"
    label = "chain"

    def ready(self) -> None:
        from django.core import checks

        from wallet_project.chain import selectors
        from wallet_project.chain.checks import check_declarations, check_notary
        from wallet_project.utils import metrics

        metrics.oldest_waiting(selectors.oldest_unsealed_seconds)
        checks.register(check_declarations)
        checks.register(check_notary, deploy=True)
