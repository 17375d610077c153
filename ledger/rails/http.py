"""A bank behind HTTP: the contract is docs/rails.md. The sandbox speaks it, and so does whatever a company puts before
its own bank."""

from datetime import datetime
from functools import lru_cache
from typing import Any, Literal, cast
from urllib.parse import quote

from django.conf import settings

from ledger.rails.protocol import BankBook, BankMovement, RailAnswer, RailOrder
from ledger.rails.reports import integer, match_report, read_report, text
from wallet_project.utils.http_client import (
    DEFAULT_LIMITS,
    CallLimits,
    JsonObject,
    ProviderAnswerMismatch,
    ProviderClient,
    ProviderNotConfigured,
)


class HttpPaymentRail:
    """The bank's HTTP API. Threads may share it."""

    def __init__(self, client: ProviderClient) -> None:
        self._client = client

    def submit(self, order: RailOrder) -> RailAnswer:
        body: JsonObject = {
            "reference": order.reference,
            "amount": order.amount,
            "currency": order.currency,
            "description": order.description,
        }
        if order.beneficiary is not None:
            body["beneficiary"] = dict(order.beneficiary)
        raw = self._client.post(f"/bank/v1/{order.direction}s", body, idempotency_key=order.reference)
        return match_report(read_report(raw), order)

    def status(self, order: RailOrder) -> RailAnswer | None:
        raw = self._client.find(f"/bank/v1/payments/{quote(order.reference, safe='')}")
        return None if raw is None else match_report(read_report(raw), order)

    def book(self, currency: str, *, after: str | None = None) -> BankBook:
        movements: list[BankMovement] = []
        cursor = after
        while True:
            page = self._client.get(
                "/bank/v1/statement", query={"currency": currency} | ({"after": cursor} if cursor else {})
            )
            balance = integer(page, "balance")
            if page.get("currency") != currency:
                raise ProviderAnswerMismatch("a statement in another currency", raw=page)
            movements += _movements(page, currency)
            upcoming = page.get("next")
            if upcoming is None:
                # The last page's balance: movements booked while we read the earlier ones are on it.
                return BankBook(currency, balance, tuple(movements), movements[-1].id if movements else after)
            if not isinstance(upcoming, str) or upcoming == cursor or not page["lines"]:
                raise ProviderAnswerMismatch("the statement does not go on", raw=page)
            cursor = upcoming


def from_settings() -> HttpPaymentRail:
    """The bank at BANK_URL. Raises ProviderNotConfigured."""
    if not settings.BANK_URL or not settings.BANK_API_KEY:
        raise ProviderNotConfigured("No bank is configured (BANK_URL, BANK_API_KEY).")
    return http_rail(settings.BANK_URL, settings.BANK_API_KEY)


@lru_cache(maxsize=8)
def http_rail(base_url: str, api_key: str, limits: CallLimits = DEFAULT_LIMITS) -> HttpPaymentRail:
    """One rail per bank and process, so that its connections are reused."""
    return HttpPaymentRail(ProviderClient(base_url=base_url, api_key=api_key, limits=limits))


def _movements(page: JsonObject, currency: str) -> list[BankMovement]:
    lines = page.get("lines")
    if not isinstance(lines, list) or not all(isinstance(line, dict) for line in lines):
        raise ProviderAnswerMismatch("a statement without lines", raw=page)
    return [_movement(line, currency) for line in lines]


def _movement(line: JsonObject, currency: str) -> BankMovement:
    direction, amount = line.get("direction"), integer(line, "amount")
    if direction not in ("in", "out") or amount <= 0 or line.get("currency") != currency:
        raise ProviderAnswerMismatch("a line of the statement that makes no sense", raw=line)
    try:
        booked_at = datetime.fromisoformat(text(line, "booked_at"))
    except ValueError as error:
        raise ProviderAnswerMismatch("a line of the statement without a time", raw=line) from error
    reference: Any = line.get("reference")
    return BankMovement(
        id=text(line, "id"),
        direction=cast(Literal["in", "out"], direction),
        amount=amount,
        currency=currency,
        reference=reference if isinstance(reference, str) else "",
        booked_at=booked_at,
    )
