"""Money in suspense has somebody who is to see to it, and its items are what the account holds."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from django.utils import timezone

from ledger.suspense import open_items
from ledger.verification.waiting import LATE_SECONDS
from wallet_project.utils.verification import Result, rows

_HELD: Final = "SELECT currency, cleared FROM accounts_account WHERE kind = 'system' AND purpose = 'suspense'"


@dataclass
class SuspenseCheck:
    name: str = "Suspense"
    title: str = "Money in suspense is what its open items add up to, and each of them has somebody who is to see to it"
    _found: Result | None = None

    def before(self) -> None:
        """Nothing to ask of others."""

    def read(self) -> None:
        items = open_items()
        held = {row["currency"]: row["cleared"] for row in rows(_HELD)}
        by_items = Counter[str]()
        for item in items:
            by_items[item.currency] += item.amount
        offending: list[Mapping[str, Any]] = [
            {"problem": "the items are not what the account holds", "currency": currency, "held": held.get(currency, 0)}
            for currency in sorted(held.keys() | by_items.keys())
            if held.get(currency, 0) != by_items[currency]
        ]
        late = timezone.now() - timedelta(seconds=LATE_SECONDS)
        offending += [
            {"problem": "money that nobody is to see to", "item": item.id, "amount": item.amount, "since": item.since}
            for item in items
            if not item.seen_to and item.since < late
        ]
        figures = {"items": len(items), **{currency: amount for currency, amount in sorted(held.items()) if amount}}
        self._found = Result(self.name, self.title, figures, offending)

    def result(self) -> Result:
        assert self._found is not None, "read() comes first"
        return self._found
