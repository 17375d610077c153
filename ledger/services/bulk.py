"""Transfers by the thousand in one request: each under a key of its own, posted together.

`independent`: each is accepted or not for itself, and a later one may still go through. `atomic`: all are accepted or
none is, in one commit. Sent again, the whole and each of them are answered as they stand now.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal
from uuid import UUID

from django.db import transaction

from accounts.idempotency import IdempotencyKeyReused, RequestInProgress, made_before, used
from accounts.selectors import PayeeNotFound, accounts_of_handles, customer_id_of
from ledger import fees, posting, selectors
from ledger.failures import public_failure
from ledger.posting import Answer, Asked, Leg
from ledger.selectors import TransactionView
from ledger.services.groups import Part
from ledger.services.payments import SameAccount, transfer_leg
from ledger.services.requests import BY_CODE, FeeChanged, fee_leg, views_of
from ledger.states import TransactionKind
from wallet_project.utils.context import Actor, request_id
from wallet_project.utils.errors import DomainError, Refused, Unavailable
from wallet_project.utils.ids import uuid7
from wallet_project.utils.nudges import nudge

Mode = Literal["atomic", "independent"]
MODES: Final = ("atomic", "independent")
#: Their accounts are locked for as long as it takes to post them all.
MAX_TRANSFERS: Final = 1_000
_OPERATION: Final = "bulk"
_ITEM: Final = "transfer"


class NotAllAccepted(Refused):
    """`refusals`: of each that is not, its place in `transfers` (from 0), its key, and the code and detail of why."""

    code = "not_all_accepted"
    message = "All are accepted or none: see `refusals`. Nothing was recorded, and the keys are free."
    example_facts = {
        "refusals": [{"transfer": 3, "key": "salary-4", "code": "insufficient_funds", "detail": "The account …"}]
    }


BULK_REFUSALS: Final = (IdempotencyKeyReused, RequestInProgress, NotAllAccepted)


@dataclass(frozen=True, slots=True)
class Item:
    """`request_hash` is that of the same transfer alone, so that either replays the other."""

    part: Part
    key: str
    request_hash: bytes


@dataclass(frozen=True, slots=True)
class Result:
    """`seen`: the transaction as its payer sees it now; None where `refusal` left no trace. `replayed`: an earlier
    request with its key had made it."""

    key: str
    seen: TransactionView | None
    refusal: Exception | None = None
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Bulk:
    results: list[Result]
    replayed: bool


def transfer_bulk(*, actor: Actor, mode: Mode, items: Sequence[Item], key: str, request_hash: bytes) -> Bulk:
    """Reserve and record each of `items` (with keys of their own, none twice), in their order.

    Raises NotACustomer, the BULK_REFUSALS.
    """
    customer_id = customer_id_of(actor)
    whole = posting.Whole(actor.principal_id, key, _OPERATION, request_hash, uuid7())
    legs, refused = _legs(items, actor)
    asked = {
        number: Asked(
            actor=actor,
            legs=unit,
            key=items[number].key,
            operation=_ITEM,
            request_hash=items[number].request_hash,
            request_id=request_id.get(),
            unit_id=unit[0].id if len(unit) == 1 else uuid7(),
        )
        for number, unit in legs.items()
    }
    replayed = False
    try:
        answers = _post_all_or_none(asked, refused, items, whole) if mode == "atomic" else _post(asked, whole)
    except posting.WholeAskedBefore:
        made_before(principal_id=actor.principal_id, key=key, operation=_OPERATION, request_hash=request_hash)
        # Those that were on record are told as they are now; the others, if there are any, are posted now.
        answers, replayed = _post(asked, None), True
    if any(isinstance(answer, Answer) and answer.outcome == "created" for answer in answers.values()):
        nudge("ledger.transaction_pending")
    return Bulk(_results(items, legs, answers | refused, customer_id), replayed)


def _legs(items: Sequence[Item], actor: Actor) -> tuple[dict[int, list[Leg]], dict[int, DomainError]]:
    """By number the legs of each, or why there are none. What was answered before has some, which are not posted."""
    accounts = _accounts_named([item.part for item in items])
    legs: dict[int, list[Leg]] = {}
    refused: dict[int, DomainError] = {}
    for number, item in enumerate(items):
        part = item.part
        destination = accounts[part.destination, part.amount.currency]
        fee = fees.fee_of(TransactionKind.TRANSFER, part.amount)
        if destination is None:
            refused[number] = PayeeNotFound()
        elif part.fee is not None and part.fee != fee:
            refused[number] = FeeChanged(fee=fee, currency=part.amount.currency)
        try:
            leg = transfer_leg(
                source=part.source,
                destination=destination or uuid7(),
                amount=part.amount,
                reference=part.reference,
                metadata=part.metadata,
            )
        except SameAccount as error:
            refused[number] = error
            continue
        legs[number] = [leg, fee_leg(leg, fee)] if fee else [leg]
    doubtful = [number for number in refused if number in legs]
    before = used(actor.principal_id, [items[number].key for number in doubtful])
    for number in doubtful:
        # Where money went then, and what it cost, is on record.
        del (refused if items[number].key in before else legs)[number]
    return legs, refused


def _accounts_named(parts: Sequence[Part]) -> Mapping[tuple[UUID | str, str], UUID | None]:
    """By what names it, and the currency, where each goes; None: a handle that leads nowhere. One query, if any."""
    handles = {(part.destination, part.amount.currency) for part in parts if isinstance(part.destination, str)}
    found = accounts_of_handles(handles) if handles else {}
    return {
        (name, currency): name if isinstance(name, UUID) else found.get((name, currency))
        for name, currency in {(part.destination, part.amount.currency) for part in parts}
    }


def _post(asked: Mapping[int, Asked], whole: posting.Whole | None) -> dict[int, Answer | Exception]:
    if not asked:
        if whole and used(whole.principal_id, [whole.key]):
            raise posting.WholeAskedBefore()
        return {}
    return dict(zip(asked, posting.post_many(list(asked.values()), whole=whole), strict=True))


def _post_all_or_none(
    asked: Mapping[int, Asked], refused: Mapping[int, DomainError], items: Sequence[Item], whole: posting.Whole
) -> dict[int, Answer | Exception]:
    """Raises NotAllAccepted with all that are not, WholeAskedBefore."""
    for last in (False, False, True):
        reasons: dict[int, str | Exception] = dict(refused)
        try:
            with transaction.atomic(durable=True):
                answers = posting.post_all_or_none(list(asked.values()), whole=whole) if asked else []
                # Where some are refused already it was only to learn of the others.
                transaction.set_rollback(bool(reasons))
        except posting.NotAllAccepted as error:
            numbers = list(asked)
            reasons |= {numbers[place]: reason for place, reason in error.refused.items()}
        except posting.AccountsChanged:
            if last:
                raise Unavailable() from None
            continue
        if not reasons:
            return dict(zip(asked, answers, strict=True))
        break
    raise NotAllAccepted(refusals=[_told(number, items[number].key, reasons[number]) for number in sorted(reasons)])


def _told(number: int, key: str, reason: str | Exception) -> dict[str, Any]:
    told = {"transfer": number, "key": key}
    if isinstance(reason, DomainError):
        facts = {name: fact for name, fact in reason.facts.items() if name != "leg"}
        return {**told, "code": reason.code, "detail": reason.message, **facts}
    return {**told, "code": str(reason), "detail": public_failure(str(reason))["message"]}


def _results(
    items: Sequence[Item], legs: Mapping[int, list[Leg]], answers: Mapping[int, Answer | Exception], customer_id: UUID
) -> list[Result]:
    made = [answer for answer in answers.values() if isinstance(answer, Answer)]
    before = [answer.unit_id for answer in made if answer.outcome == "replayed"]
    known = selectors.transfers_of_units(customer_id, before) if before else {}
    return [_result(item.key, legs.get(number, []), answers[number], known) for number, item in enumerate(items)]


def _result(key: str, legs: list[Leg], answer: Answer | Exception, known: Mapping[UUID, TransactionView]) -> Result:
    if isinstance(answer, Exception):
        if isinstance(answer, DomainError):
            # Nothing was recorded, so its id tells nobody anything.
            answer.facts.pop("leg", None)
        return Result(key, None, answer)
    replayed = answer.outcome == "replayed"
    seen = known[answer.unit_id] if replayed else views_of(legs, answer)[0]
    refusal = BY_CODE.get(seen.failure)
    return Result(key, seen, refusal(transaction=seen.id, replayed=replayed) if refusal else None, replayed)
