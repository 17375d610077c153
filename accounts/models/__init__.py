"""People, their accounts, and whom they pay."""

from accounts.models.accounts import Account, StateChange
from accounts.models.levels import CustomerLevel
from accounts.models.payees import Beneficiary, Handle
from accounts.models.people import (
    Customer,
    IdempotencyClaim,
    Principal,
    ProfileVersion,
    User,
    UserManager,
)

__all__ = [
    "Account",
    "Beneficiary",
    "Customer",
    "CustomerLevel",
    "Handle",
    "IdempotencyClaim",
    "Principal",
    "ProfileVersion",
    "StateChange",
    "User",
    "UserManager",
]
