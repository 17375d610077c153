"""Many units in one round trip, each with its own answer: ledger/sql/post_many.sql."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import psycopg
from django.db import Error as DatabaseError
from django.db import OperationalError, connection, transaction

from accounts.idempotency import IdempotencyKeyReused, RequestInProgress, claim
from accounts.selectors import AccountNotFound
from ledger.posting.calls import rows
from ledger.posting.requests import (
    AccountNotOpen,
    CurrencyMismatch,
    Leg,
    Outcome,
    ask,
    waited_for_the_key,
)
from ledger.states import TransactionKind
from wallet_project.utils.context import Actor
from wallet_project.utils.errors import DomainError, Unavailable, translate_database_error
from wallet_project.utils.jsons import json_text

_REJECTED: Final[dict[str, type[DomainError]]] = {
    "WL001": AccountNotFound,
    "WL002": AccountNotOpen,
    "WL003": CurrencyMismatch,
    "WL010": IdempotencyKeyReused,
}
_ASKED_FOR_BEFORE: Final = "WL012"
_CHANGED: Final = "WL011"
_NOT_ALL: Final = "WL013"
_PLAIN_KINDS: Final = frozenset(
    (TransactionKind.DEPOSIT, TransactionKind.WITHDRAWAL, TransactionKind.TRANSFER, TransactionKind.FEE)
)
#: Legs of a unit that is posted with others: a payment and its fee. More of them hold the locks of the others longer.
_PLAIN_LEGS: Final = 2


@dataclass(frozen=True, slots=True)
class Asked:
    """One unit: its legs are posted all or none, under a key of its own."""

    actor: Actor
    legs: Sequence[Leg]
    key: str
    operation: str
    request_hash: bytes
    request_id: str
    unit_id: UUID

    def is_plain(self) -> bool:
        """Whether it can be posted with others; what is not is posted alone."""
        return (
            self.actor.customer_id is not None
            and len(self.legs) <= _PLAIN_LEGS
            and all(leg.reverses is None and leg.kind in _PLAIN_KINDS for leg in self.legs)
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one unit. Of a replay `unit_id` is what its key made before, and how that stands is to be read."""

    outcome: Outcome
    unit_id: UUID
    failure: str = ""
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Whole:
    """A key that stands for all units of a call together."""

    principal_id: UUID
    key: str
    operation: str
    request_hash: bytes
    result_id: UUID


class WholeAskedBefore(Exception):
    """The whole's key was used before, for this or for something else. Nothing was done now."""


class NotAllAccepted(Exception):
    """Nothing was done, and all keys are free. `refused`: by its number among those asked, why a unit is not accepted:
    the failure that would be on record, or the error that it has alone."""

    def __init__(self, refused: Mapping[int, str | Exception]) -> None:
        super().__init__(f"{len(refused)} are not accepted")
        self.refused = refused


class AccountsChanged(Exception):
    """One was closed or frozen while its lock was waited for. Nothing was done; asked again, it is told which."""


def post_many(asked: Sequence[Asked], *, whole: Whole | None = None) -> list[Answer | Exception]:
    """Post each unit as `post_pending` would, in one commit; the answers are in the order asked.

    Where the database refuses all because of one, they are halved until that one stands alone, with the error that is
    its own: then there is more than one commit. What the database can't do now (Unavailable, RequestInProgress) it
    would not do in halves either: that is raised, and nothing is recorded. Inside a transaction nothing is halved.
    Raises WholeAskedBefore, and those two.
    """
    try:
        return post_at_once(asked, whole=whole)
    except DatabaseError as error:
        meaning = _meaning(error)
        if isinstance(meaning, Unavailable | RequestInProgress):
            raise meaning from error
        if connection.in_atomic_block:
            raise
    if whole is not None:
        _claim(whole)
    return _in_halves(asked)


def post_all_or_none(asked: Sequence[Asked], *, whole: Whole | None = None) -> list[Answer | Exception]:
    """Post each unit as `post_pending` would where all are accepted, now or when their keys were used; else none.

    They are plain ones, each with a key of its own. Raises NotAllAccepted, WholeAskedBefore, AccountsChanged,
    Unavailable, RequestInProgress.
    """
    if not all(each.is_plain() for each in asked):
        raise ValueError("all or none is one commit, in which what is not plain has no place")
    if len({(each.actor.principal_id, each.key) for each in asked}) < len(asked):
        raise ValueError("two units of all or none have one key")
    try:
        answers = _call(asked, range(len(asked)), whole, all_or_none=True)
    except DatabaseError as error:
        if getattr(error.__cause__, "sqlstate", "") == _CHANGED:
            raise AccountsChanged() from error
        if (meaning := _meaning(error)) is not None:
            raise meaning from error
        raise
    return [answers[number] for number in range(len(asked))]


def post_at_once(asked: Sequence[Asked], *, whole: Whole | None = None) -> list[Answer | Exception]:
    """The same without halving: whatever the database refuses leaves no trace of any. Raises its error as it is.

    Those that can't be posted with others (not plain) are posted alone, after them, as is one that has no others. Of
    two with one key, one is posted and is the answer to the other.
    """
    together = [number for number, each in enumerate(asked) if each.is_plain()] if len(asked) > 1 or whole else []
    answers: dict[int, Answer | Exception] = {}
    if together:
        answers = _call(asked, together, whole)
    elif whole is not None:
        _claim(whole)
    return [answers[number] if number in answers else _alone(each) for number, each in enumerate(asked)]


