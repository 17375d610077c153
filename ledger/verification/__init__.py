"""The ledger's part of `verify_ledger`: invariants of docs/audit.md, each from the rows themselves and set-based."""

from collections.abc import Callable, Sequence

from ledger.rails import PaymentRail
from ledger.reconciliation import BankBookCheck
from ledger.verification import books, limits, movements, staff, waiting
from ledger.verification.suspense import SuspenseCheck
from wallet_project.utils.verification import Check


def checks() -> Sequence[Check]:
    """Those that need nobody but the database; the bank's book is `bank_check`."""
    return [
        *books.checks(),
        waiting.nothing_stuck(),
        movements.groups(),
        movements.holds(),
        movements.reversals(),
        limits.limits(),
        staff.two_people(),
        SuspenseCheck(),
    ]


def bank_check(rail: Callable[[], PaymentRail]) -> Check:
    return BankBookCheck(rail)
