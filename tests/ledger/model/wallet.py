"""The wallet as the machine's hands find it: under the model's names, and with a word for each answer."""

import hashlib
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from ledger import steps
from ledger.states import Stage
from tests.ledger.model.bank import Bank
from tests.ledger.model.model import OWN
from tests.ledger.model.town import DIED, LOST, Founded, Town, come_to
from wallet_project.utils.context import system_actor
from wallet_project.utils.errors import DomainError, Unavailable

#: What an act gives: what whoever asked is told; and, where others decide, what they did.
Told = tuple[str, Any]

BENEFICIARY = {"name": "Ada Lovelace", "iban": "DE89370400440532013000"}


class Wallet:
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
            self._names[_uuid(unit)] = self._names[_uuid(id_)] = name
            self._units[name] = _uuid(unit)
            legs = units.setdefault(name, [])
            legs.append((_uuid(id_), status, failure, stage, captured))
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

    def _ask(self, use_case: Callable[..., Any], number: int, asked: object, by: int, **more: Any) -> Told:
        return self._accepted(
            lambda: use_case(actor=self._actors[by], key=str(number), request_hash=hashed(asked), **more)
        )

    def _accepted(self, act: Callable[[], Any]) -> Told:
        try:
            accepted = act()
        except DomainError as refusal:
            return code_of(refusal), None
        return "replayed" if accepted.replayed else "created", None

    def _till_death(self, act: Callable[[], Any]) -> str:
        """Of what takes several commits: whether it came to its end, or died on the way with some of them made."""
        try:
            act()
        except LOST:
            come_to()
            return DIED
        return "ok"

    def _poisoned(self, by: str, act: Callable[[], Any]) -> Callable[[], Any]:
        """The database refuses that one meanwhile (a transaction's id, or a reference)."""

        def poison(what: str) -> None:
            with connection.cursor() as cursor:
                cursor.execute("SELECT set_config('test.poison', %s, false)", [what])

        def poisoned() -> None:
            poison(by)
            act()
            poison("")

        return poisoned if by else act

    def _done(self, act: Callable[[], Any]) -> Told:
        try:
            act()
        except DomainError as refusal:
            return code_of(refusal), None
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

    def _main(self, number: int) -> UUID:
        """The request's own transaction, without its fee."""
        return self._transactions[str(number)][0]

    def _unit(self, number: int) -> UUID:
        return self._units[str(number)]


@cache
def _uuid(text: str) -> UUID:
    """Each look reads the ids of all transactions of the town again."""
    return UUID(text)


def code_of(refusal: DomainError) -> str:
    if isinstance(refusal, Unavailable):
        raise refusal
    return refusal.code


def _one_state(legs: list[tuple[Any, ...]]) -> tuple[Any, ...]:
    """A unit's legs stand and fall together."""
    states = {leg[1:4] for leg in legs}
    assert len(states) == 1, f"the transactions of one unit differ: {states}"
    return (*states.pop(), tuple(leg[4] for leg in legs))


def hashed(asked: object) -> bytes:
    return hashlib.sha256(repr(asked).encode()).digest()
