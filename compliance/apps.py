"""The compliance app."""

from django.apps import AppConfig


class ComplianceConfig(AppConfig):
    name = "compliance"

    def ready(self) -> None:
        from compliance import selectors
        from wallet_project.utils import metrics

        waiting = selectors.waiting_cases
        metrics.add_gauge("wallet_open_cases", "Cases that wait for somebody.", waiting, labels=("status",))
        metrics.add_gauge("wallet_overdue_cases", "Cases past their due time.", selectors.overdue_cases)
        metrics.oldest_waiting(selectors.oldest_waiting_seconds)
