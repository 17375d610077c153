"""The same acts as the model's, done to the wallet: by the use cases and steps that the API and the workers call."""

import hashlib
from collections.abc import Callable, Sequence
from datetime import timedelta
from random import Random
from typing import Any
from uuid import UUID, uuid4

from django.db import connection, transaction
from django.db.models.functions import Now
from django.utils import timezone

from accounts import steps as accounts
from accounts.selectors import system_account_id
from ledger import posting, steps
from ledger.models import Escalation, InboundEvent, RailTransfer
from ledger.services import adjustments, groups, holds, payments, proposals, reversals, suspense
from ledger.services.accounts import close_account
from ledger.services.clearing import clear_due
from ledger.services.events import process_bank_events, receive_bank_event
from ledger.services.rails import dispatch_rails
from ledger.states import Stage
from tests.ledger.model.bank import CURRENCY, Bank, Desk
from tests.ledger.model.model import OWN, Name
from tests.ledger.model.town import OWNERS, Founded, Town
from wallet_project.utils.context import request_id, system_actor
from wallet_project.utils.errors import DomainError, Unavailable
from wallet_project.utils.money import Money

#: What an act gives: what whoever asked is told; and, where others decide, what they did.
Told = tuple[str, Any]

_BENEFICIARY = {"name": "Ada Lovelace", "iban": "DE89370400440532013000"}
_LEASE = timedelta(hours=1)
_MANY = 1_000

# What a batch did, by the request id that it was done under: transactions that ended, and those that were set aside.
_DONE_BY = """
SELECT DISTINCT coalesce(t.group_id, t.id) FROM ledger_statechange s JOIN ledger_transaction t ON t.id = s.subject_id
WHERE s.request_id = %s AND s.from_state = 'pending' AND t.kind <> 'adjustment'
UNION
SELECT coalesce(t.group_id, t.id) FROM ledger_statechange s JOIN ledger_escalation e ON e.id = s.subject_id
JOIN ledger_transaction t ON t.id = e.transaction_id WHERE s.request_id = %s AND t.status = 'pending'"""


