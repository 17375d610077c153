"""Why a transaction failed: stable codes, and the sentence for each that a customer may see.

What screening found is never told: code and sentence are the same whichever rule it was and whoever decided, so that
nobody is tipped off.
"""

from enum import StrEnum
from typing import Final


class FailureCode(StrEnum):
    INSUFFICIENT_FUNDS = "insufficient_funds"
    LIMIT_EXCEEDED = "limit_exceeded"
    CANCELLED = "cancelled"
    VOIDED = "voided"
    EXPIRED = "expired"
    NOT_PERMITTED = "not_permitted"
    ACCOUNT_CLOSED = "account_closed"
    RECEIVER_LIMIT = "receiver_limit"
    BANK_REJECTED = "bank_rejected"
    BANK_AMOUNT_DIFFERS = "bank_amount_differs"


MESSAGES: Final[dict[str, str]] = {
    FailureCode.INSUFFICIENT_FUNDS: "The account's available balance does not cover the amount.",
    FailureCode.LIMIT_EXCEEDED: "It goes beyond a limit of the account or of its owner; its limits show what is left.",
    FailureCode.CANCELLED: "Its customer cancelled it.",
    FailureCode.VOIDED: "The payee released the hold.",
    FailureCode.EXPIRED: "The hold expired before its payee captured it.",
    FailureCode.NOT_PERMITTED: "We could not carry this out. Contact support if you have questions.",
    FailureCode.ACCOUNT_CLOSED: "The receiving account was closed.",
    FailureCode.RECEIVER_LIMIT: "The receiver can't take this amount at present.",
    FailureCode.BANK_REJECTED: "The bank did not carry it out.",
    FailureCode.BANK_AMOUNT_DIFFERS: "The bank moved another amount than was asked for; we are looking into it.",
}


def public_failure(code: str) -> dict[str, str]:
    """{"code", "message"} for the customer. A code that is not meant for him is told as `not_permitted`."""
    known = code if code in MESSAGES else FailureCode.NOT_PERMITTED.value
    return {"code": known, "message": MESSAGES[known]}