def _in_halves(asked: Sequence[Asked]) -> list[Answer | Exception]:
    if len(asked) == 1:
        return [_alone(asked[0])]
    middle = len(asked) // 2
    return [answer for half in (asked[:middle], asked[middle:]) for answer in _half(half)]


def _half(asked: Sequence[Asked]) -> list[Answer | Exception]:
    try:
        return post_at_once(asked)
    except DatabaseError as error:
        meaning = _meaning(error)
        if isinstance(meaning, Unavailable | RequestInProgress):
            # Others may be committed by now: each of these is told by itself that it was not.
            return [meaning] * len(asked)
    return _in_halves(asked)


def _call(
    asked: Sequence[Asked], numbers: Sequence[int], whole: Whole | None, *, all_or_none: bool = False
) -> dict[int, Answer | Exception]:
    """One round trip. By number."""
    legs = list(_rows([asked[number] for number in numbers]))
    said = whole and {
        "principal": str(whole.principal_id),
        "key": whole.key,
        "operation": whole.operation,
        "hash": whole.request_hash.hex(),
        "result": str(whole.result_id),
    }
    parameters = [json_text(legs), json_text(said) if said else None, all_or_none]
    try:
        made = rows("SELECT * FROM ledger_post_many(%s, %s, %s)", parameters)
    except DatabaseError as error:
        cause = error.__cause__
        if isinstance(cause, psycopg.Error) and cause.sqlstate == _ASKED_FOR_BEFORE:
            raise WholeAskedBefore() from error
        if isinstance(cause, psycopg.Error) and cause.sqlstate == _NOT_ALL:
            raise NotAllAccepted(_refused(numbers, json.loads(cause.diag.message_detail or "[]"))) from error
        raise
    # One time for all, told with one of them.
    recorded_at = next((row[5] for row in made if row[5] is not None), None)
    answers = {}
    for row in made:
        number = numbers[row[0] - 1]
        answers[number] = _answer(row, asked[number].unit_id, recorded_at)
    return answers


def _refused(numbers: Sequence[int], told: list[dict[str, Any]]) -> dict[int, str | Exception]:
    return {numbers[each["place"] - 1]: _reason(each["reason"], each["side"]) for each in told}


def _reason(reason: str, side: str | None) -> str | Exception:
    if reason not in _REJECTED:
        return reason
    return _REJECTED[reason](side=side) if side else _REJECTED[reason]()


def _rows(asked: Sequence[Asked]) -> Iterator[dict[str, Any]]:
    """The legs of all, as the function takes them."""
    actor, principal, customer = None, "", ""
    for place, each in enumerate(asked, start=1):
        if each.actor is not actor:  # A bulk has one.
            actor = each.actor
            principal, customer = str(actor.principal_id), str(actor.customer_id)
        for leg in each.legs:
            yield _row(leg, each, place, principal, customer)


def _row(leg: Leg, asked: Asked, place: int, principal: str, customer: str) -> dict[str, Any]:
    return {
        "place": place,
        "principal": principal,
        "customer": customer,
        "key": asked.key,
        "operation": asked.operation,
        "hash": asked.request_hash.hex(),
        "unit": str(asked.unit_id),
        "request_id": asked.request_id,
        "id": str(leg.id),
        "kind": leg.kind,
        "debit": str(leg.debit),
        "credit": str(leg.credit),
        "amount": leg.amount,
        "currency": leg.currency,
        "reference": leg.reference,
        "metadata": dict(leg.metadata),
        "beneficiary": None if leg.beneficiary is None else dict(leg.beneficiary),
        "expires_in": leg.expires_in,
    }


def _answer(row: tuple[Any, ...], unit_id: UUID, recorded_at: datetime | None) -> Answer | Exception:
    _, outcome, reason, facts, earlier, _ = row
    if outcome == "rejected":
        # Django's connection gives jsonb as text.
        return _REJECTED[reason](**(json.loads(facts) if facts else {}))
    if outcome == "replayed":
        return Answer(outcome, earlier, reason)
    return Answer(outcome, unit_id, reason, recorded_at)


def post_one(asked: Asked) -> Answer:
    """By `post_pending`, which see."""
    _, made = ask(
        actor=asked.actor,
        legs=asked.legs,
        key=asked.key,
        operation=asked.operation,
        request_hash=asked.request_hash,
        request_id=asked.request_id,
        unit_id=asked.unit_id,
    )
    outcome, first, group, _, failure, created_at, _ = made[0]
    return Answer(outcome, group or first, failure, created_at)


def _alone(asked: Asked) -> Answer | Exception:
    try:
        return post_one(asked)
    except (DomainError, DatabaseError) as error:
        if connection.in_atomic_block:
            raise
        return error


def _claim(whole: Whole) -> None:
    with transaction.atomic():
        earlier = claim(
            principal_id=whole.principal_id,
            key=whole.key,
            operation=whole.operation,
            request_hash=whole.request_hash,
            result_id=whole.result_id,
        )
    if earlier is not None:
        raise WholeAskedBefore()


def _meaning(error: DatabaseError) -> DomainError | None:
    if isinstance(error, OperationalError) and waited_for_the_key(error):
        return RequestInProgress()
    return translate_database_error(error)
