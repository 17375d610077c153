"""Who has paid a deposit in is looked for on the lists before the money is posted, where the bank names him.

The bank names him when the money has come, long after the deposit was screened; it waits in a stage of its own for
this. Nobody found: it is posted. Somebody found, or the lists can't be read: a case is opened, and it waits for an
officer (`effects`).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import transaction

from compliance import payers, steps
from compliance.limits import four_eyes_from
from compliance.models import Case, PayerScreening
from compliance.payers import Look
from compliance.services.leased import decide_due
from compliance.states import CasePriority
from ledger import steps as ledger
from ledger.models import RailTransfer, Transaction
from ledger.states import Stage
from ledger.steps import Claimed

#: A batch holds its locks for as long as its commit takes.
BATCH: Final = 200


def screen_payers(*, now: datetime, limit: int = BATCH) -> int:
    """Look for the payers of up to `limit` collected deposits; how many were taken up."""
    return decide_due(
        Stage.PAYER,
        lambda batch: _commit(batch, _looked_for(batch), now=now),
        limit=limit,
        topic="ledger.payer_named",
    )


def _looked_for(batch: Sequence[Claimed]) -> dict[UUID, Look]:
    """By deposit, which is a unit of its own."""
    named = RailTransfer.objects.filter(transaction__in=[unit.unit_id for unit in batch], payer__isnull=False)
    return payers.look({id_: payer for id_, payer in named.values_list("transaction_id", "payer") if payer})


def _commit(batch: Sequence[Claimed], looks: dict[UUID, Look], *, now: datetime) -> None:
    """What was found, the cases and the effect on the money in one transaction, for the units whose lease is held."""
    tokens = {unit.unit_id: unit.token for unit in batch}
    with transaction.atomic(durable=True):
        if all(each.clear for each in looks.values()):
            done = ledger.pass_payers(list(looks), tokens=[tokens[id_] for id_ in looks])
        else:
            held = ledger.lock(list(tokens), list(tokens.values()))
            waiting = sorted(id_ for id_ in looks if held.get(id_) == Stage.PAYER)
            done = ledger.pass_payers([id_ for id_ in waiting if looks[id_].clear])
            done |= ledger.hold_for_review([id_ for id_ in waiting if not looks[id_].clear])
        kept = payers.keep_of_deposits({id_: each for id_, each in looks.items() if id_ in done})
        met = [id_ for id_ in kept if not looks[id_].clear]
        if met:
            deposits = Transaction.objects.select_related("credit_account").in_bulk(met)
            steps.open_cases([_case(deposits[id_], kept[id_], looks[id_], now=now) for id_ in met])


def _case(deposit: Transaction, screening: PayerScreening, look: Look, *, now: datetime) -> Case:
    high = bool(look.found.hits) or deposit.amount >= four_eyes_from(deposit.currency)
    return steps.new_case(
        reason=look.reason,
        now=now,
        priority=CasePriority.HIGH if high else CasePriority.NORMAL,
        customer_id=deposit.credit_account.customer_id,
        payer_screening=screening,
    )
