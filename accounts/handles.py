"""What a handle may be, and how much of a name is told to whoever knows the handle."""

import re
import unicodedata
from typing import Final

from accounts.models.payees import HANDLE_FORM
from wallet_project.utils.errors import InvalidInput, Refused

_FORM: Final = re.compile(HANDLE_FORM, re.ASCII)
_EXPECTED: Final = "3 to 30 letters a-z, digits, '_' and '.', the first of them a letter."

#: By which somebody could pass for the wallet, for its staff, or for a part of an address. Compared without separators
#: and digits, so that `sup_port` and `admin1` are the same word.
RESERVED: Final = frozenset({
    "abuse", "account", "accounts", "admin", "administration", "administrator", "anonymous", "anybody", "api",
    "audit", "auditor", "bank", "billing", "cashier", "ceo", "compliance", "contact", "customer", "customercare",
    "customerservice", "deposit", "deposits", "everybody", "everyone", "fee", "fees", "finance", "fraud", "guest",
    "handle", "help", "helpdesk", "hostmaster", "info", "legal", "login", "logout", "mail", "me", "moderator",
    "nobody", "notary", "null", "office", "officer", "official", "operator", "owner", "payee", "payees", "payment",
    "payments", "payout", "payouts", "postmaster", "privacy", "refund", "refunds", "root", "sales", "security",
    "service", "services", "settlement", "signup", "somebody", "someone", "staff", "status", "superuser", "support",
    "supportteam", "suspense", "sys", "sysadmin", "system", "team", "terms", "transfer", "transfers", "treasury",
    "undefined", "user", "users", "verified", "verify", "wallet", "walletsupport", "webmaster", "withdraw",
    "withdrawal", "withdrawals", "you",
})  # fmt: skip


class HandleInvalid(InvalidInput):
    code = "handle_invalid"
    message = "This is not a handle; see `errors`."


class HandleReserved(Refused):
    code = "handle_reserved"
    message = "This handle would pass for the wallet itself or its staff; choose another one."


def folded(text: str) -> str | None:
    """The handle that is meant by `text`, with or without a leading "@" and in letters of any case; None when it can't
    be one. Only ASCII: what folds to ASCII from elsewhere ("K", the sign of Kelvin) is another's letter."""
    if not text.isascii():
        return None
    handle = text.removeprefix("@").lower()
    return handle if _FORM.fullmatch(handle) else None


def claimable(text: str) -> str:
    """The handle that somebody may claim by `text`. Raises HandleInvalid, HandleReserved."""
    handle = folded(text)
    if handle is None:
        raise HandleInvalid(fields={"handle": _EXPECTED})
    if re.sub("[^a-z]", "", handle) in RESERVED:
        raise HandleReserved()
    return handle


def masked_name(first_name: str, last_name: str) -> str:
    """`Mia E******`: enough for a payer to know whether it is who he means. Always six stars: lengths tell, too."""
    last = unicodedata.normalize("NFC", last_name.strip())
    # A letter and the marks that belong to it, where Unicode has no one character for them.
    shown = last[:1] + _marks(last[1:])
    return f"{first_name.strip()} {shown}******"


def _marks(text: str) -> str:
    end = next((at for at, character in enumerate(text) if not unicodedata.combining(character)), len(text))
    return text[:end]
