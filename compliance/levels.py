"""A customer's level as he sees it: what it lets him do, what he has asked for, what the next one needs."""

from typing import Any
from uuid import UUID

from accounts.models import Customer
from accounts.selectors import format_time
from accounts.states import KycStatus, Level
from compliance.documents import NEEDED, missing, usable
from compliance.models import Document, KycCheck
from compliance.states import ACTIVE, CheckStatus, DocumentStatus
from ledger.levels import Allowed, allowed, any_set

_BEFORE = "Your identity is verified first: request an account (POST /api/v1/accounts)."
_UNDER_WAY = "Your documents are being checked."
_NOT_ACCEPTED = "Your documents were not accepted: see each one's `reason`, send others and ask again."
_EXPIRED = "A document has expired: send a valid one and ask for the level again."
_ASK = "You can ask for the full level (POST /api/v1/me/level)."
_SEND = "Send the documents that are missing (POST /api/v1/me/documents), then ask for the full level."


def level_of(customer_id: UUID) -> dict[str, Any]:
    customer = Customer.objects.select_related("level").get(id=customer_id)
    level = Level(customer.level.level) if hasattr(customer, "level") else None
    asked = KycCheck.objects.filter(customer=customer, level=Level.FULL).order_by("-id").first()
    documents = usable(customer_id)
    lacking = missing(documents)
    return {
        "level": level,
        "since": format_time(customer.level.changed_at) if level else None,
        "limits": [_limit(currency, each) for currency, each in _allowed(level).items() if any_set(each)],
        "request": asked and {"level": Level.FULL, "status": _told(asked), "created_at": format_time(asked.created_at)},
        "next": None
        if level == Level.FULL
        else {
            "level": Level.FULL if level else Level.BASIC,
            "needs": [
                {"what": what, "documents": sorted(str(kind) for kind in kinds), "sent": what not in lacking}
                for what, kinds in NEEDED.items()
                if level
            ],
            "limits": [
                _limit(currency, each)
                for currency, each in _allowed(Level.FULL if level else Level.BASIC).items()
                if any_set(each)
            ],
        },
        "notice": _notice(customer, level, asked, lacking),
    }


def _allowed(level: Level | None) -> dict[str, Allowed]:
    return allowed(level) if level else {}


def _limit(currency: str, each: Allowed) -> dict[str, Any]:
    return {"currency": currency, **each._asdict()}


def _told(check: KycCheck) -> str:
    """That a person looks at it is not the customer's business."""
    ended = {CheckStatus.APPROVED.value: "accepted", CheckStatus.REJECTED.value: "rejected"}
    return ended.get(check.status, "pending")


def _notice(customer: Customer, level: Level | None, asked: KycCheck | None, lacking: list[str]) -> str | None:
    if level == Level.FULL:
        return None
    if level is None or customer.kyc_status not in (KycStatus.VERIFIED, KycStatus.PENDING):
        return _BEFORE
    if asked is not None and asked.status in ACTIVE:
        return _UNDER_WAY
    if lacking:
        newest = Document.objects.filter(customer=customer).order_by("-id").first()
        ended = {
            DocumentStatus.REJECTED.value: _NOT_ACCEPTED,
            DocumentStatus.EXPIRED.value: _EXPIRED,
        }
        return ended.get(newest.status, _SEND) if newest else _SEND
    return _ASK
