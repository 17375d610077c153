"""Payment rails: how money leaves for a bank and comes in from one. Which one it is, the setting PAYMENT_RAIL says."""

from collections.abc import Callable

from django.conf import settings
from django.utils.module_loading import import_string

from ledger.rails.http import HttpPaymentRail, http_rail
from ledger.rails.protocol import BankBook, BankMovement, Payer, PaymentRail, PaymentReport, RailAnswer, RailOrder
from ledger.rails.reports import match_report, read_payer, read_report

__all__ = [
    "BankBook",
    "BankMovement",
    "HttpPaymentRail",
    "Payer",
    "PaymentRail",
    "PaymentReport",
    "RailAnswer",
    "RailOrder",
    "configured_rail",
    "http_rail",
    "match_report",
    "read_payer",
    "read_report",
]


def configured_rail() -> PaymentRail:
    """The rail of this deployment: what the factory that PAYMENT_RAIL names gives. Raises ProviderNotConfigured."""
    factory: Callable[[], PaymentRail] = import_string(settings.PAYMENT_RAIL)
    return factory()
