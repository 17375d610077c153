"""The ledger app."""

from django.apps import AppConfig
from django.core import checks
from django.core.exceptions import ImproperlyConfigured


class LedgerConfig(AppConfig):
    name = "ledger"

    def ready(self) -> None:
        from ledger import selectors
        from wallet_project.utils import metrics

        metrics.oldest_waiting(selectors.oldest_waiting_seconds)
        metrics.expect_retries("rail", "bank_event")
        metrics.open_escalations(selectors.open_escalation_count)
        metrics.add_gauge("wallet_waiting_units", "Pending units by stage.", selectors.waiting_units, labels=("stage",))
        checks.register(check_fees)
        checks.register(check_level_limits)


def check_fees(**_: object) -> list[checks.CheckMessage]:
    """A wrong fee is an operator's mistake: better found when the wallet starts than by whoever pays it."""
    from ledger import fees

    try:
        fees.check_fees()
    except ImproperlyConfigured as error:
        return [checks.Error(str(error), id="ledger.E001")]
    return []


def check_level_limits(**_: object) -> list[checks.CheckMessage]:
    """So is a wrong limit: better found when the wallet starts than by whoever is verified."""
    from ledger import levels

    try:
        levels.check_level_limits()
    except ImproperlyConfigured as error:
        return [checks.Error(str(error), id="ledger.E002")]
    return []
