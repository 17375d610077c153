"""What customers do, by the use cases that the API calls."""

from collections.abc import Sequence

from accounts.models import IdempotencyClaim
from ledger.services import bulk, groups, holds, payments, reversals
from ledger.services.accounts import close_account
from tests.ledger.model.bank import CURRENCY
from tests.ledger.model.town import DIED
from tests.ledger.model.wallet import BENEFICIARY, Told, Wallet, code_of, hashed
from wallet_project.utils.errors import DomainError
from wallet_project.utils.money import Money

#: The reference of what the database is to refuse.
_POISON = "poison"


def _word(result: bulk.Result) -> str:
    match result.refusal:
        case None:
            return "replayed" if result.replayed else "created"
        case DomainError() as refusal:
            return code_of(refusal)
    return "poisoned"


class Customers(Wallet):
    def deposit(self, number: int, account: int, amount: int) -> Told:
        return self._ask(
            payments.deposit,
            number,
            ("deposit", account, amount),
            account,
            account=self._accounts[account].id,
            amount=Money(amount, CURRENCY),
        )

    def withdraw(self, number: int, account: int, amount: int) -> Told:
        return self._ask(
            payments.withdraw,
            number,
            ("withdraw", account, amount),
            account,
            account=self._accounts[account].id,
            amount=Money(amount, CURRENCY),
            beneficiary=BENEFICIARY,
        )

    def transfer(self, number: int, source: int, destination: int, amount: int) -> Told:
        return self._ask(
            payments.transfer,
            number,
            ("transfer", source, destination, amount),
            source,
            source=self._accounts[source].id,
            destination=self._accounts[destination].id,
            amount=Money(amount, CURRENCY),
        )

    def hold(self, number: int, source: int, destination: int, amount: int, days: int) -> Told:
        return self._ask(
            payments.transfer,
            number,
            ("hold", source, destination, amount, days),
            source,
            source=self._accounts[source].id,
            destination=self._accounts[destination].id,
            amount=Money(amount, CURRENCY),
            expires_in=days * 86_400,
        )

    def capture(self, number: int, by: int, amount: int | None, key: str) -> Told:
        return self._accepted(
            lambda: holds.capture(
                actor=self._actors[by],
                transaction_id=self._main(number),
                amount=amount,
                key=key or None,
                request_hash=hashed((number, amount)),
            )
        )

    def void(self, number: int, by: int) -> Told:
        return self._done(lambda: holds.void(actor=self._actors[by], transaction_id=self._main(number)))

    def reverse(self, number: int, of: int, by: int, amount: int | None) -> Told:
        actor = self._actors[by]
        return self._accepted(
            lambda: reversals.reverse(
                actor=actor,
                received=reversals.find_received(actor=actor, transaction_id=self._main(of)),
                amount=amount,
                reason="sorry",
                key=str(number),
                request_hash=hashed(("reverse", of, amount)),
            )
        )

    def pay(self, number: int, by: int, parts: Sequence[tuple[int, int, int]]) -> Told:
        def part(source: int, destination: int, amount: int) -> groups.Part:
            return groups.Part(
                source=self._accounts[source].id,
                destination=self._accounts[destination].id,
                amount=Money(amount, CURRENCY),
            )

        return self._accepted(
            lambda: groups.pay(
                actor=self._actors[by],
                transfers=[part(*asked) for asked in parts],
                key=str(number),
                request_hash=hashed(("pay", by, tuple(parts))),
            )
        )

    def bulk(
        self, number: int, by: int, items: Sequence[tuple[int, int, int, int]], together: bool, poison: int
    ) -> Told:
        """Transfers, each with a number of its own; what each is told, and of one who died which of them stand."""
        words: list[str] = []

        def item(each: int, source: int, destination: int, amount: int) -> bulk.Item:
            part = groups.Part(
                source=self._accounts[source].id,
                destination=self._accounts[destination].id,
                amount=Money(amount, CURRENCY),
                reference=_POISON if each == poison else "",
            )
            return bulk.Item(part, str(each), hashed(("transfer", source, destination, amount)))

        def act() -> None:
            made = bulk.transfer_bulk(
                actor=self._actors[by],
                mode="atomic" if together else "independent",
                items=[item(*each) for each in items],
                key=f"bulk-{number}",
                request_hash=hashed(("bulk", by, tuple(items))),
            )
            words.extend(map(_word, made.results))

        try:
            end = self._till_death(self._poisoned(_POISON if poison else "", act))
        except DomainError as refusal:
            return code_of(refusal), None
        keys = [str(each[0]) for each in items]
        claimed = IdempotencyClaim.objects.filter(principal_id=self._actors[by].principal_id, key__in=keys)
        return end if end == DIED else ", ".join(words), [int(key) for key in claimed.values_list("key", flat=True)]

    def cancel(self, number: int, by: int) -> Told:
        return self._done(lambda: payments.cancel(actor=self._actors[by], transaction_id=self._main(number)))

    def close(self, account: int) -> Told:
        owner = self._actors[account]
        return self._done(lambda: close_account(actor=owner, account_id=self._accounts[account].id))
