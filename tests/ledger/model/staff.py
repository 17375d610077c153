"""What officers do: accounts that are frozen and closed, and what was set aside for a human."""

from tests.ledger.model.requests import Requests


class Staff(Requests):
    def freeze(self, account: int) -> str:
        return self._turn(account, {"open": "frozen"})

    def unfreeze(self, account: int) -> str:
        return self._turn(account, {"frozen": "open"})

    def close_by_staff(self, account: int) -> str:
        """As it is: what is pending on it then finds it closed."""
        purse = self.purses[account]
        if purse.cleared or purse.reserved:
            return "account_not_empty"
        return self._turn(account, {"open": "closed", "frozen": "closed"})

    def close(self, account: int) -> str:
        """By its owner, who has to wait until nothing is pending on it."""
        purse = self.purses[account]
        if purse.status == "closed":
            return "ok"
        if purse.status == "frozen":
            return "wrong_state"
        pending = [unit for unit in self.units.values() if unit.pending]
        if any(account in (leg.debit, leg.credit) for unit in pending for leg in unit.legs):
            return "account_has_pending"
        return self.close_by_staff(account)

    def resolve(self, number: int | str, kind: str, action: str) -> str:
        """An officer sees to what was set aside."""
        unit = self.units[str(number)]
        if kind not in unit.escalations:
            return "nothing"
        if refusal := self._refusal(number, kind, action):
            return refusal
        unit.escalations.remove(kind)
        if action == "retry":
            if unit.rail in ("queued", "submitted"):
                unit.asks = True
            self.resume(unit)
        elif action == "fail":
            if unit.rail == "submitted":
                unit.rail = "rejected"
            if unit.rail == "confirmed" and unit.legs[0].kind == "deposit":
                self.to_suspense(f"bank-payment-{unit.name}", unit.legs[0].amount)
            self.fail(unit, "bank_rejected" if kind == "rail_refused" else "not_permitted")
            if unit.item:
                self.ask_whose(unit.item)
        return "ok"

    def _refusal(self, number: int | str, kind: str, action: str) -> str:
        unit = self.units[str(number)]
        if kind == "unmatched_money":
            return "still_in_suspense"
        silent = unit.rail in ("queued", "submitted") and not unit.asks
        if action == "retry":
            return "" if unit.pending else "nothing_to_retry"
        if action == "fail":
            if not unit.pending:
                return "nothing_to_fail"
            paid = unit.rail == "confirmed" and unit.legs[0].kind == "withdrawal"
            asked = unit.rail == "submitted" and kind == "frozen_account"
            return "only_the_bank_ends_it" if paid or asked else ""
        return "still_waiting" if unit.pending and (unit.stage == "parked" or silent) else ""

    def _turn(self, account: int, ways: dict[str, str]) -> str:
        purse = self.purses[account]
        if purse.status not in ways:
            return "wrong_state"
        purse.status = ways[purse.status]
        return "ok"
