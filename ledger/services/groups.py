"""Groups: several transfers that are reserved, screened, cleared and failed together, all or none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from accounts.selectors import PayeeNotFound, customer_id_of
from ledger.posting import Leg
from ledger.selectors import TransactionView, movements
from ledger.services.parties import destination_account
from ledger.services.payments import SameAccount, transfer_leg
from ledger.services.requests import (
    ON_RECORD,
    REFUSALS,
    FeeChanged,
    asked_for,
    post_alone,
    refuse_on_record,
    views_of,
    with_fee,
)
from wallet_project.utils.context import Actor
from wallet_project.utils.errors import NotFound
from wallet_project.utils.ids import uuid7
from wallet_project.utils.money import Money

#: A unit holds the locks of all its accounts while it is posted.
MIN_TRANSFERS: Final = 2
MAX_TRANSFERS: Final = 50

GROUP_REFUSALS: Final = (*REFUSALS, *ON_RECORD, PayeeNotFound, SameAccount, FeeChanged)


class GroupNotFound(NotFound):
    code = "group_not_found"
    message = "There is no such group, or it is not yours."


@dataclass(frozen=True, slots=True)
class Part:
    """One transfer of a group. `fee`: what its customer was told that it costs, in minor units."""

    source: UUID
    #: An account, or a payee's handle.
    destination: UUID | str
    amount: Money
    reference: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    fee: int | None = None


@dataclass(frozen=True, slots=True)
class GroupView:
    """Its transfers in the order in which they were asked for, then their fees. One status for all."""

    id: UUID
    status: str
    transactions: list[TransactionView]
    replayed: bool = False


def pay(*, actor: Actor, transfers: Sequence[Part], key: str, request_hash: bytes) -> GroupView:
    """Reserve all of `transfers` and what each costs, or none of them.

    Raises NotACustomer and the GROUP_REFUSALS; what is refused and on record is named by the first transfer. A refusal
    that is about one of them says in `transfer` which, from 0.
    """
    payments, charges = [], []
    for number, part in enumerate(transfers):
        try:
            payment, *fee = _legs(part, actor=actor, key=key)
        except (PayeeNotFound, SameAccount, FeeChanged) as refusal:
            refusal.facts["transfer"] = number
            raise
        payments.append(payment)
        charges += fee
    asked = asked_for(
        [*payments, *charges], actor=actor, operation="group", key=key, request_hash=request_hash, unit_id=uuid7()
    )
    answer = post_alone(asked)
    if answer.outcome == "replayed":
        group = see_group(actor=actor, group_id=answer.unit_id, replayed=True)
    else:
        group = _view(answer.unit_id, views_of(asked.legs, answer))
    refuse_on_record(group.transactions[0], replayed=group.replayed)
    return group


def see_group(*, actor: Actor, group_id: UUID, replayed: bool = False) -> GroupView:
    """A group that the customer asked for, as it is now. Raises NotACustomer, GroupNotFound."""
    seen = movements.group_of_customer(customer_id_of(actor), group_id)
    if not seen:
        raise GroupNotFound()
    return _view(group_id, seen, replayed=replayed)


def _legs(part: Part, *, actor: Actor, key: str) -> list[Leg]:
    leg = transfer_leg(
        source=part.source,
        destination=destination_account(part.destination, part.amount.currency, actor=actor, key=key),
        amount=part.amount,
        reference=part.reference,
        metadata=part.metadata,
    )
    return with_fee(leg, quoted=part.fee, actor=actor, key=key)


def _view(group_id: UUID, transactions: list[TransactionView], *, replayed: bool = False) -> GroupView:
    return GroupView(group_id, transactions[0].status, transactions, replayed)
