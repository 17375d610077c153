"""The ledger app."""

from django.apps import AppConfig


class LedgerConfig(AppConfig):
    name = "ledger"

    def ready(self) -> None:
        from ledger import selectors
        from wallet_project.utils import metrics

        metrics.oldest_waiting(selectors.oldest_waiting_seconds)
        metrics.expect_retries("rail", "bank_event")
        metrics.open_escalations(selectors.open_escalation_count)
        metrics.add_gauge("wallet_waiting_units", "Pending units by stage.", selectors.waiting_units, labels=("stage",))
