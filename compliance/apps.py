"""The compliance app."""

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured


class ComplianceConfig(AppConfig):
    name = "compliance"

    def ready(self) -> None:
        from compliance import selectors
        from wallet_project.utils import metrics

        waiting = selectors.waiting_cases
        metrics.add_gauge("wallet_open_cases", "Cases that wait for somebody.", waiting, labels=("status",))
        metrics.add_gauge("wallet_overdue_cases", "Cases past their due time.", selectors.overdue_cases)
        metrics.add_gauge(
            "wallet_audited_checks",
            "Checks of the last self-audit by outcome.",
            selectors.audited_checks,
            labels=("outcome",),
        )
        metrics.add_gauge(
            "wallet_last_complete_audit_timestamp_seconds",
            "When the last self-audit began that read every check (before the first: when the wallet was installed).",
            selectors.last_complete_audit,
        )
        metrics.add_gauge(
            "wallet_list_age_seconds",
            "How long ago a publisher's list was last read and said what is in force.",
            selectors.list_ages,
            labels=("list",),
        )
        metrics.expect_retries("identity", "screening", "payer")
        metrics.oldest_waiting(selectors.oldest_waiting_seconds)
        checks.register(check_limits)


def check_limits(**_: object) -> list[checks.CheckMessage]:
    """A wrong limit is an operator's mistake: better found when the wallet starts than by the first payment."""
    from compliance import limits
    from compliance.providers import signed

    try:
        limits.check_limits()
        signed.paths(settings.IDENTITY_PATHS)
    except ImproperlyConfigured as error:
        return [checks.Error(str(error), id="compliance.E001")]
    return []