class Hands:
    """`see` tells them after each act which transactions there are."""

    def __init__(self, origin: Founded, town: Town) -> None:
        self._accounts, self._actors, self._town = origin.accounts, origin.actors, town
        self._funding = set(origin.funding)
        self._seniors = origin.seniors
        self._proposals: dict[int, UUID] = {}
        self.bank = Bank()
        for reference, amount in origin.funding.items():
            self.bank.enter("in", amount, reference)
        self._transactions: dict[str, list[UUID]] = {}
        self._tokens: dict[tuple[int, UUID], UUID] = {}
        self._units: dict[str, UUID] = {}
        self._names: dict[UUID, str] = {}

    def see(self, accounts: dict[str, Any], transactions: Sequence[Sequence[Any]]) -> dict[str, Any]:
        """What there is, under the model's names."""
        units: dict[str, Any] = {}
        for key, unit, id_, status, failure, stage, captured in transactions:
            if id_ in self._funding:
                continue
            name = self._name(key)
            self._names[UUID(unit)] = self._names[UUID(id_)] = name
            self._units[name] = UUID(unit)
            legs = units.setdefault(name, [])
            legs.append((UUID(id_), status, failure, stage, captured))
        self._transactions = {name: [leg[0] for leg in legs] for name, legs in units.items()}
        named = {str(account.id): number for number, account in enumerate(self._accounts)}
        return {
            "purses": {
                named.get(name, name): tuple(values)
                for name, values in accounts.items()
                if name in named or name in OWN
            },
            "units": {name: _one_state(legs) for name, legs in units.items()},
        }

    def _name(self, key: str) -> str:
        """Our keys are numbers; the wallet's own are made of the ids of what they are about."""
        start, separator, id_ = key.rpartition("wallet-")
        if separator:
            return start + self._names[UUID(id_)]
        start, separator, id_ = key.rpartition("adjustment-")
        return f"staff-{self._numbers[UUID(id_)]}" if separator else key

    @property
    def _numbers(self) -> dict[UUID, int]:
        return {id_: number for number, id_ in self._proposals.items()}

    # Customers.

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
            beneficiary=_BENEFICIARY,
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
                request_hash=_hash((number, amount)),
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
                request_hash=_hash(("reverse", of, amount)),
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
                request_hash=_hash(("pay", by, tuple(parts))),
            )
        )

    def cancel(self, number: int, by: int) -> Told:
        return self._done(lambda: payments.cancel(actor=self._actors[by], transaction_id=self._main(number)))

    def close(self, account: int) -> Told:
        owner = self._actors[account]
        return self._done(lambda: close_account(actor=owner, account_id=self._accounts[account].id))

    # Workers.

    def claim(self, lease: int, limit: int) -> Told:
        with transaction.atomic(durable=True):
            claimed = steps.claim(Stage.SCREENING, limit=limit, lease=_LEASE)
        self._tokens.update({(lease, unit.unit_id): unit.token for unit in claimed})
        return "ok", [unit.unit_id for unit in claimed]

    def leases_run_out(self) -> Told:
        self._town.change("UPDATE ledger_workitem SET next_at = now() WHERE stage = 'screening' AND next_at > now()")
        return "ok", None

    def decide(self, lease: int, number: int, verdict: str) -> Told:
        unit = self._unit(number)
        return self._judge(unit, verdict, [self._tokens[lease, unit]])

    def clear(self, limit: int) -> Told:
        return self._batch(lambda: clear_due(limit=limit))

    def expire(self, limit: int) -> Told:
        return self._batch(lambda: holds.expire_due(limit=limit))

    def dispatch(self, plan: str) -> Told:
        RailTransfer.objects.filter(next_at__isnull=False).update(next_at=Now())
        desk = Desk(self.bank, plan)
        dispatch_rails(rail=desk, now=timezone.now(), rng=Random(0), limit=_MANY)
        return "ok", {UUID(reference.removeprefix("wallet-")): word for reference, word in desk.said.items()}

    def deliver(self, event: int) -> Told:
        _, message = self.bank.outbox[event]
        InboundEvent.objects.filter(next_at__isnull=False).update(next_at=Now())
        waiting = InboundEvent.objects.filter(processed_at=None)
        receive_bank_event(event_id=str(event), payload=message)
        before = set(waiting.values_list("event_id", flat=True))
        process_bank_events(rail=Desk(self.bank, ""), now=timezone.now(), rng=Random(0))
        heard = before - set(waiting.values_list("event_id", flat=True))
        return "ok", [self._news(int(number)) for number in sorted(heard, key=int)]

    def bank_ends(self, reference: str, status: str, more: int) -> Told:
        """The bank ends a payment of its own accord; the wallet is to hear of it later."""
        self.bank.end(reference, status, self.bank.payments[reference].asked + more)
        return "ok", None

    def somebody_pays_in(self, amount: int) -> Told:
        self.bank.pay_in(amount)
        return "ok", None

    # Officers.

    def set_limit(
        self,
        account: int | None,
        customer: int | None,
        direction: str,
        per_transaction: int | None,
        per_day: int | None,
        per_30_days: int | None,
    ) -> Told:
        owned = self._accounts[account] if account is not None else self._accounts[OWNERS.index(customer or 0)]
        posting.set_limit(
            owner_id=owned.customer_id if account is None else owned.id,
            scope="customer" if account is None else "account",
            direction=direction,
            currency=CURRENCY,
            per_transaction=per_transaction,
            per_day=per_day,
            per_30_days=per_30_days,
            actor=system_actor(),
            reason="a test",
            request_id="",
        )
        return "ok", None

    def officer(self, number: int, verdict: str) -> Told:
        return self._judge(self._unit(number), verdict, None)

    def propose_correction(self, number: int, by: int, debit: Name, credit: Name, amount: int) -> Told:
        return self._proposed(
            number,
            lambda: proposals.propose_correction(
                actor=self._seniors[by],
                debit=self._account(debit),
                credit=self._account(credit),
                amount=amount,
                reason="a test",
            ),
        )

    def propose_reversal(self, number: int, by: int, of: int, amount: int | None, at_loss: bool) -> Told:
        return self._proposed(
            number,
            lambda: proposals.propose_reversal(
                actor=self._seniors[by],
                transaction_id=self._main(of),
                amount=amount,
                reason="a test",
                at_loss=at_loss,
            ),
        )

    def propose_assignment(self, number: int, by: int, about: str, account: int) -> Told:
        to = self._accounts[account].id
        return self._asked_whose(number, by, about, suspense.propose_assignment, account_id=to)

    def propose_return(self, number: int, by: int, about: str) -> Told:
        return self._asked_whose(number, by, about, suspense.propose_return, beneficiary=_BENEFICIARY)

    def propose_charge(self, number: int, by: int, about: str, account: int | None, at_loss: bool) -> Told:
        payer = None if account is None else self._accounts[account].id
        return self._asked_whose(number, by, about, suspense.propose_charge, account_id=payer, at_loss=at_loss)

    def agree(self, proposal: int, by: int) -> Told:
        try:
            answered = adjustments.approve(
                actor=self._seniors[by], adjustment_id=self._proposals[proposal], now=timezone.now()
            )
        except DomainError as refusal:
            return _code(refusal), None
        return f"refused: {answered.refusal.code}" if answered.refusal else "ok", None

    def disagree(self, proposal: int, by: int) -> Told:
        return self._answer(adjustments.decline, proposal, by)

    def take_back(self, proposal: int, by: int) -> Told:
        return self._answer(adjustments.withdraw, proposal, by)

    def freeze(self, account: int) -> Told:
        return self._turn(account, "freeze")

    def unfreeze(self, account: int) -> Told:
        return self._turn(account, "unfreeze")

    def close_by_staff(self, account: int) -> Told:
        def act() -> None:
            with transaction.atomic(durable=True):
                accounts.close_account(account_id=self._accounts[account].id, actor=system_actor(), reason="a test")

        return self._done(act)

    def pass_days(self, days: int) -> Told:
        self._town.pass_days(days)
        return "ok", None

    def resolve(self, number: int | str, kind: str, action: Any) -> Told:
        about = Escalation.objects.filter(status="open", kind=kind, transaction__in=self._transactions[str(number)])
        found = about.first()
        if found is None:
            return "nothing", None

        def act() -> None:
            with transaction.atomic(durable=True):
                steps.resolve_escalation(
                    escalation_id=found.id, action=action, actor=system_actor(), reason="a test", now=timezone.now()
                )

        return self._done(act)

    def translated(self, told: Any) -> Any:
        """Facts with the model's names in them instead of the wallet's."""
        match told:
            case UUID():
                return self._names[told]
            case list() | tuple():
                return type(told)(self.translated(each) for each in told)
            case dict():
                return {self.translated(key): value for key, value in told.items()}
        return told

    def _news(self, event: int) -> tuple[Any, tuple[str, int]]:
        reference, message = self.bank.outbox[event]
        data = message["data"]
        if not reference:
            return f"bank-credit-{data['id']}", ("credit", data["amount"])
        return UUID(reference.removeprefix("wallet-")), (data["status"], data["amount"])

    def _ask(self, use_case: Callable[..., Any], number: int, asked: object, by: int, **more: Any) -> Told:
        return self._accepted(
            lambda: use_case(actor=self._actors[by], key=str(number), request_hash=_hash(asked), **more)
        )

    def _accepted(self, act: Callable[[], Any]) -> Told:
        try:
            accepted = act()
        except DomainError as refusal:
            return _code(refusal), None
        return "replayed" if accepted.replayed else "created", None

    def _batch(self, act: Callable[[], Any]) -> Told:
        """What a worker does under a request id of its own, and which units it did it to."""
        mine = uuid4().hex
        before = request_id.set(mine)
        try:
            act()
        finally:
            request_id.reset(before)
        with connection.cursor() as cursor:
            cursor.execute(_DONE_BY, [mine, mine])
            return "ok", [unit for (unit,) in cursor.fetchall()]

    def _done(self, act: Callable[[], Any]) -> Told:
        try:
            act()
        except DomainError as refusal:
            return _code(refusal), None
        return "ok", None

    def _judge(self, unit: UUID, verdict: str, tokens: list[UUID] | None) -> Told:
        with transaction.atomic(durable=True):
            stage = steps.lock([unit], tokens).get(unit)
            if stage is None or (tokens is None and stage != Stage.REVIEW):
                return "nothing", None
            match verdict:
                case "approve":
                    done = steps.approve([unit], tokens=tokens)
                case "review":
                    done = steps.hold_for_review([unit], tokens=tokens)
                case _:
                    done = steps.fail(
                        [unit], code="not_permitted", actor=system_actor(), reason="a test", tokens=tokens
                    )
        return "ok" if done else "nothing", None

    def _answer(self, use_case: Callable[..., Any], proposal: int, by: int) -> Told:
        about = self._proposals[proposal]
        return self._done(
            lambda: use_case(actor=self._seniors[by], adjustment_id=about, reason="a test", now=timezone.now())
        )

    def _proposed(self, number: int, act: Callable[[], Any]) -> Told:
        try:
            self._proposals[number] = act().id
        except DomainError as refusal:
            return _code(refusal), None
        return "ok", None

    def _asked_whose(self, number: int, by: int, about: str, use_case: Callable[..., Any], **more: Any) -> Told:
        asked = Escalation.objects.filter(
            status="open", kind="unmatched_money", transaction__in=self._transactions[about]
        ).first()
        if asked is None:
            return "nothing", None
        actor = self._seniors[by]
        return self._proposed(number, lambda: use_case(actor=actor, escalation_id=asked.id, reason="a test", **more))

    def _account(self, name: Name) -> UUID:
        return self._accounts[name].id if isinstance(name, int) else system_account_id(name, CURRENCY)

    def _turn(self, account: int, transition: str) -> Told:
        def act() -> None:
            with transaction.atomic(durable=True):
                found = accounts.lock_account(self._accounts[account].id)
                accounts.move_account(found, transition, actor=system_actor(), reason="a test")

        return self._done(act)

    def _main(self, number: int) -> UUID:
        """The request's own transaction, without its fee."""
        return self._transactions[str(number)][0]

    def _unit(self, number: int) -> UUID:
        return self._units[str(number)]


def _code(refusal: DomainError) -> str:
    if isinstance(refusal, Unavailable):
        raise refusal
    return refusal.code


def _one_state(legs: list[tuple[Any, ...]]) -> tuple[Any, ...]:
    """A unit's legs stand and fall together."""
    states = {leg[1:4] for leg in legs}
    assert len(states) == 1, f"the transactions of one unit differ: {states}"
    return (*states.pop(), tuple(leg[4] for leg in legs))


def _hash(asked: object) -> bytes:
    return hashlib.sha256(repr(asked).encode()).digest()
