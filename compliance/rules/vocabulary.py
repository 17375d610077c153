"""What a rule may speak of: the facts of a transaction and the limits of its currency.

This is the one declaration. The types that expressions are checked against are read from the annotations, and
docs/screening.md lists each fact with the meaning given here; a test compares the two.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import NoneType, UnionType
from typing import Any, Final, get_args, get_type_hints


def fact(meaning: str) -> Any:
    return field(metadata={"meaning": meaning})


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one transaction when it is screened. Amounts are minor units of `currency`.

    The windows end at the transaction's creation, cover all accounts of its customer, and count what was created
    before it and has not failed; the transaction itself is not in them, nor are fees.
    """

    kind: str = fact(
        "`deposit`, `withdrawal`, `transfer`, `fee` (of a payment beside it), `reversal`, `adjustment` or `exchange`."
    )
    outgoing: bool = fact("From the customer's account; otherwise it brings money in.")
    amount: int = fact("The amount, in minor units.")
    currency: str = fact("The currency of the amount, as three letters of ISO 4217.")
    identity_rejected: bool = fact("The customer's identity was looked at and refused.")
    account_age_seconds: int = fact("Age of the customer's account that this touches, in seconds.")
    debits_1h: int = fact("Number of debits in the hour before, in any currency.")
    out_24h: int = fact(
        "Sent out in the 24 hours before, in this currency, in minor units; moves between the customer's own accounts "
        "are not counted."
    )
    to_own_account: bool = fact("It stays with the customer: from one of his accounts to another.")
    just_under_24h: int = fact(
        "Of the 24 hours before, in this currency and direction: the number of those just under a limit (from 90 % of "
        "it on); counted if this one is just under a limit too, otherwise 0."
    )
    counterparty_known: bool | None = fact(
        "The customer who is paid got an approved payment before; null when the amount is too small for the answer to "
        "matter, and where no other customer is paid."
    )
    beneficiary_first_use: bool = fact(
        "A withdrawal to an IBAN to which this customer has no earlier withdrawal that was approved and has not failed."
    )
    debits_24h: int = fact("Number of debits in the 24 hours before, in any currency.")
    debits_30d: int = fact("Number of debits in the 30 days before, in any currency.")
    out_30d: int = fact(
        "Sent out in the 30 days before, in this currency, in minor units; moves between the customer's own accounts "
        "are not counted."
    )
    days_idle: int = fact(
        "Whole days since the customer was last debited, or tried to be; since the account was asked for, if never."
    )
    in_24h: int | None = fact(
        "What came in within the 24 hours before, cleared, in this currency, in minor units, but from the "
        "customer's own accounts; null when the amount is too small for the answer to matter, and where nothing leaves "
        "the customer."
    )
    party_matched: bool = fact(
        "The name of the customer, or of the one who is paid, may be on a list and nobody has decided yet, or somebody "
        "has confirmed it."
    )
    destination_score: int | None = fact(
        "Of a withdrawal: the best score, of 100, of the payee's name with those on sanctions and deny lists that "
        "staff have not let through for him; 0 where there is none, null where the lists could not be read."
    )

    customer_risk: int = field(
        default=0,
        metadata={
            "meaning": "The risk of the customer whose money it is, from 0 to 100, as it was found out last "
            "([customers](kyc.md#risk)); 0 where it was not yet."
        },
    )

    def as_json(self) -> dict[str, Any]:
        """All of them by name. `asdict` copies each in depth, which took longer than to ask all the rules."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one currency, in its minor units; `debits_per_hour` and `just_under_count` are numbers of debits."""

    currency: str
    single_amount: int = fact("One amount is reviewed from here on.")
    new_account_amount: int = fact("The same, in the first seven days of an account.")
    first_payment_amount: int = fact("The same, for the first payment to somebody.")
    out_per_day: int = fact("What is sent out within 24 hours is reviewed above this.")
    reject_from: int = fact("From here on the answer is no, whoever asks.")
    debits_per_hour: int = field(default=100, metadata={"meaning": "A number of debits: reviewed above it."})
    just_under_count: int = field(
        default=3, metadata={"meaning": "So many amounts just under a limit within 24 hours are reviewed."}
    )

    def bands(self) -> tuple[tuple[int, int], ...]:
        """The ranges [low, high) that lie just under a limit of a single amount: from 90 %, the limit excluded."""
        limits = sorted({self.single_amount, self.new_account_amount, self.first_payment_amount})
        # -(-a // b) rounds up: what is under 90 % by a fraction of a cent is not in the band.
        return tuple((-(-limit * 9 // 10), limit) for limit in limits)


@dataclass(frozen=True, slots=True)
class Term:
    """A name that an expression may use."""

    name: str
    #: `bool`, `int` or `string`, as CEL calls them.
    type: str
    nullable: bool
    meaning: str

    @property
    def shown_type(self) -> str:
        return f"{self.type} or null" if self.nullable else self.type


_CEL_NAMES: Final[Mapping[type, str]] = {bool: "bool", int: "int", str: "string"}


def _terms(declared: type, *, prefix: str = "") -> dict[str, Term]:
    hints = get_type_hints(declared)
    terms = {}
    for each in fields(declared):
        if "meaning" not in each.metadata:
            continue
        hint = hints[each.name]
        options = get_args(hint) if isinstance(hint, UnionType) else (hint,)
        (plain,) = (option for option in options if option is not NoneType)
        name = prefix + each.name
        terms[name] = Term(name, _CEL_NAMES[plain], NoneType in options, each.metadata["meaning"])
    return terms


FACTS: Final[Mapping[str, Term]] = _terms(Facts)
LIMITS: Final[Mapping[str, Term]] = _terms(Limits, prefix="limit.")
